"""The alarm operations; botocore's model says of every request and answer here that it is of the service's form."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

import botocore.session
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from hostmaker.domain.errors import ApiError, ValidationError
from hostmaker.domain.metric import Series, Summary, of_value
from hostmaker.kit.database import migrate
from hostmaker.kit.steps import Steps
from hostmaker.ports import CallContext
from hostmaker.telemetry.alarm_api import AlarmOperations
from hostmaker.telemetry.alarm_engine import AlarmEngine
from hostmaker.telemetry.alarm_store import AlarmStore
from hostmaker.telemetry.errors import (
    InvalidFormat,
    InvalidNextToken,
    InvalidParameterCombination,
    InvalidParameterValue,
    LimitExceeded,
    MissingParameter,
    ResourceNotFound,
)

ACCOUNT, REGION, START = "123456789012", "us-east-1", 1_795_500_000.0
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:pager"
POLICY = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:0b:resource/sagemaker/endpoint/e/variant/v:policyName/p"
SIMPLE: Mapping[str, object] = {
    "AlarmName": "errors",
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocation5XXErrors",
    "Dimensions": [{"Name": "VariantName", "Value": "v"}, {"Name": "EndpointName", "Value": "e"}],
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 0.1,
    "ComparisonOperator": "GreaterThanThreshold",
}
RATE: Mapping[str, object] = {
    "AlarmName": "rate",
    "EvaluationPeriods": 1,
    "Threshold": 0.1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Metrics": [
        {"Id": "e", "Expression": "FILL(m1, 0) / m2", "Label": "rate"},
        {
            "Id": "m1",
            "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "bad"}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        },
        {
            "Id": "m2",
            "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "all"}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        },
    ],
}
DEFAULTS = {"ActionsEnabled": True, "OKActions": [], "AlarmActions": [], "InsufficientDataActions": []}


@cache
def model() -> ServiceModel:
    return botocore.session.Session().get_service_model("cloudwatch")


class Metrics:
    """One value in every minute of every series."""

    def windows(
        self, series: Series, starts: Sequence[int], length_s: int, step_s: int, unit: str | None
    ) -> Steps[list[Summary | None]]:
        yield
        return [of_value(1.0, length_s // step_s) for _ in starts]


class Caller:
    """Calls operations as a client does."""

    def __init__(self, most_alarms: int = 5000) -> None:
        self.now = START
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.db, "hostmaker.telemetry")
        store = AlarmStore(self.db)
        self.engine = AlarmEngine(store, Metrics(), lambda: self.now, lambda change: None, ACCOUNT)
        moment = lambda: datetime.fromtimestamp(self.now, UTC)  # noqa: E731
        self.handlers = AlarmOperations(self.engine, store, moment, ACCOUNT, most_alarms).handlers()

    def __call__(self, operation: str, region: str = REGION, **members: object) -> dict[str, object]:
        shapes = model().operation_model(operation)
        check(members, shapes.input_shape)
        context = CallContext(region, ACCOUNT, "AKIA", "request")
        output = self.handlers["cloudwatch", operation](context, json.loads(json.dumps(members)))
        assert (output is None) == (shapes.output_shape is None)
        answer = dropped(output)
        if shapes.output_shape is not None:
            check(answer, shapes.output_shape)
        assert isinstance(answer, dict)
        return answer

    def names(self, **members: object) -> list[str]:
        answer = self("DescribeAlarms", **members)
        return [each["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for each in answer[kind]]  # type: ignore[attr-defined]

    def one(self, name: str) -> dict[str, object]:
        (found,) = self("DescribeAlarms", AlarmNames=[name])["MetricAlarms"]  # type: ignore[misc]
        assert isinstance(found, dict)
        return found


def check(value: object, shape: object) -> None:
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


def dropped(value: object) -> object:
    """Leave out members that are None, as the wire does."""
    if isinstance(value, Mapping):
        return {key: dropped(each) for key, each in value.items() if each is not None}
    return (
        [dropped(each) for each in value]
        if isinstance(value, list | tuple)
        else value or ({} if value is None else value)
    )


@pytest.fixture
def call() -> Caller:
    return Caller()


def test_what_is_put_comes_back_and_what_was_absent_stays_absent(call: Caller) -> None:
    call("PutMetricAlarm", **SIMPLE)
    found = call.one("errors")
    at = datetime.fromtimestamp(START, UTC)
    assert found == {
        **SIMPLE,
        **DEFAULTS,
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:errors",
        "AlarmConfigurationUpdatedTimestamp": at,
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": at,
        "StateTransitionedTimestamp": at,
    }


def test_every_other_member_comes_back_too(call: Caller) -> None:
    members: Mapping[str, object] = {
        **{name: value for name, value in SIMPLE.items() if name != "Statistic"},
        "ExtendedStatistic": "p99.9",
        "EvaluateLowSampleCountPercentile": "ignore",
        "Unit": "Microseconds",
        "DatapointsToAlarm": 2,
        "TreatMissingData": "notBreaching",
        "AlarmDescription": "why",
        "ActionsEnabled": False,
        "OKActions": [TOPIC],
        "AlarmActions": [POLICY, TOPIC],
        "InsufficientDataActions": [TOPIC],
    }
    call("PutMetricAlarm", **members)
    found = call.one("errors")
    assert {name: found[name] for name in members} == members
    assert "Statistic" not in found


def test_metric_math_comes_back(call: Caller) -> None:
    call("PutMetricAlarm", **RATE)
    found = call.one("rate")
    assert [each["Id"] for each in found["Metrics"]] == ["e", "m1", "m2"]  # type: ignore[attr-defined]
    assert found["Metrics"][0] == {"Id": "e", "Expression": "FILL(m1, 0) / m2", "Label": "rate"}  # type: ignore[index]
    assert not found.keys() & {"Period", "Dimensions", "Statistic", "Namespace"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [  # as public templates of alarms write them; every metric is 1.0 in every minute
        ("SUM([FILL(m1,0),FILL(m2,0)])", 2.0),
        ("IF(m1 > 0, m2 / m1 * 100, 0)", 100.0),
        ("IF(FILL(m1, 0) > 0, (m1 + m2) / FILL(m1, 0), m1 + m2)", 2.0),
        ("IF((m1+m2)>0, m2/(m1+m2), 0)", 0.5),
        ("IF(m1 > 0 AND m2 == 1, 1, 0)", 1.0),
        ("IF(m1 < m2, 1, 0)", 0.0),
        ("FILL(m1, 0) + FILL(m2, 0)", 2.0),
        ("FILL(m1, 0) / IF(FILL(m2, 0) > 0, FILL(m2, 0), 1) * 100", 100.0),
        ("(m1/PERIOD(m1))/FILL(m2, REPEAT)", 1 / 60),
        ("100*(m2/m1)", 100.0),
        ("SUM(METRICS())/(1024*1024)", 2 / 1024**2),
        ('SUM(METRICS("m1"))/SUM(METRICS("m"))*100', 50.0),
        ("MAX([m1,m2])", 1.0),
        ("AVG(METRICS())", 1.0),
        ("RATE(m1) * 60 + m2", 1.0),
        ("ABS(DIFF(m1))", 0.0),
        ("1-(m2/(m1+m2))", 0.5),
        ("m1 - RUNNING_SUM(m2) + RUNNING_SUM(m2)", 1.0),
        ("IF(HOUR(m1) >= 0 && DAY(m1) <= 7, m1)", 1.0),
        ("FIRST(SORT(METRICS(), AVG, DESC))", 1.0),
        ("TIME_SERIES(5) * m1", 5.0),
        ("DATAPOINT_COUNT(METRICS())", 2.0),
    ],
)
def test_alarms_as_public_templates_have_them(call: Caller, expression: str, value: float) -> None:
    queries = [{**each, "Expression": expression} if "Expression" in each else each for each in RATE["Metrics"]]  # type: ignore[attr-defined]
    rule = {"Threshold": value, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "EvaluationPeriods": 1}
    call("PutMetricAlarm", **{**RATE, **rule, "Metrics": queries})
    call.engine.look()
    found = call.one("rate")
    assert found["StateValue"] == "ALARM"
    assert json.loads(str(found["StateReasonData"]))["recentDatapoints"] == [pytest.approx(value)]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("METRICS()", "an alarm watches a single time series"),
        ("SUM(m1)", "Error in expression 'e': The result is a scalar"),
        ("SEARCH('{N} x', 'Sum')", "Error in expression 'e': The function 'SEARCH' is not supported"),
        ("ANOMALY_DETECTION_BAND(m1, 2)", "Error in expression 'e': The function 'ANOMALY_DETECTION_BAND'"),
        ("EXP(m1)", "Error in expression 'e': Function 'EXP' not found"),
        ("m3 * 2", "The id 'm3' is not among those of the request"),
    ],
)
def test_expressions_that_no_alarm_can_watch(call: Caller, expression: str, why: str) -> None:
    queries = [{**each, "Expression": expression} if "Expression" in each else each for each in RATE["Metrics"]]  # type: ignore[attr-defined]
    with pytest.raises(ValidationError) as caught:
        call("PutMetricAlarm", **{**RATE, "Metrics": queries})
    assert why in str(caught.value)


def test_an_alarm_goes_into_alarm_and_tells_why(call: Caller) -> None:
    call("PutMetricAlarm", **SIMPLE)
    call.engine.look()
    found = call.one("errors")
    assert found["StateValue"] == "ALARM"
    assert str(found["StateReason"]).startswith(
        "Threshold Crossed: 3 out of the last 3 datapoints [1.0 (24/11/26 05:58:00)"
    )
    assert json.loads(str(found["StateReasonData"]))["recentDatapoints"] == [1.0, 1.0, 1.0]
    items = call("DescribeAlarmHistory", AlarmName="errors")["AlarmHistoryItems"]
    assert [each["HistoryItemType"] for each in items] == ["StateUpdate", "ConfigurationUpdate"]  # type: ignore[attr-defined]
    data = json.loads(items[0]["HistoryData"])  # type: ignore[index]
    assert data["oldState"]["stateValue"] == "INSUFFICIENT_DATA"
    assert data["newState"]["stateReasonData"]["threshold"] == 0.1


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in SIMPLE.items() if name not in names}


def query(**members: object) -> dict[str, object]:
    stat = {"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    return {"Id": "m1", "MetricStat": stat, **members}


def of_queries(*queries: Mapping[str, object]) -> dict[str, object]:
    return {**RATE, "Metrics": list(queries)}


STAT = query()["MetricStat"]
assert isinstance(STAT, dict)


@pytest.mark.parametrize(
    ("request_members", "error", "part"),
    [
        ({**SIMPLE, "Tags": [{"Key": "k", "Value": "v"}]}, InvalidParameterValue, "Tags is not supported"),
        ({**SIMPLE, "ThresholdMetricId": "t1"}, InvalidParameterValue, "ThresholdMetricId is not supported"),
        (
            {**SIMPLE, "ComparisonOperator": "GreaterThanUpperThreshold"},
            InvalidParameterValue,
            "GreaterThanUpperThreshold is not supported",
        ),
        (without("ComparisonOperator"), MissingParameter, "ComparisonOperator"),
        (without("Threshold"), MissingParameter, "Threshold"),
        (without("EvaluationPeriods"), MissingParameter, "EvaluationPeriods"),
        (without("Period"), MissingParameter, "Period"),
        (without("Namespace"), MissingParameter, "Namespace"),
        (without("MetricName"), MissingParameter, "MetricName and Metrics"),
        (without("Statistic"), MissingParameter, "Statistic and ExtendedStatistic"),
        ({**SIMPLE, "ExtendedStatistic": "p99"}, InvalidParameterCombination, "exclude each other"),
        ({**without("Statistic"), "ExtendedStatistic": "tm90"}, InvalidParameterValue, "tm90 of ExtendedStatistic"),
        ({**without("Statistic"), "ExtendedStatistic": "p101"}, InvalidParameterValue, "p101"),
        ({**SIMPLE, "Period": 45}, ValidationError, "Period must be 1, 5, 10, 20, 30 or a multiple of 60; it is 45"),
        ({**SIMPLE, "DatapointsToAlarm": 4}, ValidationError, "DatapointsToAlarm (4)"),
        ({**SIMPLE, "EvaluationPeriods": 1441}, ValidationError, "must be <= 86400"),
        ({**SIMPLE, "Period": 3600, "EvaluationPeriods": 169}, ValidationError, "must be <= 604800"),
        ({**SIMPLE, "Period": 10, "EvaluationPeriods": 1081}, ValidationError, "must be <= 10800"),
        ({**SIMPLE, "TreatMissingData": "well"}, ValidationError, "it is well"),
        ({**SIMPLE, "EvaluateLowSampleCountPercentile": "ignore"}, InvalidParameterCombination, "ExtendedStatistic"),
        ({**SIMPLE, "AlarmActions": ["arn:aws:lambda:us-east-1:123456789012:function:f"]}, ValidationError, "lambda"),
        (
            {**SIMPLE, "Dimensions": [{"Name": "a", "Value": "b"}, {"Name": "a", "Value": "c"}]},
            InvalidParameterValue,
            "two dimensions of one name",
        ),
        ({**RATE, "MetricName": "m", "Period": 60}, InvalidParameterCombination, "excludes MetricName, Period"),
        (of_queries(query(), query()), ValidationError, "not different"),
        (of_queries(query(), query(Id="m2")), ValidationError, "2 do"),
        (of_queries(query(ReturnData=False)), ValidationError, "0 do"),
        (of_queries(query(Id="M")), ValidationError, "'M'"),
        (of_queries(query(AccountId=ACCOUNT)), InvalidParameterValue, "AccountId of m1"),
        (of_queries(query(Expression="m1 + 1")), ValidationError, "either MetricStat or Expression"),
        (of_queries({"Id": "e", "Expression": "m1 + 1"}), ValidationError, "0 metrics"),
        (of_queries(query(MetricStat={**STAT, "Stat": "TM(1:2)"})), InvalidParameterValue, "TM(1:2) of Stat"),
        (of_queries(query(Period=60)), InvalidParameterCombination, "Period of m1"),
        (
            of_queries(query(ReturnData=False), {"Id": "e", "Expression": "m1 * m7"}),
            ValidationError,
            "'m7' is not among",
        ),
        (
            of_queries(query(ReturnData=False), {"Id": "e", "Expression": "SEARCH('x', 'Sum')"}),
            ValidationError,
            "'SEARCH' is not supported",
        ),
        (
            of_queries(query(ReturnData=False), {"Id": "e", "Expression": "m1 + e"}),
            ValidationError,
            "in a circle",
        ),
        (
            of_queries(query(ReturnData=False), {"Id": "e", "Expression": "m1 + 1", "Period": 300}),
            ValidationError,
            "one Period",
        ),
    ],
)
def test_what_breaks_a_rule_is_refused_and_said(
    call: Caller, request_members: dict[str, object], error: type[ApiError], part: str
) -> None:
    with pytest.raises(error) as caught:
        call("PutMetricAlarm", **request_members)
    assert part in caught.value.message
    assert call.names() == []


def test_alarms_are_limited_and_replacing_needs_no_room() -> None:
    call = Caller(most_alarms=1)
    call("PutMetricAlarm", **SIMPLE)
    call("PutMetricAlarm", **SIMPLE)
    with pytest.raises(LimitExceeded):
        call("PutMetricAlarm", **{**SIMPLE, "AlarmName": "other"})
    call("PutMetricAlarm", "eu-west-1", **{**SIMPLE, "AlarmName": "other"})


def test_regions_know_nothing_of_each_other(call: Caller) -> None:
    call("PutMetricAlarm", **SIMPLE)
    assert call("DescribeAlarms", "eu-west-1")["MetricAlarms"] == []
    with pytest.raises(ResourceNotFound):
        call("DeleteAlarms", "eu-west-1", AlarmNames=["errors"])


def test_a_put_is_on_disk_when_it_is_answered(call: Caller) -> None:
    statements: list[str] = []
    call.db.set_trace_callback(statements.append)
    call("PutMetricAlarm", **SIMPLE)
    call.engine.look()
    wanted = ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE", "COMMIT", "PRAGMA synchronous = NORMAL"]
    found = [each for each in statements if each.startswith(("PRAGMA", "BEGIN", "COMMIT"))]
    assert found[:4] == wanted
    assert wanted[0] not in found[4:]  # an evaluation is not what a caller was answered


def put_many(call: Caller) -> None:
    for name in ("b", "a", "c"):
        call("PutMetricAlarm", **{**SIMPLE, "AlarmName": name, "AlarmActions": [TOPIC] if name == "b" else []})
    call("PutCompositeAlarm", AlarmName="any", AlarmRule='ALARM(a) OR ALARM("b")')
    call("PutCompositeAlarm", AlarmName="top", AlarmRule="NOT OK(any)", AlarmDescription="d", AlarmActions=[TOPIC])


def test_alarms_are_found_by_name_prefix_type_state_and_action(call: Caller) -> None:
    put_many(call)
    both = ["MetricAlarm", "CompositeAlarm"]
    assert call.names() == ["a", "b", "c"]
    assert call.names(AlarmTypes=both) == ["a", "b", "c", "any", "top"]
    assert call.names(AlarmTypes=["LogAlarm"]) == []
    assert call.names(AlarmNames=["c", "gone", "any"]) == ["c"]
    assert call.names(AlarmNamePrefix="a", AlarmTypes=both) == ["a", "any"]
    assert call.names(ActionPrefix="arn:aws:sns", AlarmTypes=both) == ["b", "top"]
    call("SetAlarmState", AlarmName="a", StateValue="OK", StateReason="test")
    assert call.names(StateValue="OK", AlarmTypes=both) == ["a", "any", "top"]
    with pytest.raises(InvalidParameterCombination):
        call.names(AlarmNames=["a"], AlarmNamePrefix="a")


def test_a_composite_comes_back(call: Caller) -> None:
    put_many(call)
    (found,) = call("DescribeAlarms", AlarmNames=["top"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]  # type: ignore[misc]
    assert isinstance(found, dict)
    assert (found["AlarmRule"], found["AlarmDescription"], found["AlarmActions"]) == ("NOT OK(any)", "d", [TOPIC])
    assert found["StateReason"] == "Unchecked: Initial alarm creation"


def test_families_are_told(call: Caller) -> None:
    put_many(call)
    assert call.names(ChildrenOfAlarmName="any") == ["a", "b"]
    assert call.names(ChildrenOfAlarmName="a") == []
    assert call.names(ParentsOfAlarmName="a") == ["any"]
    assert call.names(ParentsOfAlarmName="any") == ["top"]
    with pytest.raises(ResourceNotFound):
        call.names(ParentsOfAlarmName="gone")
    with pytest.raises(InvalidParameterCombination):
        call.names(ParentsOfAlarmName="a", AlarmNamePrefix="a")


@pytest.mark.parametrize(
    "rule", ["ALARM(gone)", "ALARM(a", "ALARM(top)", "ALARM(arn:aws:cloudwatch:eu-west-1:1:alarm:a)"]
)
def test_rules_that_do_not_hold_together_are_refused(call: Caller, rule: str) -> None:
    put_many(call)
    with pytest.raises(ValidationError, match="AlarmRule"):
        call("PutCompositeAlarm", AlarmName="any", AlarmRule=rule)


def test_the_type_of_an_alarm_stays(call: Caller) -> None:
    put_many(call)
    with pytest.raises(ValidationError, match="type cannot change"):
        call("PutCompositeAlarm", AlarmName="a", AlarmRule="TRUE")


def test_suppressors_are_refused_by_name(call: Caller) -> None:
    with pytest.raises(InvalidParameterValue, match="ActionsSuppressor"):
        call("PutCompositeAlarm", AlarmName="x", AlarmRule="TRUE", ActionsSuppressor="y")


def test_deleting_takes_what_exists_and_spares_what_others_need(call: Caller) -> None:
    put_many(call)
    with pytest.raises(ValidationError, match="Cannot delete a as there are composite alarm"):
        call("DeleteAlarms", AlarmNames=["c", "a"])
    assert call.names() == ["a", "b", "c"]
    call("DeleteAlarms", AlarmNames=["c", "gone", "a", "any", "top"])
    assert call.names(AlarmTypes=["MetricAlarm", "CompositeAlarm"]) == ["b"]
    with pytest.raises(ResourceNotFound) as caught:
        call("DeleteAlarms", AlarmNames=["gone"])
    assert caught.value.status == 404
    call("DeleteAlarms", AlarmNames=[])


def test_a_state_is_set(call: Caller) -> None:
    put_many(call)
    call("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="test", StateReasonData='{"a": [1]}')
    found = call.one("a")
    assert (found["StateValue"], found["StateReason"], found["StateReasonData"]) == ("ALARM", "test", '{"a": [1]}')
    with pytest.raises(ResourceNotFound):
        call("SetAlarmState", AlarmName="gone", StateValue="OK", StateReason="test")
    for data in ("{", "[" * 3999, "[" * 100 + "]" * 100):
        with pytest.raises(InvalidFormat):
            call("SetAlarmState", AlarmName="a", StateValue="OK", StateReason="test", StateReasonData=data)
    assert call.one("a")["StateValue"] == "ALARM"


def test_long_texts_fit_the_history(call: Caller) -> None:
    put_many(call)
    for state in ("ALARM", "OK"):
        data = json.dumps("ü" * 3900, ensure_ascii=False)
        call("SetAlarmState", AlarmName="a", StateValue=state, StateReason="\u0001" * 1023, StateReasonData=data)
    for item in call("DescribeAlarmHistory", AlarmName="a", HistoryItemType="StateUpdate")["AlarmHistoryItems"]:  # type: ignore[attr-defined]
        assert len(item["HistoryData"]) <= 4095
        assert json.loads(item["HistoryData"])["newState"]["stateValue"] in ("ALARM", "OK")


def test_actions_are_enabled_and_disabled(call: Caller) -> None:
    put_many(call)
    call("DisableAlarmActions", AlarmNames=["b", "gone"])
    assert call.one("b")["ActionsEnabled"] is False
    call("SetAlarmState", AlarmName="b", StateValue="ALARM", StateReason="test")
    assert call("DescribeAlarmHistory", AlarmName="b", HistoryItemType="Action")["AlarmHistoryItems"] == []
    call("EnableAlarmActions", AlarmNames=["b"])
    assert call.one("b")["ActionsEnabled"] is True


def test_alarms_are_found_by_exactly_their_metric(call: Caller) -> None:
    put_many(call)
    call("PutMetricAlarm", **RATE)
    metric = {"Namespace": SIMPLE["Namespace"], "MetricName": SIMPLE["MetricName"]}
    dimensions = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]

    def names(**members: object) -> list[str]:
        found = call("DescribeAlarmsForMetric", **{**metric, **members})["MetricAlarms"]
        return [each["AlarmName"] for each in found]  # type: ignore[attr-defined]

    assert names(Dimensions=dimensions) == ["a", "b", "c"]
    assert names() == []
    assert names(Dimensions=dimensions[:1]) == []
    assert names(Dimensions=dimensions, Statistic="Sum") == []
    assert names(Dimensions=dimensions, Statistic="Average", Period=60) == ["a", "b", "c"]
    assert names(Dimensions=dimensions, Period=300) == []
    assert names(Dimensions=dimensions, Unit="Count") == []
    assert names(Namespace="N", MetricName="bad") == []


def test_history_is_found_by_kind_and_time(call: Caller) -> None:
    put_many(call)
    call.now += 100
    call("SetAlarmState", AlarmName="b", StateValue="ALARM", StateReason="test")
    later = datetime.fromtimestamp(START + 50, UTC)

    def summaries(**members: object) -> list[str]:
        shown = {**members}
        check(shown, model().operation_model("DescribeAlarmHistory").input_shape)
        plain = {key: each.timestamp() if isinstance(each, datetime) else each for key, each in shown.items()}
        context = CallContext(REGION, ACCOUNT, "AKIA", "request")
        output = call.handlers["cloudwatch", "DescribeAlarmHistory"](context, plain)  # type: ignore[arg-type]
        return [each["HistorySummary"] for each in output["AlarmHistoryItems"]]  # type: ignore[index]

    changed = "Alarm updated from INSUFFICIENT_DATA to ALARM"
    assert summaries(StartDate=later) == [f"Failed to execute action {TOPIC}", changed]
    assert summaries(StartDate=later, ScanBy="TimestampAscending", HistoryItemType="StateUpdate") == [changed]
    assert summaries(EndDate=later, AlarmName="b") == ['Alarm "b" created']
    assert summaries(AlarmTypes=["CompositeAlarm"], StartDate=later, HistoryItemType="StateUpdate") == [changed] * 2
    call("DeleteAlarms", AlarmNames=["c"])
    assert summaries(AlarmName="c")[0] == 'Alarm "c" deleted'
    with pytest.raises(InvalidParameterValue, match="AlarmContributorId"):
        summaries(AlarmContributorId="1")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.booleans())
def test_pages_show_everything_once(limit: int, ascending: bool) -> None:
    call = Caller()
    names = [f"a{number:02d}" for number in range(12)]
    for name in reversed(names):
        call("PutMetricAlarm", **{**SIMPLE, "AlarmName": name})
    order = "TimestampAscending" if ascending else "TimestampDescending"
    for operation, member, extra, expected in (
        ("DescribeAlarms", "MetricAlarms", {}, names),
        ("DescribeAlarmHistory", "AlarmHistoryItems", {"ScanBy": order}, names[::-1] if ascending else names),
    ):
        seen: list[str] = []
        token: dict[str, object] = {}
        while True:
            answer = call(operation, MaxRecords=limit, **extra, **token)
            page = [each["AlarmName"] for each in answer[member]]  # type: ignore[attr-defined]
            assert len(page) <= limit
            seen += page
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        assert seen == expected


@pytest.mark.parametrize("token", ["", "x", "bnVsbA==", "é", "W10=", "InN0"])
def test_tokens_of_no_page_are_refused(call: Caller, token: str) -> None:
    for operation in ("DescribeAlarms", "DescribeAlarmHistory"):
        with pytest.raises(InvalidNextToken):
            call(operation, NextToken=token)
