"""A linear rollout over hours in a simulated world, watched by alarms, with accidents on the way."""

from __future__ import annotations

import argparse
import json
import random

from hostmaker.testing import World
from hostmaker.testing.policies import linear

STEPS = 10
LONGEST_WAIT_S = 3600  # WaitIntervalInSeconds can be no more
INVOCATIONS_AN_HOUR = 60


def main() -> None:
    """Simulate, and tell how it ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--alarms", type=int, default=10, help="that watch, 1 to 10")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--trip-after", type=float, help="hours after which one alarm goes into ALARM")
    parser.add_argument("--json", action="store_true", help="print nothing but JSON")
    arguments = parser.parse_args()
    world = simulate(arguments.hours, arguments.alarms, arguments.seed, arguments.trip_after)
    endpoint = world.describe("fraud")
    if not arguments.json:
        print(world.story(40))
    told = {
        "virtual_seconds": world.clock.seconds,
        "alarms": arguments.alarms,
        "status": endpoint["EndpointStatus"],
        "config": endpoint["EndpointConfigName"],
        "lost_invocations": world.lost,
    }
    print(json.dumps(told))


def simulate(hours: float, alarms: int, seed: int, trip_after: float | None) -> World:
    """Let the hours pass; gives the world at their end."""
    world, chance = World(seed), random.Random(seed)
    names = [f"alarm-{number}" for number in range(alarms)]
    for name in names:
        world.put_alarm(name)
    world.create_endpoint("fraud", instances=STEPS)
    world.settle()
    world.traffic("fraud", per_second=INVOCATIONS_AN_HOUR / 3600)
    wait_s = min(LONGEST_WAIT_S, int(hours * 3600 / (STEPS + 1)))
    world.update_endpoint("fraud", "v2", STEPS, linear(10, wait_s=wait_s, final_wait_s=wait_s, alarms=names))
    end = hours * 3600

    def change() -> None:
        world.put_alarm(chance.choice(names), chance.choice(("OK", "INSUFFICIENT_DATA")))
        if world.clock.seconds + 600 < end:
            world.after(600, change)

    world.after(600, change)
    if trip_after is not None:
        world.after(trip_after * 3600, lambda: world.put_alarm(names[0], "ALARM", "the rehearsal says so"))
    for accident in ("control", "node", "gateway-0"):
        world.after(chance.uniform(0, end), lambda what=accident: world.kill(what))  # type: ignore[misc]
    world.run(end - world.clock.seconds)
    return world


if __name__ == "__main__":
    main()
