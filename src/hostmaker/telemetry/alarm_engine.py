"""Evaluates alarms when they are due, keeps their states, and tells those who watch of each change.

Alarms are kept decoded in memory; this is the only writer of their rows. Nothing here waits: whoever owns the loop
calls `look` when the last look said, and at once when `woken` is called.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from hostmaker.domain.alarm import (
    Alarm,
    AlarmKey,
    AlarmReading,
    AlarmState,
    AlarmStatus,
    CompositeAlarm,
    MetricAlarm,
    StateChange,
)
from hostmaker.domain.metric import Series
from hostmaker.kit.steps import Steps, finish
from hostmaker.ports import StoreUnavailableError
from hostmaker.telemetry.alarm_family import Family
from hostmaker.telemetry.alarm_history import acted, changed, configured
from hostmaker.telemetry.alarm_points import Readable
from hostmaker.telemetry.alarm_schedule import Cadence, Pace, Schedule
from hostmaker.telemetry.alarm_states import judged_composite, judged_metric, moment, moved, new_status
from hostmaker.telemetry.alarm_store import AlarmStore

Act = Callable[[str, StateChange], str | None]
"""Executes one action (an ARN) of an alarm that changed: gives None, or why that was not possible."""

SWEEP_EVERY_S = 3600.0
HISTORY_KEPT_S = 30 * 86400.0
MAX_AT_ONCE = 100  # alarms of one look; they are judged together
MOST_HISTORY = 100_000  # items of all alarms


def not_served(action: str, _change: StateChange) -> str | None:
    """Say why an action fails while there are no topics and no scaling policies."""
    noun = "topic" if ":sns:" in action else "scaling policy"
    return f"The {noun} {action} does not exist."


class AlarmEngine:
    """All alarms of an account. Implements `ports.Alarms`; raises StoreUnavailableError when the disk does not serve.

    After that error nothing has changed, and what was due still is.
    """

    def __init__(
        self,
        alarms: AlarmStore,
        metrics: Readable,
        now: Callable[[], float],
        told: Callable[[StateChange], None],
        account: str,
        *,
        cadence: Cadence | None = None,
        act: Act = not_served,
        woken: Callable[[], None] = lambda: None,
        deleted: Callable[[Sequence[AlarmKey]], None] = lambda _: None,
    ) -> None:
        """`now`: platform time in Unix seconds. `told`: called once for each change, after it is kept.

        `woken`: called when something has become due before the last look's answer. `deleted`: called with the alarms
        that are there no longer.
        """
        self.account = account
        self._store, self._metrics, self._now, self._told = alarms, metrics, now, told
        self._cadence, self._act, self._woken, self._deleted = cadence or Cadence(), act, woken, deleted
        self._alarms: dict[AlarmKey, Alarm] = {}
        self._statuses: dict[AlarmKey, AlarmStatus] = {}
        self._schedule = Schedule()
        self._behind: dict[AlarmKey, None] = {}  # due, and not yet looked at: they come first the next time
        self._quick: dict[Series, set[AlarmKey]] = {}  # alarms of short periods, by what they read
        self._swept_at: float | None = None
        self._family = Family()
        for alarm, status in alarms.all():
            self._learn(alarm, status)

    # What is due

    def look(self) -> float | None:
        """Evaluate what is due; return the platform seconds until the next evaluation, None when there is none."""
        return finish(self.look_in_steps())

    def look_in_steps(self) -> Steps[float | None]:
        """Do as `look`, in steps; what happens between them is respected. At most MAX_AT_ONCE alarms in one look."""
        now = self._now()
        due = self._schedule.take(now)
        order = [*(key for key in self._behind if key in due), *sorted(due.difference(self._behind))]
        self._behind = dict.fromkeys(order[MAX_AT_ONCE:])
        try:
            yield from self._look(order[:MAX_AT_ONCE], now)
        except StoreUnavailableError:
            self._again(due)
            raise
        self._again(self._behind)
        self._sweep(now)
        return self._schedule.wait(self._now())

    def _look(self, due: Sequence[AlarmKey], now: float) -> Steps[None]:
        composites = []
        judged: list[tuple[Alarm, AlarmStatus, AlarmStatus]] = []
        for key in due:
            alarm, before = self._alarms.get(key), self._statuses.get(key)
            if isinstance(alarm, CompositeAlarm):
                composites.append(key)
            elif alarm is not None and before is not None and not self._is_held(key, now):
                status = yield from judged_metric(alarm, before, self._metrics, self._pace(alarm), now)
                if status is not None:
                    judged.append((alarm, before, status))
        changes = {
            alarm.key: status
            for alarm, before, status in judged
            if self._alarms.get(alarm.key) is alarm and self._statuses[alarm.key] is before
        }
        self._judge_composites(changes, [key for key in composites if key in self._alarms], now)
        self._commit(changes, now)

    def _again(self, keys: Iterable[AlarmKey]) -> None:
        """What was due still is."""
        for key in keys:
            if key in self._alarms:
                self._schedule.also(key)

    def _pace(self, alarm: MetricAlarm) -> Pace:
        return self._cadence.pace(alarm.period_s, alarm.period_s * alarm.evaluation_periods)

    @property
    def is_quick(self) -> bool:
        """Tell whether there are alarms that have to know of data at once."""
        return bool(self._quick)

    def data_arrived(self, series: Iterable[Series]) -> None:
        """Data has come for these: alarms of periods under a minute on them are due at once."""
        due = {key for each in series for key in self._quick.get(each, ())}
        for key in due:
            self._schedule.also(key)
        if due:
            self._woken()

    def readings(self, region: str, names: Sequence[str]) -> dict[str, AlarmReading]:
        """Give what is known of alarms by name; one that does not exist is not in it."""
        found = ((name, self._statuses.get(AlarmKey(region, name))) for name in names)
        return {
            name: AlarmReading(status.state, status.transitioned_at, status.reason, status.data)
            for name, status in found
            if status is not None
        }

    # What callers ask

    def alarms(self, region: str) -> list[tuple[Alarm, AlarmStatus]]:
        """Give the alarms of a region and their states, in no particular order."""
        return [(alarm, self._statuses[key]) for key, alarm in self._alarms.items() if key.region == region]

    def alarm(self, key: AlarmKey) -> tuple[Alarm, AlarmStatus] | None:
        """Give one alarm and its state."""
        alarm = self._alarms.get(key)
        return None if alarm is None else (alarm, self._statuses[key])

    def children(self, composite: AlarmKey) -> list[AlarmKey]:
        """Give the alarms that a composite's rule names."""
        return self._family.children(composite)

    def parents(self, key: AlarmKey) -> list[AlarmKey]:
        """Give the composites whose rules name an alarm."""
        return self._family.parents(key)

    def put(self, alarm: Alarm) -> None:
        """Make an alarm or replace one of its name, which keeps its state; it is evaluated with the next look.

        Raises what `Family.fit` does: RuleError for a composite's rule, CircleError and CrowdError.
        """
        now, known = self._now(), self._statuses.get(alarm.key)
        if isinstance(alarm, CompositeAlarm):
            self._family.fit(alarm)
        status = known or new_status(now)
        self._store.put([(alarm, status)], [configured(alarm, "updated" if known else "created", moment(now))])
        self._forget(alarm.key)
        self._learn(alarm, status)
        self._woken()

    def enable(self, keys: Sequence[AlarmKey], enabled: bool) -> None:
        """Let alarms act on changes of state, or not; those that do not exist are left out."""
        now, changes = self._now(), list[tuple[Alarm, AlarmStatus]]()
        for key in dict.fromkeys(keys):
            alarm = self._alarms.get(key)
            if alarm is not None and alarm.actions.enabled is not enabled:
                actions = replace(alarm.actions, enabled=enabled)
                changes.append((replace(alarm, actions=actions, configured_at=moment(now)), self._statuses[key]))
        if changes:
            self._store.put(changes, [configured(alarm, "updated", moment(now)) for alarm, _ in changes])
        self._alarms.update((alarm.key, alarm) for alarm, _ in changes)

    def delete(self, keys: Sequence[AlarmKey]) -> None:
        """Forget alarms that exist and that no other alarm is made of."""
        at = moment(self._now())
        self._store.delete(keys, [configured(self._alarms[key], "deleted", at) for key in keys])
        for key in keys:
            self._forget(key)
        self._deleted(keys)

    def set_state(self, key: AlarmKey, state: AlarmState, reason: str, data: str) -> None:
        """Put an alarm that exists into a state, which stays for the next seconds at least."""
        now = self._now()
        until = now + self._cadence.hold_s
        changes = {key: replace(moved(self._statuses[key], state, reason, data, now), held_until=until)}
        self._judge_composites(changes, (), now)
        self._commit(changes, now, durable=True)
        if isinstance(self._alarms[key], CompositeAlarm):
            self._schedule.also(key, until)
        self._woken()

    # How states come about

    def _judge_composites(self, changes: dict[AlarmKey, AlarmStatus], due: Iterable[AlarmKey], now: float) -> None:
        """Add to `changes` what follows from them: each composite once, after all that it is made of."""
        waiting = {*due, *(parent for key in changes for parent in self._family.parents(key))}
        queue = [(self._family.rank(key), key) for key in waiting]
        heapq.heapify(queue)
        while queue:
            _, key = heapq.heappop(queue)
            status = None if self._is_held(key, now) else self._judged(key, changes, now)
            if status is None:
                continue
            changes[key] = status
            for parent in self._family.parents(key):
                if parent not in waiting:
                    waiting.add(parent)
                    heapq.heappush(queue, (self._family.rank(parent), parent))

    def _judged(self, key: AlarmKey, changes: dict[AlarmKey, AlarmStatus], now: float) -> AlarmStatus | None:
        alarm, children = self._alarms[key], self._family.children(key)
        assert isinstance(alarm, CompositeAlarm)
        now_in = {child: changes.get(child) or self._statuses.get(child) for child in children}
        states = {child: status.state for child, status in now_in.items() if status is not None}
        trigger = next(((self._alarms[child].arn, changes[child]) for child in children if child in changes), None)
        return judged_composite(alarm, self._statuses[key], self._family.state(key, states), trigger, now)

    def _commit(self, changes: dict[AlarmKey, AlarmStatus], now: float, durable: bool = False) -> None:
        if not changes:
            return
        told = [
            (self._alarms[key], self._statuses[key], self._change(key, status, now))
            for key, status in changes.items()
            if status.state is not self._statuses[key].state
        ]
        self._store.record(list(changes.items()), [changed(*each) for each in told], durable)
        self._statuses.update(changes)
        for _, _, change in told:
            self._told(change)
        actions = [(alarm, action, change) for alarm, _, change in told for action in alarm.actions.of(change.after)]
        if actions:
            self._store.record(
                (), [acted(alarm, each, change, self._act(each, change)) for alarm, each, change in actions]
            )

    def _change(self, key: AlarmKey, status: AlarmStatus, now: float) -> StateChange:
        before, arn = self._statuses[key].state, self._alarms[key].arn
        return StateChange(key.region, key.name, arn, before, status.state, status.reason, status.data, moment(now))

    def _is_held(self, key: AlarmKey, now: float) -> bool:
        until = self._statuses[key].held_until
        return until is not None and now < until

    def _sweep(self, now: float) -> None:
        if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY_S:
            self._store.sweep(now - HISTORY_KEPT_S, MOST_HISTORY)
            self._swept_at = now

    # What is in memory

    def _learn(self, alarm: Alarm, status: AlarmStatus) -> None:
        self._alarms[alarm.key], self._statuses[alarm.key] = alarm, status
        self._schedule.also(alarm.key)
        if isinstance(alarm, MetricAlarm):
            self._schedule.follow(alarm.key, self._pace(alarm), self._now())
            for series in self._quick_series(alarm):
                self._quick.setdefault(series, set()).add(alarm.key)
            return
        self._family.put(alarm)
        if status.held_until is not None:
            self._schedule.also(alarm.key, status.held_until)

    def _forget(self, key: AlarmKey) -> None:
        self._schedule.forget(key)
        self._family.forget(key)
        self._statuses.pop(key, None)
        alarm = self._alarms.pop(key, None)
        if isinstance(alarm, MetricAlarm):
            for series in self._quick_series(alarm):
                self._quick[series].discard(key)
                if not self._quick[series]:
                    del self._quick[series]

    def _quick_series(self, alarm: MetricAlarm) -> set[Series]:
        return {stat.series(alarm.region) for stat in alarm.stats} if alarm.period_s < 60 else set()
