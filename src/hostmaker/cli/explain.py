"""`hostmaker explain ENDPOINT`: asks an endpoint with an explainer, and shows what each feature has added."""

from __future__ import annotations

import http.client
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from hostmaker.clarify.reading import Answer, AnswerError, read_answer
from hostmaker.cli.explain_seen import CSV, JSON_LINES, Reading, Seen, look
from hostmaker.cli.front_door import FrontDoor, RefusedError
from hostmaker.cli.server import read_ready
from hostmaker.explainer.drawing import harmless
from hostmaker.explainer.plots_png import PillowMissingError, need_pillow

GUESSED = {".csv": CSV, ".jsonl": JSON_LINES, ".jsonlines": JSON_LINES}
DRAWN = (".html", ".png", ".svg")
STANDARD_INPUT = "-"
NOT_EXPLAINED = "the expression that enables explanations was false"
SHOWN_DATA = 500


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which endpoint, and what is shown of the answer: a record by its number, a score, a picture."""

    endpoint: str
    file: str
    content_type: str | None = None
    accept: str | None = None
    enable: str | None = None
    record: int | None = None
    score: str | None = None
    output: Path | None = None


class UnclearError(Exception):
    """It cannot be done as it was asked; the message says why, and what can be."""


def explain(question: Question, data_dir: Path, region: str | None, as_json: bool) -> None:
    """Ask and show; ends the command with a sentence and exit code 1 when there is no explanation."""
    try:
        check(question)
        ready = read_ready(data_dir)
        door = FrontDoor({**ready, "region": region or ready["region"]})
        show(question, door, as_json)
    except (UnclearError, RefusedError, PillowMissingError) as error:
        typer.echo(harmless(str(error), "\n\t"), err=True)  # it may hold what a model has written
        raise typer.Exit(1) from error


def check(question: Question) -> None:
    """Raise UnclearError or PillowMissingError for what cannot be done, before anything is asked."""
    content_type_of(question)
    if question.output is None:
        return
    suffix = question.output.suffix.lower()
    if suffix not in DRAWN:
        raise UnclearError(f"--output is a file that ends in {', '.join(DRAWN[:-1])} or {DRAWN[-1]}.")
    if suffix == ".png":
        need_pillow()


def content_type_of(question: Question) -> str:
    """Give the content type that was named, or the one that the file's name tells; raises UnclearError."""
    if question.content_type:
        return question.content_type
    guessed = GUESSED.get(Path(question.file).suffix.lower())
    if guessed is None:
        told = "Standard input" if question.file == STANDARD_INPUT else f"The name of {question.file}"
        raise UnclearError(f"{told} does not tell the content type: name it with --content-type {CSV} or {JSON_LINES}.")
    return guessed


def show(question: Question, door: FrontDoor, as_json: bool) -> None:
    """Ask the endpoint, and show the answer; raises UnclearError and RefusedError."""
    body, content_type = _input(question.file), content_type_of(question)
    try:
        answered = door.invoke(question.endpoint, body, _headers(question, content_type))
        reading = Reading() if as_json and question.output is None else _reading(question.endpoint, door)
    except (OSError, http.client.HTTPException) as error:
        raise UnclearError(f"{question.endpoint} cannot be asked: {error}") from error
    answer = _answer(question.endpoint, answered)
    if as_json:
        _print_verbatim(answered)
    records = look(answer, body, content_type, reading, _score(question, answer))
    chosen = _chosen(question, records)
    if not as_json:
        _print(question, answer, records, chosen)
    if question.output is not None:
        _draw(question, question.output, answer, records, chosen)


def _draw(
    question: Question, file: Path, answer: Answer, records: Sequence[Seen | None], chosen: Sequence[Seen]
) -> None:
    """Write the picture; raises UnclearError when there is nothing to draw, or nowhere to write it."""
    if not chosen:
        raise UnclearError(f"Nothing was explained, so {file} is not written.")
    from hostmaker.cli.explain_page import draw

    try:
        file.write_bytes(draw(file.suffix.lower(), question.endpoint, answer, records, chosen))
    except OSError as error:
        raise UnclearError(f"The picture cannot be written: {error}") from error
    typer.echo(f"Drawn: {file}", err=True)


def _headers(question: Question, content_type: str) -> dict[str, str]:
    headers = {"Content-Type": content_type}
    if question.accept:
        headers["Accept"] = question.accept
    if question.enable is not None:
        headers["X-Amzn-SageMaker-Enable-Explanations"] = question.enable
    return headers


def _input(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise UnclearError(f"The input cannot be read: {error}") from error


def _answer(endpoint: str, answered: bytes) -> Answer:
    try:
        return read_answer(answered)
    except AnswerError as error:
        raise UnclearError(
            f"{endpoint} does not answer with explanations: {error}. "
            "Has its endpoint config an ExplainerConfig with a ClarifyExplainerConfig?"
        ) from error


def _reading(endpoint: str, door: FrontDoor) -> Reading:
    """Ask how the explainer reads; whoever may invoke only is shown what is plain without it."""
    try:
        return Reading.of(door.sagemaker("DescribeEndpoint", {"EndpointName": endpoint}))
    except RefusedError:
        return Reading()


def _score(question: Question, answer: Answer) -> int | None:
    """Give the index of the score that was asked for, by its name or its number from 1; raises UnclearError."""
    asked, scores = question.score, answer.scores
    if asked is None or not scores:
        return None
    if asked in scores:
        return scores.index(asked)
    if asked.isascii() and asked.isdigit() and 1 <= int(asked) <= len(scores):
        return int(asked) - 1
    told = ", ".join(f"{index} ({harmless(name)})" for index, name in enumerate(scores, 1))
    raise UnclearError(f"There is no score {asked}; there are {told}.")


def _chosen(question: Question, records: Sequence[Seen | None]) -> list[Seen]:
    """Give the explained records that are to be shown; raises UnclearError for a number that no record has."""
    number = question.record
    if number is not None and records and number > len(records):
        raise UnclearError(f"There is no record {number}; there are {len(records)}.")
    return [each for each in records if each is not None and number in (None, each.number)]


def _print(question: Question, answer: Answer, records: Sequence[Seen | None], chosen: Sequence[Seen]) -> None:
    from hostmaker.cli.explain_table import Look, console_for_people, drawn

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names and texts are in any script
    console = console_for_people()
    for each in chosen:
        with console.capture() as captured:
            console.print(drawn(each, answer.scores, len(records), Look.at(console)))
        for line in captured.get().splitlines():
            typer.echo(line if console.is_terminal else line.rstrip(), color=console.is_terminal)
    for line in told_of_others(question.record, answer, records):
        typer.echo(line)


def told_of_others(number: int | None, answer: Answer, records: Sequence[Seen | None]) -> list[str]:
    """Say which records were not explained."""
    if not records:
        data = harmless(answer.data[:SHOWN_DATA], "\n").rstrip()
        return [f"No record was explained: {NOT_EXPLAINED} for each. The model has answered:", data]
    left = [index for index, each in enumerate(records, 1) if each is None and number in (None, index)]
    if not left:
        return []
    if len(left) == 1:
        return [f"Record {left[0]} was not explained: {NOT_EXPLAINED} for it."]
    return [f"Records {', '.join(map(str, left[:-1]))} and {left[-1]} were not explained: {NOT_EXPLAINED} for them."]


def _print_verbatim(answered: bytes) -> None:
    """Print the answer byte for byte; in a terminal the line is ended."""
    sys.stdout.buffer.write(answered + (b"\n" if sys.stdout.isatty() else b""))
    sys.stdout.flush()
