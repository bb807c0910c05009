"""Which alarms composites are made of: their rules, the alarms that these name, and the order to judge them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostmaker.domain.alarm import AlarmKey, AlarmState, CompositeAlarm
from hostmaker.planner.alarm_rule import Condition, children, holds, parse

MAX_COMPOSITES = 1000  # each change of one may walk through all of them
MAX_PARENTS = 150  # of one alarm, as with the service


@dataclass(frozen=True, slots=True)
class _Rule:
    condition: Condition
    keys: Mapping[str, AlarmKey]  # by the names or ARNs that stand in the rule


class CircleError(ValueError):
    """Composite alarms that name each other in a circle: no order would judge them."""


class CrowdError(ValueError):
    """More composite alarms than there may be, of one alarm or of all."""


class Family:
    """All composites. What changes is checked first, by `fit`, and taken in afterwards."""

    def __init__(self) -> None:
        self._rules: dict[AlarmKey, _Rule] = {}
        self._parents: dict[AlarmKey, dict[AlarmKey, None]] = {}
        self._ranks: dict[AlarmKey, int] = {}

    def fit(self, composite: CompositeAlarm) -> None:
        """Check whether a composite can be put beside the others, or in place of the one of its name.

        Raises RuleError, CrowdError, and CircleError when composites would name each other in a circle.
        """
        key, rule = composite.key, _read(composite)
        if key not in self._rules and len(self._rules) >= MAX_COMPOSITES:
            raise CrowdError(f"There are {len(self._rules)} composite alarms; at most {MAX_COMPOSITES} are allowed.")
        for child in dict.fromkeys(rule.keys.values()):
            parents = self._parents.get(child, {})
            if key not in parents and len(parents) >= MAX_PARENTS:
                raise CrowdError(f"{child.name} is in {len(parents)} composite alarms; {MAX_PARENTS} are allowed.")
        waiting, seen = [(key, child) for child in rule.keys.values()], set[AlarmKey]()
        while waiting:
            parent, child = waiting.pop()
            if child == key:
                raise CircleError(f"The rules of {parent.name} and {key.name} name each other in a circle.")
            if child in self._rules and child not in seen:
                seen.add(child)
                waiting += ((child, below) for below in self.children(child))

    def put(self, composite: CompositeAlarm) -> None:
        """Take in a composite that fits."""
        self.forget(composite.key)
        self._ranks.clear()
        self._rules[composite.key] = _read(composite)
        for child in self.children(composite.key):
            self._parents.setdefault(child, {})[composite.key] = None

    def forget(self, composite: AlarmKey) -> None:
        """Leave out a composite, if it is one."""
        if composite not in self._rules:
            return
        for child in self.children(composite):
            del self._parents[child][composite]
            if not self._parents[child]:
                del self._parents[child]
        del self._rules[composite]
        self._ranks.clear()

    def children(self, composite: AlarmKey) -> list[AlarmKey]:
        """Return the alarms that a composite's rule names, in order."""
        return list(dict.fromkeys(self._rules[composite].keys.values()))

    def parents(self, alarm: AlarmKey) -> list[AlarmKey]:
        """Return the composites whose rules name an alarm."""
        return list(self._parents.get(alarm, ()))

    def rank(self, composite: AlarmKey) -> int:
        """Return its place in the order: greater than that of every composite it is made of."""
        if composite not in self._ranks:
            self._find_rank(composite)
        return self._ranks[composite]

    def state(self, composite: AlarmKey, states: Mapping[AlarmKey, AlarmState]) -> AlarmState:
        """Judge a composite by the states of its children."""
        rule = self._rules[composite]
        by_text = {text: states[key] for text, key in rule.keys.items() if key in states}
        return AlarmState.ALARM if holds(rule.condition, by_text) else AlarmState.OK

    def _find_rank(self, start: AlarmKey) -> None:
        """Walk down from `start` without recursion: families may be deep."""
        path = [start]
        while path:
            composite = path[-1]
            below = [key for key in self.children(composite) if key in self._rules]
            unknown = next((key for key in below if key not in self._ranks), None)
            if unknown is None:
                self._ranks[composite] = 1 + max((self._ranks[key] for key in below), default=0)
                path.pop()
            else:
                path.append(unknown)


def _read(alarm: CompositeAlarm) -> _Rule:
    condition = parse(alarm.rule)
    prefix = alarm.arn.removesuffix(alarm.name)
    keys = {text: AlarmKey(alarm.region, text.removeprefix(prefix)) for text in children(condition)}
    return _Rule(condition, keys)
