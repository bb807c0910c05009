"""Answers the alarm operations of CloudWatch.

Comes in: who calls, and a request's members as the service model has read them. Goes out: an output, or an ApiError.
Source: CloudWatch API reference.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from hostmaker.domain.alarm import Alarm, AlarmKey, AlarmState, AlarmStatus, CompositeAlarm, MetricAlarm
from hostmaker.domain.errors import ValidationError
from hostmaker.kit.json_value import Json
from hostmaker.planner.alarm_rule import RuleError, children, parse
from hostmaker.ports import CallContext, Handler, Output
from hostmaker.telemetry.alarm_answer import composite_alarm_answer, history_answer, metric_alarm_answer
from hostmaker.telemetry.alarm_engine import AlarmEngine
from hostmaker.telemetry.alarm_family import CircleError, CrowdError
from hostmaker.telemetry.alarm_request import composite_alarm, dimensions_of, metric_alarm
from hostmaker.telemetry.alarm_store import AlarmStore, HistoryQuery
from hostmaker.telemetry.errors import (
    InvalidFormat,
    InvalidNextToken,
    InvalidParameterCombination,
    InvalidParameterValue,
    LimitExceeded,
    ResourceNotFound,
)

Request = Mapping[str, Json]

PAGE, HISTORY_PAGE = 50, 100
MOST_ALARMS = 5000
MOST_CHILDREN = 100
DEEPEST_DATA = 32  # objects and lists within each other in StateReasonData
METRIC, COMPOSITE = MetricAlarm.kind, CompositeAlarm.kind


class AlarmOperations:
    """The operations on alarms of one account."""

    def __init__(
        self,
        engine: AlarmEngine,
        store: AlarmStore,
        now: Callable[[], datetime],
        account: str,
        most_alarms: int = MOST_ALARMS,
    ) -> None:
        """`now` gives platform time; `most_alarms`: how many a region may have."""
        self._engine = engine
        self._store = store
        self._now = now
        self._account = account
        self._most_alarms = most_alarms

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Give the handlers by service and operation."""
        return {
            ("cloudwatch", "PutMetricAlarm"): self.put_metric_alarm,
            ("cloudwatch", "PutCompositeAlarm"): self.put_composite_alarm,
            ("cloudwatch", "DescribeAlarms"): self.describe_alarms,
            ("cloudwatch", "DescribeAlarmsForMetric"): self.describe_alarms_for_metric,
            ("cloudwatch", "DescribeAlarmHistory"): self.describe_alarm_history,
            ("cloudwatch", "SetAlarmState"): self.set_alarm_state,
            ("cloudwatch", "DeleteAlarms"): self.delete_alarms,
            ("cloudwatch", "EnableAlarmActions"): self.enable_alarm_actions,
            ("cloudwatch", "DisableAlarmActions"): self.disable_alarm_actions,
        }

    # Changes

    def put_metric_alarm(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """PutMetricAlarm."""
        alarm = metric_alarm(ctx.region, self._account, request, self._now())
        self._check_place(alarm)
        self._engine.put(alarm)
        return None

    def put_composite_alarm(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """PutCompositeAlarm; the alarms that its rule names must exist."""
        alarm = composite_alarm(ctx.region, self._account, request, self._now())
        self._check_place(alarm)
        try:
            self._check_children(alarm)
            self._engine.put(alarm)
        except (RuleError, CircleError) as error:
            raise ValidationError(f"Invalid AlarmRule: {error}") from error
        except CrowdError as error:
            raise LimitExceeded(str(error)) from error
        return None

    def set_alarm_state(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """SetAlarmState; the state stays until the next evaluation that is ten seconds later or more."""
        key, data = AlarmKey(ctx.region, str(request["AlarmName"])), str(request.get("StateReasonData") or "")
        self._existing(key)
        if data and not _is_json(data):
            raise InvalidFormat(f"StateReasonData is not valid JSON, less than {DEEPEST_DATA} levels deep.")
        self._engine.set_state(key, AlarmState(request["StateValue"]), str(request["StateReason"]), data)
        return None

    def delete_alarms(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DeleteAlarms; names of no alarm do not keep the others from being deleted."""
        asked = _keys(ctx, request)
        found = [key for key in asked if self._engine.alarm(key)]
        if asked and not found:
            raise ResourceNotFound(f"No alarm of these names exists: {', '.join(key.name for key in asked)[:200]}")
        for key in found:
            if parents := [parent.name for parent in self._engine.parents(key) if parent not in found]:
                raise ValidationError(
                    f"Cannot delete {key.name} as there are composite alarm(s) depending on it: {', '.join(parents)}"
                )
        self._engine.delete(found)
        return None

    def enable_alarm_actions(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """EnableAlarmActions; as with the service, names of no alarm are no error."""
        self._engine.enable(_keys(ctx, request), enabled=True)
        return None

    def disable_alarm_actions(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DisableAlarmActions; as with the service, names of no alarm are no error."""
        self._engine.enable(_keys(ctx, request), enabled=False)
        return None

    # Descriptions

    def describe_alarms(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeAlarms; without AlarmTypes it gives metric alarms alone, as the service does."""
        if "ChildrenOfAlarmName" in request or "ParentsOfAlarmName" in request:
            return self._describe_family(ctx, request)
        kinds, names = _kinds(request), cast(Sequence[str] | None, request.get("AlarmNames"))
        prefix, state = str(request.get("AlarmNamePrefix") or ""), request.get("StateValue")
        if names and prefix:
            raise InvalidParameterCombination("The parameters AlarmNames and AlarmNamePrefix exclude each other.")
        action = str(request.get("ActionPrefix") or "")
        found = [
            (alarm, status)
            for alarm, status in self._engine.alarms(ctx.region)
            if alarm.kind in kinds
            and alarm.name.startswith(prefix)
            and (not names or alarm.name in names)
            and (state is None or status.state.value == state)
            and any(each.startswith(action) for each in (*_all_actions(alarm), *(() if action else ("",))))
        ]
        page, token = _page(found, request)
        return {
            "MetricAlarms": [metric_alarm_answer(a, s) for a, s in page if isinstance(a, MetricAlarm)],
            "CompositeAlarms": [composite_alarm_answer(a, s) for a, s in page if isinstance(a, CompositeAlarm)],
            "NextToken": token,
        }

    def describe_alarms_for_metric(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeAlarmsForMetric: alarms on exactly this metric, none of expressions or composites."""
        dimensions = set(dimensions_of(request.get("Dimensions")))
        stat = request.get("Statistic") or request.get("ExtendedStatistic")
        wanted = (("Period", "period_s"), ("Unit", "unit"))
        found = [
            metric_alarm_answer(alarm, status)
            for alarm, status in sorted(self._engine.alarms(ctx.region), key=lambda each: each[0].name)
            if isinstance(alarm, MetricAlarm)
            and (metric := alarm.metric) is not None
            and (metric.namespace, metric.name) == (request["Namespace"], request["MetricName"])
            and set(metric.dimensions) == dimensions
            and (stat is None or metric.stat == stat)
            and all(request.get(member, getattr(metric, field)) == getattr(metric, field) for member, field in wanted)
        ]
        return {"MetricAlarms": found}

    def describe_alarm_history(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        """DescribeAlarmHistory, also of alarms that were deleted."""
        if "AlarmContributorId" in request:
            raise InvalidParameterValue("AlarmContributorId is not supported: no alarm has contributors.")
        token, limit = request.get("NextToken"), _limit(request, HISTORY_PAGE)
        query = HistoryQuery(
            ctx.region,
            _kinds(request),
            cast(str | None, request.get("AlarmName")),
            cast(str | None, request.get("HistoryItemType")),
            cast(float | None, request.get("StartDate")),
            cast(float | None, request.get("EndDate")),
            request.get("ScanBy") == "TimestampAscending",
            None if token is None else int(_read_token(str(token), int)),
        )
        items = self._store.history(query, limit + 1)
        more = _token(items[limit - 1][0]) if len(items) > limit else None
        return {"AlarmHistoryItems": [history_answer(item) for _, item in items[:limit]], "NextToken": more}

    def _describe_family(self, ctx: CallContext, request: dict[str, Json]) -> Output:
        allowed = {"MaxRecords", "NextToken"}
        members = [member for member in request if member not in allowed]
        if len(members) > 1:
            raise InvalidParameterCombination(f"The parameters {', '.join(members)} exclude each other.")
        key = AlarmKey(ctx.region, str(request[members[0]]))
        alarm, _ = self._existing(key)
        if members == ["ParentsOfAlarmName"]:
            keys = self._engine.parents(key)
        else:
            keys = self._engine.children(key) if isinstance(alarm, CompositeAlarm) else []
        page, token = _page([found for each in keys if (found := self._engine.alarm(each))], request)
        told = {
            kind: [_as_relative(a, s, members[0]) for a, s in page if a.kind == kind] for kind in (METRIC, COMPOSITE)
        }
        return {"MetricAlarms": told[METRIC], "CompositeAlarms": told[COMPOSITE], "NextToken": token}

    # Rules

    def _existing(self, key: AlarmKey) -> tuple[Alarm, AlarmStatus]:
        found = self._engine.alarm(key)
        if found is None:
            raise ResourceNotFound(f"The alarm {key.name} does not exist in {key.region}.")
        return found

    def _check_place(self, alarm: Alarm) -> None:
        known = self._engine.alarm(alarm.key)
        if known is not None and known[0].kind != alarm.kind:
            raise ValidationError(f"The alarm {alarm.name} exists as a {known[0].kind}; its type cannot change.")
        if known is None and len(self._engine.alarms(alarm.region)) >= self._most_alarms:
            raise LimitExceeded(f"The limit of {self._most_alarms} alarms in {alarm.region} is reached.")

    def _check_children(self, alarm: CompositeAlarm) -> None:
        names = children(parse(alarm.rule))
        if len(names) > MOST_CHILDREN:
            raise ValidationError(f"AlarmRule names {len(names)} alarms; at most {MOST_CHILDREN} are allowed.")
        prefix = alarm.arn.removesuffix(alarm.name)
        for name in names:
            key = AlarmKey(alarm.region, name.removeprefix(prefix))
            if key != alarm.key and self._engine.alarm(key) is None:
                raise ValidationError(
                    f"AlarmRule names the alarm {name}, which does not exist in {alarm.region} and this account."
                )


def _as_relative(alarm: Alarm, status: AlarmStatus, asked: str) -> Mapping[str, object]:
    """Tell the little that the service tells of parents and children."""
    names = {"AlarmName": alarm.name, "AlarmArn": alarm.arn}
    if asked == "ParentsOfAlarmName":
        return names
    return {**names, "StateValue": status.state.value, "StateUpdatedTimestamp": status.updated_at}


def _keys(ctx: CallContext, request: Request) -> list[AlarmKey]:
    return [AlarmKey(ctx.region, name) for name in dict.fromkeys(cast(Sequence[str], request["AlarmNames"]))]


def _kinds(request: Request) -> tuple[str, ...]:
    return tuple(cast(Sequence[str], request.get("AlarmTypes") or (METRIC,)))


def _all_actions(alarm: Alarm) -> tuple[str, ...]:
    return (*alarm.actions.ok, *alarm.actions.alarm, *alarm.actions.insufficient)


def _is_json(text: str) -> bool:
    try:
        level = [json.loads(text)]
    except (ValueError, RecursionError):
        return False
    for _ in range(DEEPEST_DATA):
        level = [inner for each in level if isinstance(each, dict | list) for inner in _inside(each)]
    return not level


def _inside(value: dict[str, Json] | list[Json]) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value


# Pages: a token names the last item shown, so they stay right while alarms come and go


def _page(
    found: Sequence[tuple[Alarm, AlarmStatus]], request: Request
) -> tuple[Sequence[tuple[Alarm, AlarmStatus]], str | None]:
    limit, rest = _limit(request, PAGE), sorted(found, key=lambda each: each[0].name)
    if (token := request.get("NextToken")) is not None:
        last = str(_read_token(str(token), str))
        rest = [each for each in rest if each[0].name > last]
    return rest[:limit], _token(rest[limit - 1][0].name) if len(rest) > limit else None


def _limit(request: Request, default: int) -> int:
    return int(cast(int, request.get("MaxRecords") or default))


def _token(last: str | int) -> str:
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def _read_token(token: str, kind: type[str] | type[int]) -> str | int:
    try:
        last = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except ValueError:
        last = None
    if type(last) is not kind:
        raise InvalidNextToken("The NextToken was given by no page of this operation.")
    return last
