"""Who is made of whom: the composite alarms, the alarms that their rules name, and the order to judge them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hostmaker.domain.alarm import AlarmKey, AlarmState, CompositeAlarm
from hostmaker.planner.alarm_rule import Condition, children, holds, parse


@dataclass(frozen=True, slots=True)
class _Parsed:
    condition: Condition
    keys: Mapping[str, AlarmKey]  # by the names or ARNs that stand in the rule


class CircleError(ValueError):
    """Composite alarms that name each other in a circle: no order would judge them."""


class Family:
    """The composites at one moment; it is made anew when one of them comes, changes or goes."""

    def __init__(self, composites: Iterable[CompositeAlarm]) -> None:
        """Raises RuleError, and CircleError when composites name each other in a circle."""
        self._parsed = {alarm.key: _parsed(alarm) for alarm in composites}
        self._parents: dict[AlarmKey, list[AlarmKey]] = {}
        for parent, parsed in self._parsed.items():
            for child in dict.fromkeys(parsed.keys.values()):
                self._parents.setdefault(child, []).append(parent)
        self._ranks: dict[AlarmKey, int] = {}
        for key in self._parsed:
            self._find_rank(key)

    def children(self, composite: AlarmKey) -> list[AlarmKey]:
        """Give the alarms that a composite's rule names, in order."""
        return list(dict.fromkeys(self._parsed[composite].keys.values()))

    def parents(self, alarm: AlarmKey) -> list[AlarmKey]:
        """Give the composites whose rules name an alarm."""
        return self._parents.get(alarm, [])

    def rank(self, composite: AlarmKey) -> int:
        """Give its place in the order: greater than that of every composite it is made of."""
        return self._ranks[composite]

    def state(self, composite: AlarmKey, states: Mapping[AlarmKey, AlarmState]) -> AlarmState:
        """Judge a composite by the states of its children."""
        parsed = self._parsed[composite]
        by_text = {text: states[key] for text, key in parsed.keys.items() if key in states}
        return AlarmState.ALARM if holds(parsed.condition, by_text) else AlarmState.OK

    def _find_rank(self, start: AlarmKey) -> None:
        """Walk down from `start` without recursion: families may be deep."""
        path, on_path = [start], {start}
        while path:
            composite = path[-1]
            below = [key for key in self.children(composite) if key in self._parsed]
            if circle := on_path.intersection(below):
                raise CircleError(f"The rules of {composite.name} and {min(circle).name} name each other in a circle.")
            unknown = next((key for key in below if key not in self._ranks), None)
            if unknown is not None:
                path.append(unknown)
                on_path.add(unknown)
                continue
            self._ranks[composite] = 1 + max((self._ranks[key] for key in below), default=0)
            on_path.discard(path.pop())


def _parsed(alarm: CompositeAlarm) -> _Parsed:
    condition = parse(alarm.rule)
    prefix = alarm.arn.removesuffix(alarm.name)
    keys = {text: AlarmKey(alarm.region, text.removeprefix(prefix)) for text in children(condition)}
    return _Parsed(condition, keys)
