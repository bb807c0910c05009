"""Deployment configs in a line, for rehearsals: `world.update_endpoint("fraud", "v2", 3, canary(33, wait_s=300))`."""

from __future__ import annotations

from collections.abc import Sequence

from hostmaker.kit.json_value import Json


def all_at_once(*, final_wait_s: int = 0, alarms: Sequence[str] = (), limit_s: int | None = None) -> dict[str, Json]:
    """Everything at once; the old fleet stays for `final_wait_s`."""
    return _blue_green({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}, final_wait_s, alarms, limit_s)


def canary(
    percent: int, *, wait_s: int, final_wait_s: int = 0, alarms: Sequence[str] = (), limit_s: int | None = None
) -> dict[str, Json]:
    """First `percent` of the fleet for `wait_s`, then the rest."""
    routing: dict[str, Json] = {
        "Type": "CANARY", "WaitIntervalInSeconds": wait_s, "CanarySize": _percent(percent),
    }  # fmt: skip
    return _blue_green(routing, final_wait_s, alarms, limit_s)


def linear(
    percent: int, *, wait_s: int, final_wait_s: int = 0, alarms: Sequence[str] = (), limit_s: int | None = None
) -> dict[str, Json]:
    """Step by step, `percent` each."""
    routing: dict[str, Json] = {
        "Type": "LINEAR", "WaitIntervalInSeconds": wait_s, "LinearStepSize": _percent(percent),
    }  # fmt: skip
    return _blue_green(routing, final_wait_s, alarms, limit_s)


def rolling(
    percent: int,
    *,
    wait_s: int,
    back_percent: int | None = None,
    alarms: Sequence[str] = (),
    limit_s: int | None = None,
) -> dict[str, Json]:
    """Batch by batch, `percent` each; on the way back `back_percent` each (None: all at once)."""
    policy: dict[str, Json] = {"MaximumBatchSize": _percent(percent), "WaitIntervalInSeconds": wait_s}
    if back_percent is not None:
        policy["RollbackMaximumBatchSize"] = _percent(back_percent)
    return _with_alarms("RollingUpdatePolicy", policy, alarms, limit_s)


def _blue_green(
    routing: dict[str, Json], final_wait_s: int, alarms: Sequence[str], limit_s: int | None
) -> dict[str, Json]:
    policy: dict[str, Json] = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": final_wait_s}
    return _with_alarms("BlueGreenUpdatePolicy", policy, alarms, limit_s)


def _with_alarms(name: str, policy: dict[str, Json], alarms: Sequence[str], limit_s: int | None) -> dict[str, Json]:
    if limit_s is not None:
        policy["MaximumExecutionTimeoutInSeconds"] = limit_s
    config: dict[str, Json] = {name: policy}
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm} for alarm in alarms]}
    return config


def _percent(value: int) -> dict[str, Json]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}
