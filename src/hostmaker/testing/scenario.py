"""Scenarios as text: what happens, a line each; below `---` the timeline that is expected.

    # An instance dies under load, and is replaced.
    create fraud instances=2
    settle
    traffic fraud 20
    kill fraud/0
    run 30
    ---
         0.027 s  fraud: Launch AllTraffic (the endpoint is being created)
         ...

`hostmaker rehearse FILE` prints the timeline, `--write` puts it into the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from hostmaker.domain.fleet import FailureKind, InstanceFailure, InstanceSpec
from hostmaker.kit.json_value import Json
from hostmaker.testing import policies
from hostmaker.testing.machine import Course
from hostmaker.testing.world import World

RULE = "---"
MODEL = "MODEL"  # in the environment of a container: the config whose course it goes
COMMANDS = """\
create NAME [instances=1] [variants=a:3,b:1] [COURSE]
update NAME CONFIG POLICY [instances=1] [wait=60] [final=0] [percent=33] [back=33] [alarms=a,b] [COURSE]
                            POLICY is plain, all-at-once, canary, linear or rolling
change NAME COURSE          how instances of an endpoint go from now on; COURSE is any of prepare=1.0
                            healthy=1.0|never exits=0.2,0.2 fails=words errors=0.3 takes=0.2
alarm NAME STATE            an alarm that is OK, ALARM or INSUFFICIENT_DATA because it is told so
metric-alarm NAME ENDPOINT METRIC THRESHOLD [statistic=Average] [period=10] [of=1]
                            one that is judged by what is measured: above the threshold in `of` periods
order NAME WHAT             pause, resume, promote or rollback the deployment
scale NAME INSTANCES
delete NAME
settle                      let time pass until every endpoint is where it stays
run SECONDS                 let time pass
until NAME STATUS           let time pass until DescribeEndpoint would say so (gone: no such endpoint)
traffic NAME PER_SECOND [takes=0.1] [for=SECONDS]
kill WHAT                   control, node, keeper, gateway-0 ..., NAME/0 (the first instance in service)
hang WHAT                   gateway-0 ..., NAME/0
recover WHAT
cut WHAT SECONDS            the link between control and node or gateway-0 ...
disk-full SECONDS
jump SECONDS                set the machine's clock, forward or back
"""


class ScenarioError(ValueError):
    """A line that cannot be understood; the message says which, and what there is."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The lines of a scenario, and the timeline that is expected (empty: none is written yet)."""

    lines: tuple[str, ...]
    expected: str

    def text(self, timeline: str) -> str:
        """Give the file with another timeline."""
        return "\n".join(self.lines).rstrip() + f"\n{RULE}\n{timeline}\n"


def read_scenario(text: str) -> Scenario:
    """Read the text of a file."""
    told, _, expected = text.partition(f"\n{RULE}\n")
    return Scenario(tuple(told.splitlines()), expected.rstrip("\n"))


def play(scenario: Scenario, seed: int = 0) -> str:
    """Let it happen, and give the timeline with the sum of all invocations.

    Raises ScenarioError, and AssertionError when something happened that must never happen.
    """
    player = _Player(seed)
    for number, line in enumerate(scenario.lines, 1):
        words = line.partition("#")[0].split()
        if words:
            player.do(words, f"line {number}: {line.strip()}")
    world = player.world
    outcomes = [f"{number} {outcome.value}" for outcome, number in sorted(world.gateways.outcomes.items(), key=str)]
    total = f"{'invocations':>12}  {', '.join(outcomes)}" if outcomes else ""
    return "\n".join([*world.story(len(world.timeline)).splitlines(), *([total] if total else [])])


class _Player:
    def __init__(self, seed: int) -> None:
        self._courses: dict[str, Course] = {}
        self.world = World(seed, course=self._course)
        self._commands: dict[str, Callable[[list[str], dict[str, str]], None]] = {
            "create": self._create,
            "change": lambda words, options: self._change(words[0], options),
            "update": self._update,
            "metric-alarm": self._metric_alarm,
            "alarm": lambda words, _: self.world.put_alarm(words[0], words[1]),
            "order": lambda words, _: self.world.order(words[0], words[1]),
            "scale": lambda words, _: self.world.scale(words[0], int(words[1])),
            "delete": lambda words, _: self.world.delete_endpoint(words[0]),
            "settle": lambda _words, _options: self.world.settle(),
            "run": lambda words, _: self.world.run(float(words[0])),
            "until": self._until,
            "traffic": self._traffic,
            "kill": lambda words, _: self.world.kill(self._what(words[0])),
            "hang": lambda words, _: self.world.hang(self._what(words[0])),
            "recover": lambda words, _: self.world.recover(self._what(words[0])),
            "cut": lambda words, _: self.world.cut(words[0], float(words[1])),
            "disk-full": lambda words, _: self.world.fill_disk(float(words[0])),
            "jump": lambda words, _: self.world.jump(timedelta(seconds=float(words[0]))),
        }

    def do(self, words: list[str], where: str) -> None:
        """Do one line."""
        command = self._commands.get(words[0])
        if command is None:
            raise ScenarioError(f"{where}: there is no command {words[0]!r}. There are:\n{COMMANDS}")
        plain = [word for word in words[1:] if "=" not in word]
        options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        try:
            command(plain, options)
        except (IndexError, ValueError, KeyError) as error:
            raise ScenarioError(f"{where}: {error}. Commands:\n{COMMANDS}") from error
        if options:
            raise ScenarioError(f"{where}: unknown {', '.join(options)}. Commands:\n{COMMANDS}")

    def _course(self, spec: InstanceSpec) -> Course:
        model = f"{spec.endpoint}/{spec.container.environment.get(MODEL, '')}"
        return self._courses.get(model) or self._courses.get(spec.endpoint, Course())

    def _create(self, words: list[str], options: dict[str, str]) -> None:
        instances = int(options.pop("instances", "1"))
        weights = [entry.split(":") for entry in options.pop("variants", "AllTraffic:1").split(",")]
        self._change(words[0], options)
        self.world.create_endpoint(words[0], instances, {name: float(weight) for name, weight in weights})

    def _update(self, words: list[str], options: dict[str, str]) -> None:
        name, config, policy = words
        instances, percent = int(options.pop("instances", "1")), int(options.pop("percent", "33"))
        wait_s, final_s = int(options.pop("wait", "60")), int(options.pop("final", "0"))
        alarms = [alarm for alarm in options.pop("alarms", "").split(",") if alarm]
        back = options.pop("back", None)
        deployment: dict[str, Json] | None
        match policy:
            case "plain":
                deployment = None
            case "all-at-once":
                deployment = policies.all_at_once(final_wait_s=final_s, alarms=alarms)
            case "canary":
                deployment = policies.canary(percent, wait_s=wait_s, final_wait_s=final_s, alarms=alarms)
            case "linear":
                deployment = policies.linear(percent, wait_s=wait_s, final_wait_s=final_s, alarms=alarms)
            case "rolling":
                back_percent = int(back) if back else None
                deployment = policies.rolling(percent, wait_s=wait_s, back_percent=back_percent, alarms=alarms)
            case _:
                raise ValueError(f"there is no policy {policy!r}")
        container: dict[str, Json] = {}
        if options:
            self._courses[f"{name}/{config}"] = self._courses.get(name, Course())
            self._change(f"{name}/{config}", options)
            container["Environment"] = {MODEL: config}
        self.world.update_endpoint(name, config, instances, deployment, None, **container)

    def _metric_alarm(self, words: list[str], options: dict[str, str]) -> None:
        name, endpoint, metric, threshold = words
        self.world.cloudwatch(
            "PutMetricAlarm",
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
            Statistic=options.pop("statistic", "Average"),
            Period=int(options.pop("period", "10")),
            EvaluationPeriods=int(options.pop("of", "1")),
            Threshold=float(threshold),
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )

    def _change(self, name: str, options: dict[str, str]) -> None:
        course = self._courses.get(name, Course())
        if (prepare := options.pop("prepare", None)) is not None:
            course = replace(course, prepare_s=float(prepare))
        if (healthy := options.pop("healthy", None)) is not None:
            course = replace(course, healthy_after_s=None if healthy == "never" else float(healthy))
        if (exits := options.pop("exits", None)) is not None:
            course = replace(course, exits=tuple(float(at) for at in exits.split(",") if at))
        if (fails := options.pop("fails", None)) is not None:
            course = replace(course, prepare_failure=InstanceFailure(FailureKind.DATA, fails.replace("_", " ")))
        if (errors := options.pop("errors", None)) is not None:
            course = replace(course, error_rate=float(errors))
        if (takes := options.pop("takes", None)) is not None:
            course = replace(course, takes_s=float(takes))
        self._courses[name] = course

    def _until(self, words: list[str], options: dict[str, str]) -> None:
        name, status = words
        self.world.until(lambda: (self.world.status(name) or "gone") == status, within_s=7200)

    def _traffic(self, words: list[str], options: dict[str, str]) -> None:
        takes_s, for_s = float(options.pop("takes", "0.1")), options.pop("for", None)
        self.world.traffic(words[0], float(words[1]), takes_s, None if for_s is None else float(for_s))

    def _what(self, word: str) -> str:
        name, slash, number = word.partition("/")
        return self.world.instances(name)[int(number)] if slash else word
