"""The core's decisions: variant, instance, counts, retries, errors. No sockets, no loop."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, data, floats, integers, lists, sampled_from

from hostmaker.domain.endpoint_config import RoutingStrategy
from hostmaker.domain.errors import ModelError, ServiceUnavailable, ValidationError
from hostmaker.domain.names import EndpointKey
from hostmaker.domain.routing import EndpointRoute, InstanceRoute, RoutingTable, VariantRoute
from hostmaker.gateway.core import MOST_ATTEMPTS, Choice, Core
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.table import CompiledTable

LEAST, RANDOM = RoutingStrategy.LEAST_OUTSTANDING_REQUESTS, RoutingStrategy.RANDOM


class FakePeer:
    """Stands where the connections to an instance are."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self.is_retired = False

    def retire(self) -> None:
        self.is_retired = True


def variant(
    name: str, weight: float, instances: int, strategy: RoutingStrategy = RANDOM, first: int = 0
) -> VariantRoute:
    routes = (InstanceRoute(f"{name}-{n}", first + n, f"/run/{name}-{n}.sock") for n in range(instances))
    return VariantRoute(name, weight, strategy, tuple(routes))


def table(*variants: VariantRoute, version: int = 1, name: str = "e") -> RoutingTable:
    return RoutingTable(version, "1", "b", (EndpointRoute(EndpointKey("us-east-1", name), variants),))


def core_of(
    *variants: VariantRoute, chance: Callable[[], float] | None = None, others: dict[int, int] | None = None
) -> tuple[Core[FakePeer], list[int]]:
    """Give a core and its row of counts; `others` are the counts of other gateways."""
    row = [0] * 256

    def outstanding(slot: int) -> int:
        return row[slot] + (others or {}).get(slot, 0)

    compiled = CompiledTable(table(*variants), FakePeer)
    return Core(compiled, row, outstanding, chance or random.Random(7).random, "123456789012"), row


def begin(core: Core[FakePeer], target: str | None = None) -> Choice[FakePeer]:
    return core.begin("us-east-1", "e", target)


# Variants


@settings(max_examples=25, deadline=None)
@given(lists(sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 7.5]), min_size=1, max_size=10), integers(0, 2**32))
def test_shares_are_those_of_the_weights(weights: list[float], seed: int) -> None:
    core, _ = core_of(
        *(variant(f"v{n}", w, 1, first=n) for n, w in enumerate(weights)), chance=random.Random(seed).random
    )
    if not sum(weights):
        with pytest.raises(ValidationError, match="weight 0"):
            begin(core)
        return
    draws = 4000
    seen = Counter(begin(core).variant.name for _ in range(draws))
    for n, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(seen[f"v{n}"] / draws - share) <= 5 * (share * (1 - share) / draws) ** 0.5
        assert weight or not seen[f"v{n}"]


@given(lists(floats(0, 1e6), min_size=1, max_size=10), floats(0, 1, exclude_max=True))
def test_every_draw_finds_a_variant_that_has_weight(weights: list[float], u: float) -> None:
    core, _ = core_of(*(variant(f"v{n}", w, 1, first=n) for n, w in enumerate(weights)), chance=lambda: u)
    if sum(weights) > 0:
        assert weights[int(begin(core).variant.name[1:])] > 0


def test_the_target_overrides_the_weights() -> None:
    core, _ = core_of(variant("a", 1.0, 1), variant("b", 0.0, 1, first=1))
    assert {begin(core).variant.name for _ in range(50)} == {"a"}
    assert begin(core, "b").variant.name == "b"
    with pytest.raises(ValidationError, match=r"^Variant B not found for endpoint e\.$"):
        begin(core, "B")


def test_a_single_variant_of_weight_0_takes_only_what_names_it() -> None:
    core, _ = core_of(variant("a", 0.0, 1))
    with pytest.raises(ValidationError, match="weight 0"):
        begin(core)
    assert begin(core, "a").variant.name == "a"


def test_traffic_never_spills_to_another_variant() -> None:
    core, row = core_of(variant("a", 1.0, 0), variant("b", 0.0, 3))
    with pytest.raises(ServiceUnavailable, match="Variant a of endpoint e has no instance in service"):
        begin(core)
    assert not any(row)


def test_an_endpoint_is_known_by_region_and_exact_name() -> None:
    core, _ = core_of(variant("a", 1.0, 1))
    for region, name in (("eu-west-1", "e"), ("us-east-1", "E")):
        with pytest.raises(ValidationError) as raised:
            core.find(region, name)
        assert raised.value.message == f"Endpoint {name} of account 123456789012 not found."
        assert raised.value.members == {"ErrorCode": "NO_SUCH_ENDPOINT"}


# A variant in a deployment: a route of its name for each config


def routes_of(
    name: str, weight: float, parts: dict[str, tuple[Fraction, int]], first: int = 0
) -> tuple[VariantRoute, ...]:
    """Give the routes of one variant; `parts` are share and instances by config."""
    found = []
    for config, (share, count) in parts.items():
        routes = (InstanceRoute(f"{name}-{config}-{n}", first + n, f"/run/{config}-{n}.sock") for n in range(count))
        found.append(VariantRoute(name, weight, RANDOM, tuple(routes), config, share))
        first += count
    return tuple(found)


def shifting(green: Fraction, old: int = 3, new: int = 3, weight: float = 1.0) -> tuple[VariantRoute, ...]:
    return routes_of("a", weight, {"old": (1 - green, old), "new": (green, new)})


SHARES = [Fraction(0), Fraction(1, 10), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(1)]


def assert_share(seen: Counter[str], name: str, share: float) -> None:
    """Five standard deviations; what has no share never comes, and what has all always."""
    draws = sum(seen.values())
    assert abs(seen[name] / draws - share) <= 5 * (share * (1 - share) / draws) ** 0.5


@settings(max_examples=25, deadline=None)
@given(sampled_from(SHARES), sampled_from([0.1, 1.0, 7.5]), integers(0, 2**32), booleans())
def test_configs_share_the_traffic_of_their_variant(green: Fraction, weight: float, seed: int, targeted: bool) -> None:
    core, _ = core_of(*shifting(green, weight=weight), chance=random.Random(seed).random)
    seen = Counter(begin(core, "a" if targeted else None).variant.config for _ in range(4000))
    assert_share(seen, "new", float(green))
    assert set(seen) <= {"old", "new"}


@settings(max_examples=25, deadline=None)
@given(sampled_from(SHARES), sampled_from([0.0, 0.5, 1.0, 3.0]), integers(0, 2**32))
def test_shares_leave_the_weights_of_variants_as_they_are(green: Fraction, weight: float, seed: int) -> None:
    core, _ = core_of(*shifting(green), variant("b", weight, 2, first=9), chance=random.Random(seed).random)
    seen = Counter(f"{each.name} {each.config}".strip() for each in (begin(core).variant for _ in range(4000)))
    total = 1.0 + weight
    assert_share(seen, "a new", float(green) / total)
    assert_share(seen, "a old", float(1 - green) / total)
    assert_share(seen, "b", weight / total)


def test_the_target_is_served_under_the_config_that_the_draw_says() -> None:
    draws = iter([0.0, 0.0, 0.66, 0.0, 0.67, 0.0, 0.99, 0.0])  # the config, then the instance
    core, _ = core_of(*shifting(Fraction(1, 3)), chance=lambda: next(draws))
    assert [begin(core, "a").variant.config for _ in range(4)] == ["old", "old", "new", "new"]


@pytest.mark.parametrize("target", [None, "a"])
@pytest.mark.parametrize(("old", "new", "serving"), [(0, 2, "new"), (2, 0, "old"), (1, 0, "old")])
def test_a_config_without_an_instance_is_stood_in_for_by_the_other(
    target: str | None, old: int, new: int, serving: str
) -> None:
    core, row = core_of(*shifting(Fraction(1, 2), old, new), variant("b", 0.0, 2, first=9))
    choices = [begin(core, target) for _ in range(100)]
    assert {choice.variant.config for choice in choices} == {serving}
    assert {choice.instance.ident.rpartition("-")[0] for choice in choices} == {f"a-{serving}"}
    assert sum(row) == 100
    for choice in choices:
        core.end(choice)
    assert not any(row)


@pytest.mark.parametrize("target", [None, "a"])
def test_without_an_instance_under_any_config_the_variant_is_unavailable(target: str | None) -> None:
    core, row = core_of(*shifting(Fraction(1, 2), 0, 0), variant("b", 0.0, 2, first=9))
    for _ in range(20):
        with pytest.raises(ServiceUnavailable, match="Variant a of endpoint e has no instance in service"):
            begin(core, target)
    assert not any(row)


@pytest.mark.parametrize("config", ["old", "new"])
def test_a_retry_stays_under_the_same_config(config: str) -> None:
    core, _ = core_of(*shifting(Fraction(0 if config == "old" else 1)))
    choice = begin(core)
    seen = [choice.instance.ident]
    while core.retry(choice, Failure.REFUSED):
        seen.append(choice.instance.ident)
    assert sorted(seen) == [f"a-{config}-0", f"a-{config}-1", f"a-{config}-2"]


def test_a_retry_stays_under_its_config_in_a_newer_table_too() -> None:
    core, row = core_of(*shifting(Fraction(1, 3)), chance=lambda: 0.0)
    choice = begin(core)
    assert choice.variant.config == "old"
    core.table = CompiledTable(table(*shifting(Fraction(2, 3)), version=2), FakePeer, core.table)
    assert core.retry(choice, Failure.REFUSED)
    assert choice.instance.ident.startswith("a-old-")
    gone = routes_of("a", 1.0, {"new": (Fraction(1), 3)}, first=3)
    core.table = CompiledTable(table(*gone, version=3), FakePeer, core.table)
    assert core.retry(choice, Failure.REFUSED)  # nothing is left of its own
    assert choice.instance.ident.startswith("a-new-")
    assert sum(row) == 1


def test_connections_are_kept_while_traffic_shifts() -> None:
    before = CompiledTable(table(*shifting(Fraction(1, 3))), FakePeer)
    known = before.endpoints["us-east-1", "e"].instances()
    after = CompiledTable(table(*shifting(Fraction(2, 3)), version=2), FakePeer, before)
    assert after.endpoints["us-east-1", "e"].instances() == known
    assert not any(each.peer.is_retired for each in known.values())
    assert len(known) == 6


# Instances


@given(data=data(), count=integers(1, 16))
def test_the_least_outstanding_is_chosen_exactly_up_to_16(data: object, count: int) -> None:
    loads = data.draw(lists(integers(0, 5), min_size=count, max_size=count))  # type: ignore[attr-defined]
    core, row = core_of(variant("a", 1.0, count, LEAST), others=dict(enumerate(loads)))
    choice = begin(core)
    assert loads[choice.instance.slot] == min(loads)
    assert row[choice.instance.slot] == 1


def test_ties_are_broken_at_random() -> None:
    core, _ = core_of(variant("a", 1.0, 4, LEAST), others={0: 1})
    seen = Counter()  # type: Counter[int]
    for _ in range(3000):
        choice = begin(core)
        seen[choice.instance.slot] += 1
        core.end(choice)
    assert set(seen) == {1, 2, 3}
    assert max(seen.values()) - min(seen.values()) < 300


def test_above_16_the_better_of_two_different_ones() -> None:
    others = dict.fromkeys(range(1, 20), 9)  # slot 0 is idle
    core, _ = core_of(variant("a", 1.0, 20, LEAST), others=others)
    seen = Counter()  # type: Counter[int]
    for _ in range(4000):
        choice = begin(core)
        seen[choice.instance.slot] += 1
        core.end(choice)
    assert abs(seen[0] / 4000 - 2 / 20) < 0.03  # it wins whenever it is one of the two
    ends = iter([0.0, 0.0, 0.0, 0.0])
    core, _ = core_of(variant("a", 1.0, 20, LEAST), chance=lambda: next(ends), others={0: 9})
    assert begin(core).instance.slot == 1


@given(integers(2, 30), integers(0, 2**32))
def test_many_requests_spread_evenly(count: int, seed: int) -> None:
    core, row = core_of(variant("a", 1.0, min(count, 16), LEAST), chance=random.Random(seed).random)
    for _ in range(5 * count):
        begin(core)
    used = row[: min(count, 16)]
    assert max(used) - min(used) <= 1


def test_random_takes_all() -> None:
    core, _ = core_of(variant("a", 1.0, 5))
    seen = Counter(begin(core).instance.slot for _ in range(5000))
    assert all(abs(seen[slot] - 1000) < 150 for slot in range(5))


# Counts and retries


@settings(deadline=None)
@given(lists(sampled_from([Failure.REFUSED, Failure.STALE, Failure.BROKEN, Failure.TIMED_OUT]), max_size=10))
def test_counts_hold_one_for_each_invocation_however_it_goes(failures: list[Failure]) -> None:
    core, row = core_of(variant("a", 1.0, 6))
    choice = begin(core)
    attempts = 1
    for failure in failures:
        assert sum(row) == 1
        assert row[choice.instance.slot] == 1
        if not core.retry(choice, failure):
            break
        attempts += 1
    assert attempts <= MOST_ATTEMPTS
    core.end(choice)
    assert not any(row)


def test_a_refused_connection_goes_to_one_that_was_not_tried() -> None:
    core, _ = core_of(variant("a", 1.0, 3))
    choice = begin(core)
    seen = [choice.instance.ident]
    while core.retry(choice, Failure.REFUSED):
        seen.append(choice.instance.ident)
    assert sorted(seen) == ["a-0", "a-1", "a-2"]


def test_a_stale_connection_is_tried_once_on_a_new_one() -> None:
    core, _ = core_of(variant("a", 1.0, 3))
    choice = begin(core)
    first = choice.instance
    assert core.retry(choice, Failure.STALE)
    assert choice.fresh
    assert choice.instance is first
    assert not core.retry(choice, Failure.STALE)


@pytest.mark.parametrize("failure", [each for each in Failure if each not in (Failure.REFUSED, Failure.STALE)])
def test_what_may_have_reached_the_model_is_not_tried_again(failure: Failure) -> None:
    core, _ = core_of(variant("a", 1.0, 3))
    assert not core.retry(begin(core), failure)


def test_a_retry_follows_the_newest_table() -> None:
    core, _ = core_of(variant("a", 1.0, 2), chance=lambda: 0.0)
    choice = begin(core)
    newer = table(variant("a", 1.0, 1), variant("b", 1.0, 1, first=5), version=2)
    core.table = CompiledTable(newer, FakePeer, core.table)
    assert not core.retry(choice, Failure.REFUSED)  # a-1 has been withdrawn, b is another variant


# Calls from inside: one variant under one config, or none


def begin_exact(core: Core[FakePeer], config: str = "new", variant: str = "a") -> Choice[FakePeer] | None:
    return core.begin_exact("us-east-1", "e", variant, config)


@pytest.mark.parametrize("config", ["old", "new"])
def test_an_exact_choice_takes_no_share_and_no_weight_into_account(config: str) -> None:
    core, row = core_of(*shifting(Fraction(0 if config == "new" else 1), weight=0.0))
    choices = [begin_exact(core, config) for _ in range(50)]
    assert {choice.variant.config for choice in choices if choice is not None} == {config}
    assert sum(row) == 50


def test_an_exact_choice_is_balanced_as_its_variant_is() -> None:
    core, row = core_of(variant("a", 1.0, 4, LEAST))
    for _ in range(8):
        assert begin_exact(core, "") is not None
    assert row[:4] == [2, 2, 2, 2]


def test_what_is_not_served_exactly_is_no_choice() -> None:
    core, row = core_of(*shifting(Fraction(1, 2), old=0))
    assert begin_exact(core, "old") is None  # without an instance: the other config does not stand in
    assert begin_exact(core, "other") is None
    assert begin_exact(core, "new", "b") is None
    assert core.begin_exact("eu-west-1", "e", "a", "new") is None
    assert not any(row)


def test_a_retry_of_an_exact_choice_stays_under_its_config_or_ends() -> None:
    core, row = core_of(*shifting(Fraction(1, 2)))
    choice = begin_exact(core, "old")
    assert choice is not None
    assert core.is_served(choice)
    assert core.retry(choice, Failure.REFUSED)
    assert choice.instance.ident.startswith("a-old-")
    gone = routes_of("a", 1.0, {"new": (Fraction(1), 3)}, first=3)
    core.table = CompiledTable(table(*gone, version=2), FakePeer, core.table)
    assert not core.retry(choice, Failure.REFUSED)
    assert not core.is_served(choice)
    core.table = CompiledTable(table(*gone, version=3, name="other"), FakePeer, core.table)
    assert not core.retry(choice, Failure.REFUSED)
    assert not core.is_served(choice)
    core.end(choice)
    assert not any(row)


# Errors


def test_errors_name_what_went_wrong() -> None:
    core, _ = core_of(variant("a", 1.0, 1))
    choice = begin(core)
    assert isinstance(core.failed(choice, Failure.REFUSED, "no such file"), ServiceUnavailable)
    for failure in (Failure.BROKEN, Failure.STALE, Failure.TIMED_OUT):
        error = core.failed(choice, failure, "it broke")
        assert isinstance(error, ModelError)
        assert error.members["OriginalStatusCode"] == 0
        assert error.members["ErrorCode"] == "INTERNAL_FAILURE_FROM_MODEL"
    too_large = core.failed(choice, Failure.TOO_LARGE, "")
    assert too_large.members["OriginalStatusCode"] == 413
    assert core.failed(choice, Failure.OURS, "").status == 500
    assert core.failed(choice, Failure.NO_ROOM, "").status == 503


@pytest.mark.parametrize(("region", "start"), [("us-east-1", "arn:aws:"), ("cn-north-1", "arn:aws-cn:")])
def test_the_log_group_lies_in_the_endpoint_s_region(region: str, start: str) -> None:
    route = EndpointRoute(EndpointKey(region, "e"), (variant("a", 1.0, 1),))
    core = Core(CompiledTable(RoutingTable(1, "1", "b", (route,)), FakePeer), [0] * 8, lambda slot: 0, lambda: 0.0, "1")
    error = core.model_error(core.begin(region, "e"), 500, b"\xff\xfe")
    assert str(error.members["LogStreamArn"]).startswith(f"{start}logs:{region}:1:log-group:/aws/sagemaker/Endpoints/e")
    assert error.members["OriginalMessage"] == "\ufffd\ufffd"


# The table


def test_a_variant_knows_its_explainer() -> None:
    core, _ = core_of(replace(variant("a", 1.0, 1), explainer="digest"), variant("b", 0.0, 1, first=1))
    assert begin(core, "a").variant.explainer == "digest"
    assert begin(core, "b").variant.explainer == ""
    newer = table(replace(variant("a", 1.0, 1), explainer="other"), version=2)
    core.table = CompiledTable(newer, FakePeer, core.table)
    assert begin(core).variant.explainer == "other"


def test_what_did_not_change_keeps_its_connections() -> None:
    before = CompiledTable(table(variant("a", 1.0, 2), variant("b", 1.0, 1, first=9)), FakePeer)
    known = before.endpoints["us-east-1", "e"].instances()
    after = CompiledTable(table(variant("a", 3.0, 1), variant("b", 1.0, 1, first=9), version=2), FakePeer, before)
    now = after.endpoints["us-east-1", "e"].instances()
    assert now["a-0"] is known["a-0"]
    assert now["b-0"] is known["b-0"]
    assert [each.ident for each in known.values() if each.peer.is_retired] == ["a-1"]
    same = CompiledTable(table(variant("a", 3.0, 1), variant("b", 1.0, 1, first=9), version=3), FakePeer, after)
    assert same.endpoints["us-east-1", "e"] is after.endpoints["us-east-1", "e"]
    CompiledTable(table(version=4, name="other"), FakePeer, same)
    assert all(each.peer.is_retired for each in now.values())


def test_an_instance_that_moved_gets_new_connections() -> None:
    before = CompiledTable(table(variant("a", 1.0, 1)), FakePeer)
    after = CompiledTable(table(variant("a", 1.0, 1, first=7), version=2), FakePeer, before)
    old, new = (each.endpoints["us-east-1", "e"].instances()["a-0"] for each in (before, after))
    assert old.peer.is_retired
    assert not new.peer.is_retired
