"""ExplainerConfig from CreateEndpointConfig to what is kept with an endpoint, over the store in memory."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, cast

import pytest
from tests.unit.test_control_operations import Api

from hostmaker.control.explainers import read_explainer
from hostmaker.control.updates import Updates
from hostmaker.domain.actions import SetStatus
from hostmaker.domain.endpoint import EndpointStatus, ExplainerPlan, Snapshot
from hostmaker.domain.errors import InternalFailure, ValidationException
from hostmaker.domain.fleet import Unknown
from hostmaker.domain.observed import Observed
from hostmaker.kit.codec import decode, encode
from hostmaker.planner.endpoint import Limits, decide
from hostmaker.ports import CallContext, Objects, ObjectsUnavailableError
from hostmaker.reconciler.project import route

URI = "s3://b/baseline.csv"
TEXT = {"Language": "en", "Granularity": "token"}


def explainer(baseline: dict[str, Any] | None = None, enable: str | None = None, **members: Any) -> dict[str, Any]:
    """Give an ExplainerConfig; `members` are those of ShapConfig and InferenceConfig, told apart by their names."""
    inference = {name: value for name, value in members.items() if name not in ("TextConfig", "UseLogit", "Seed")}
    shap = {name: value for name, value in members.items() if name not in inference}
    clarify: dict[str, Any] = {"ShapConfig": {"ShapBaselineConfig": baseline or {"ShapBaseline": "0,0"}, **shap}}
    if inference:
        clarify["InferenceConfig"] = inference
    if enable is not None:
        clarify["EnableExplanations"] = enable
    return {"ClarifyExplainerConfig": clarify}


@pytest.fixture
def ready() -> Api:
    api = Api()
    api.model()
    return api


def snapshot(api: Api, name: str = "Fraud") -> Snapshot:
    endpoint = api.store.endpoint("us-east-1", name)
    assert endpoint is not None
    return endpoint.desired.target


def kept(api: Api) -> Any:
    """Give what is kept of the endpoint's explainer."""
    plan = snapshot(api).explainer
    assert plan is not None
    assert plan.flaw is None
    return json.loads(api.specs.kept[plan.digest or ""])


@pytest.mark.parametrize(
    "sent",
    [
        explainer(),
        explainer({"ShapBaseline": '"é\u2028",1\r\n"",2', "MimeType": "text/csv"}, "`true`", TextConfig=TEXT),
        explainer(UseLogit=False, MaxPayloadInMB=6),
        {},
    ],
)
def test_an_explainer_is_shown_exactly_as_it_was_sent(ready: Api, sent: dict[str, Any]) -> None:
    ready.config(ExplainerConfig=sent)
    assert ready("DescribeEndpointConfig", EndpointConfigName="Fraud")["ExplainerConfig"] == sent
    ready.endpoint()
    assert ready("DescribeEndpoint", EndpointName="Fraud")["ExplainerConfig"] == sent


def test_without_an_explainer_none_is_shown(ready: Api) -> None:
    ready.config()
    ready.endpoint()
    assert "ExplainerConfig" not in ready("DescribeEndpoint", EndpointName="Fraud")
    assert snapshot(ready).explainer is None
    assert ready.specs.kept == {}


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (explainer({}), "needs exactly one of ShapBaseline and ShapBaselineUri; both was given"),
        (explainer({"ShapBaseline": "1,2\n3"}), "ShapBaseline has 2 features in record 0 and 1 in record 1"),
        (explainer({"ShapBaseline": '"1'}), "ShapBaseline cannot be read as text/csv: Record 0 is not valid CSV"),
        (explainer({"ShapBaseline": "\ud800"}), "ShapBaseline has half of a surrogate pair"),
        (explainer(TextConfig=TEXT), "ShapBaseline has no column of text"),
        (explainer(ContentTemplate="x"), "InferenceConfig.ContentTemplate is 'x'"),
        (explainer(FeatureHeaders=["a"]), "FeatureHeaders has 1 members, and .* has 2 features"),
        (explainer({"ShapBaselineUri": "https://example.com/x"}), 'ShapBaselineUri: Could not read "https://exampl'),
        (explainer({"ShapBaselineUri": "s3://b/dir/"}), 'ShapBaselineUri is "s3://b/dir/", which names no object'),
    ],
)
def test_configs_that_are_refused(ready: Api, sent: dict[str, Any], message: str) -> None:
    if message.startswith("needs"):
        sent["ClarifyExplainerConfig"]["ShapConfig"]["ShapBaselineConfig"] = {
            "ShapBaseline": "0",
            "ShapBaselineUri": URI,
        }
    with pytest.raises(ValidationException, match=message):
        ready.config(ExplainerConfig=sent)
    assert ready.store.endpoint_configs("us-east-1") == []


def test_an_inline_baseline_is_kept_with_the_endpoint(ready: Api) -> None:
    sent = explainer({"ShapBaseline": '"é",0'}, enable="[0]>`0.5`", Seed=7)
    ready.config(ExplainerConfig=sent)
    ready.endpoint()
    assert kept(ready) == {"config": sent["ClarifyExplainerConfig"], "baseline": '"é",0'}
    assert decode(Snapshot, encode(snapshot(ready))) == snapshot(ready)


def test_a_stored_baseline_is_read_once(ready: Api) -> None:
    ready.config(ExplainerConfig=explainer({"ShapBaselineUri": URI}))
    ready.objects.contents["b", "baseline.csv"] = b"\xef\xbb\xbf1,2\n"
    ready.endpoint()
    ready.objects.contents["b", "baseline.csv"] = b"3,4\n"
    assert kept(ready)["baseline"] == "\ufeff1,2\n"
    ready.status(EndpointStatus.IN_SERVICE)
    ready("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName="Fraud")
    assert kept(ready)["baseline"] == "3,4\n"
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    assert endpoint.explainers() == frozenset(ready.specs.kept)


def flaws(ready: Api) -> list[tuple[dict[str, Any], bytes | None, str]]:
    stored = {"ShapBaselineUri": URI}
    return [
        (explainer(enable="[0]>"), None, "^Invalid EnableExplanations expression: Incomplete expression$"),
        (explainer(stored), None, f"^The SHAP baseline at {URI} cannot be read: there is no object. Put it there"),
        (explainer(stored), b"", "cannot be used: .*ShapBaselineUri has no record; it needs at least one. Correct the"),
        (explainer(stored), b"\xff", "is not text in UTF-8: byte 0 is no part"),
        (explainer(stored), b"1" * 5_000_000, "is too large: It has 5000000 bytes; at most 4194304 are read"),
        (explainer(stored, TextConfig=TEXT), b"1,2", "has no column of text"),
    ]


@pytest.mark.parametrize("number", range(6))
def test_what_cannot_explain_fails_a_creation_and_refuses_an_update(ready: Api, number: int) -> None:
    sent, content, message = flaws(ready)[number]
    if content is not None:
        ready.objects.contents["b", "baseline.csv"] = content
    ready.config(ExplainerConfig=sent)
    ready.endpoint()
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    plan = snapshot(ready).explainer
    assert plan is not None
    assert plan.digest is None
    assert re.search(message, plan.flaw or "")
    seen = Observed(datetime(2026, 1, 1, tzinfo=UTC), Unknown(datetime(2026, 1, 1, tzinfo=UTC)), 1, 0, {}, {})
    assert decide(endpoint, seen, Limits()).actions == (
        SetStatus(EndpointStatus.FAILED, plan.flaw or "", failure_reason=plan.flaw),
    )

    ready.config("Plain")
    ready.endpoint("Other", EndpointConfigName="Plain")
    ready.status(EndpointStatus.IN_SERVICE, "Other")
    with pytest.raises(ValidationException, match=message):
        ready("UpdateEndpoint", EndpointName="Other", EndpointConfigName="Fraud")
    assert snapshot(ready, "Other").config_name == "Plain"
    assert ready.specs.kept == {}


def test_a_long_uri_leaves_room_for_the_reason(ready: Api) -> None:
    ready.config(ExplainerConfig=explainer({"ShapBaselineUri": "s3://b/" + "k" * 1000}))
    ready.endpoint()
    plan = snapshot(ready).explainer
    assert plan is not None
    assert len(plan.flaw or "") < 600


def test_an_object_store_that_is_away_is_a_fault_of_ours(ready: Api) -> None:
    ready.config(ExplainerConfig=explainer({"ShapBaselineUri": URI}))
    ready.objects.fails = ObjectsUnavailableError("The object store does not answer.")
    with pytest.raises(InternalFailure, match="^Request to service failed. The object store does not answer.$"):
        ready.endpoint()
    assert ready.store.endpoint("us-east-1", "Fraud") is None


def test_what_changes_during_the_reading_is_seen(ready: Api) -> None:
    ready.config("Plain")
    ready.config(ExplainerConfig=explainer({"ShapBaselineUri": URI}))
    ready.objects.contents["b", "baseline.csv"] = b"0,0"
    ready.objects.during = lambda: ready.endpoint("fraud", EndpointConfigName="Plain")
    with pytest.raises(ValidationException, match="Cannot create already existing endpoint"):
        asyncio.run(_create_beside(ready))
    assert snapshot(ready).config_name == "Plain"

    ready.status(EndpointStatus.IN_SERVICE)
    ready.objects.during = lambda: ready("DeleteEndpoint", EndpointName="Fraud")
    with pytest.raises(ValidationException, match="Cannot update in-progress endpoint"):
        ready("UpdateEndpoint", EndpointName="Fraud", EndpointConfigName="Fraud")


async def _create_beside(api: Api) -> Any:
    """Create an endpoint, during which another call is carried out, in a thread of its own."""
    during = api.objects.during
    loop = asyncio.get_running_loop()

    async def read(bucket: str, key: str, most: int) -> bytes:
        await loop.run_in_executor(None, during)
        return api.objects.contents[bucket, key]

    api.objects.read = read  # type: ignore[method-assign]
    request = {"EndpointName": "Fraud", "EndpointConfigName": "Fraud"}
    context = CallContext("us-east-1", "123456789012", "AKIA", "r")
    try:
        return await api.handlers["sagemaker", "CreateEndpoint"](context, request)  # type: ignore[misc]
    finally:
        del api.objects.read


def test_scaling_and_routes_keep_the_explainer(ready: Api) -> None:
    ready.config(ExplainerConfig=explainer())
    ready.endpoint()
    plan = snapshot(ready).explainer
    assert plan is not None
    ready.status(EndpointStatus.IN_SERVICE)
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    ready("UpdateEndpointWeightsAndCapacities", EndpointName="Fraud", DesiredWeightsAndCapacities=wanted)
    assert snapshot(ready).explainer == plan
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    (variant,) = route(endpoint).variants
    assert (variant.explainer, variant.share) == (plan.digest, Fraction(1))
    assert variant.workers == 0
    flawed = replace(endpoint.recorded.live_fleet, explainer=ExplainerPlan(flaw="no"))
    recorded = replace(endpoint.recorded, fleets={"0": flawed})
    assert route(replace(endpoint, recorded=recorded)).variants[0].explainer == ""


@pytest.mark.parametrize(("told", "workers"), [("3", 3), ("many", 0), ("99999", 0)])
def test_a_route_says_how_many_requests_an_explained_model_does_at_once(ready: Api, told: str, workers: int) -> None:
    ready.config(ExplainerConfig=explainer())
    ready.endpoint()
    endpoint = ready.store.endpoint("us-east-1", "Fraud")
    assert endpoint is not None
    (wanted,) = endpoint.recorded.live_fleet.variants
    container = replace(wanted.model.container, environment={"SAGEMAKER_MODEL_SERVER_WORKERS": told})
    of_model = replace(wanted, model=replace(wanted.model, container=container))
    fleet = replace(endpoint.recorded.live_fleet, variants=(of_model,))
    recorded = replace(endpoint.recorded, fleets={"0": fleet})
    assert route(replace(endpoint, recorded=recorded)).variants[0].workers == workers
    plain = replace(fleet, explainer=None)
    assert route(replace(endpoint, recorded=replace(recorded, fleets={"0": plain}))).variants[0].workers == 0


def test_a_plan_says_what_an_update_would_refuse_and_keeps_nothing(ready: Api) -> None:
    ready.config("Plain")
    ready.endpoint(EndpointConfigName="Plain")
    ready.status(EndpointStatus.IN_SERVICE)
    ready.config(ExplainerConfig=explainer({"ShapBaselineUri": URI}))
    updates = Updates(ready.services)
    request: dict[str, Any] = {"EndpointName": "Fraud", "EndpointConfigName": "Fraud"}
    context = CallContext("us-east-1", "123456789012", "AKIA", "r")
    with pytest.raises(ValidationException, match="cannot be read: there is no object"):
        asyncio.run(updates.plan(context, request))
    ready.objects.contents["b", "baseline.csv"] = b"0,0"
    assert asyncio.run(updates.plan(context, request)).stops == ()
    ready.objects.fails = ObjectsUnavailableError("It is away.")
    assert (
        "Whether the SHAP baseline can be read is not known: It is away."
        in asyncio.run(updates.plan(context, request)).notes
    )
    assert ready.specs.kept == {}


def test_others_go_on_while_a_long_baseline_is_read() -> None:
    class Stored:
        async def read(self, bucket: str, key: str, most: int) -> bytes:
            return b"1\n2\n" * 100_000

    async def turns() -> int:
        """How often others had their turn."""
        reading = asyncio.ensure_future(read_explainer(cast("Objects", Stored()), {"ExplainerConfig": sent}))
        number = 0
        while not reading.done():
            await asyncio.sleep(0.001)
            number += 1
        read = await reading
        assert read is not None
        assert read.content is not None
        return number

    sent = explainer({"ShapBaselineUri": URI})
    assert asyncio.run(turns()) > 5
