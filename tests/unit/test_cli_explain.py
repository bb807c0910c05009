"""`hostmaker explain` against a server in this process that gives recorded answers."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from hostmaker.clarify.reading import read_answer
from hostmaker.cli.explain_page import draw
from hostmaker.cli.explain_seen import Reading, look
from hostmaker.cli.explain_table import Look, drawn
from hostmaker.cli.main import app

from .explained import (
    ADULTS,
    ADULTS_INPUT,
    CLASSES,
    CLASSES_INPUT,
    LINEAR,
    LINEAR_INPUT,
    NOTHING,
    REVIEW,
    REVIEW_INPUT,
    answer,
    tabular,
)

HOSTILE = "<script>alert(1)</script>\x1b[31m"


@dataclass
class Endpoint:
    """What the server answers, and what it was asked."""

    data_dir: Path
    answer: bytes = LINEAR
    status: int = 200
    described: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def run(self, body: bytes, *words: str, suffix: str = ".csv", name: str = "fraud") -> Result:
        file = self.data_dir / f"records{suffix}"
        file.write_bytes(body)
        return self.call(name, "--input", str(file), *words)

    def call(self, *words: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["explain", *words, "--data-dir", str(self.data_dir)], input=stdin)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    found = Endpoint(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((self.path, dict(self.headers), body))
            is_invocation = self.path.startswith("/endpoints/")
            told = found.answer if is_invocation else json.dumps(found.described).encode()
            self.send_response(found.status if is_invocation else 200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready = {
        "endpoint_url": f"http://127.0.0.1:{server.server_port}",
        "access_key_id": "AK",
        "secret_access_key": "secret",
        "region": "eu-west-1",
    }
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def squeezed(told: str) -> list[str]:
    return [" ".join(line.split()) for line in told.splitlines() if line.strip()]


def test_a_record_is_shown_the_largest_first_with_its_sum(endpoint: Endpoint) -> None:
    told = endpoint.run(LINEAR_INPUT)
    assert told.exit_code == 0, told.output
    lines = squeezed(told.stdout)
    assert lines[:2] == ["Record 1", "feature value attribution"]
    assert [re.split(" [│━╺]", line)[0] for line in lines[2:6]] == [
        "feature 3 3 +5.000",
        "feature 2 2 -1.500",
        "feature 4 4 +0.875",
        "feature 1 1 +0.250",
    ]
    assert lines[6:] == ["sum +4.625", "expected 0.875 + 4.625 = prediction 5.5"]
    assert "\x1b" not in told.stdout
    assert not any(line.endswith(" ") for line in told.stdout.splitlines())


def test_the_request_is_signed_and_says_what_was_asked(endpoint: Endpoint) -> None:
    endpoint.run(LINEAR_INPUT, "--accept", "application/jsonlines", "--enable", "[1]>`0.5`", name="a name")
    path, headers, body = endpoint.asked[0]
    assert (path, body) == ("/endpoints/a%20name/invocations", LINEAR_INPUT)
    assert headers["Content-Type"] == "text/csv"
    assert headers["Accept"] == "application/jsonlines"
    assert headers["X-Amzn-SageMaker-Enable-Explanations"] == "[1]>`0.5`"
    assert "/eu-west-1/sagemaker/aws4_request" in headers["Authorization"]
    endpoint.run(LINEAR_INPUT, "--region", "us-west-2", "--content-type", "text/csv;header=absent", suffix=".txt")
    assert "/us-west-2/sagemaker/aws4_request" in endpoint.asked[2][1]["Authorization"]
    assert endpoint.asked[2][1]["Content-Type"] == "text/csv;header=absent"
    assert "Accept" not in {*endpoint.asked[2][1]} - {"Accept-Encoding"}


def test_standard_input_needs_a_content_type(endpoint: Endpoint) -> None:
    told = endpoint.call("fraud", "--input", "-", stdin=LINEAR_INPUT)
    assert told.exit_code == 1
    assert "Standard input does not tell the content type" in told.stderr
    told = endpoint.call("fraud", "--input", "-", "--content-type", "text/csv", stdin=LINEAR_INPUT)
    assert told.exit_code == 0
    assert endpoint.asked[0][2] == LINEAR_INPUT
    told = endpoint.run(LINEAR_INPUT, suffix=".parquet")
    assert "records.parquet does not tell the content type" in told.stderr


def test_json_is_the_answer_byte_for_byte(endpoint: Endpoint) -> None:
    endpoint.answer = REVIEW
    told = endpoint.run(REVIEW_INPUT, "--json")
    assert told.stdout_bytes == REVIEW
    assert len(endpoint.asked) == 1


def test_records_that_were_not_explained_are_told(endpoint: Endpoint) -> None:
    endpoint.answer = ADULTS
    told = endpoint.run(ADULTS_INPUT)
    assert "Record 2 of 3" in told.stdout
    assert "Records 1 and 3 were not explained" in told.stdout
    told = endpoint.run(ADULTS_INPUT, "--record", "3")
    assert squeezed(told.stdout)[0].startswith("Record 3 was not explained")
    told = endpoint.run(ADULTS_INPUT, "--record", "4")
    assert (told.exit_code, told.stderr) == (1, "There is no record 4; there are 3.\n")
    endpoint.answer = NOTHING
    told = endpoint.run(ADULTS_INPUT)
    assert told.exit_code == 0
    assert "No record was explained" in told.stdout
    assert "0.9713779" in told.stdout


def test_one_of_several_scores_is_looked_at(endpoint: Endpoint) -> None:
    endpoint.answer = CLASSES
    lines = squeezed(endpoint.run(CLASSES_INPUT).stdout)
    assert lines[:2] == ["Record 1: dog", "feature value cat dog fish"]
    assert lines[2].startswith("feature 2 2 -0.1170 +0.6037 -0.4867")
    for asked in ("cat", "1"):
        lines = squeezed(endpoint.run(CLASSES_INPUT, "--score", asked).stdout)
        assert lines[0] == "Record 1: cat"
        assert lines[2].startswith("feature 3 3 -0.2881")
    told = endpoint.run(CLASSES_INPUT, "--score", "4")
    assert (told.exit_code, told.stderr) == (1, "There is no score 4; there are 1 (cat), 2 (dog), 3 (fish).\n")


def test_a_text_is_shown_in_its_own_order(endpoint: Endpoint) -> None:
    endpoint.answer = REVIEW
    told = endpoint.run(REVIEW_INPUT).stdout
    assert "feature 1: Good[+0.2],[-0.01] really[+0.05]" in told
    assert any(line.startswith("feature 1 “Good” +0.2000") for line in squeezed(told))


def test_log_odds_are_told(endpoint: Endpoint) -> None:
    endpoint.described = {"ExplainerConfig": {"ClarifyExplainerConfig": {"ShapConfig": {"UseLogit": True}}}}
    endpoint.answer = answer("text/csv", "0.75\n", [tabular(1.0)])
    assert "expected 0.09861 + 1 = prediction 1.099 (in log-odds)" in endpoint.run(b"3").stdout


def test_an_endpoint_without_an_explainer_is_told_so(endpoint: Endpoint) -> None:
    endpoint.answer = b"0.5\n"
    told = endpoint.run(LINEAR_INPUT, "--json")
    assert told.exit_code == 1
    assert told.stdout == ""
    assert "fraud does not answer with explanations" in told.stderr
    assert "ExplainerConfig" in told.stderr


def test_errors_are_the_servers_sentences(endpoint: Endpoint) -> None:
    endpoint.status = 424
    endpoint.answer = b'{"OriginalStatusCode":400,"Message":"Received client error (400) from primary."}'
    told = endpoint.run(LINEAR_INPUT)
    assert (told.exit_code, told.stderr) == (1, "Received client error (400) from primary.\n")
    endpoint.answer = json.dumps({"Message": "red \x1b[31m"}).encode()
    assert endpoint.run(LINEAR_INPUT).stderr == "red \N{REPLACEMENT CHARACTER}[31m\n"
    endpoint.status, endpoint.answer = 502, b"<html>Bad gateway</html>"
    assert endpoint.run(LINEAR_INPUT).stderr == "The server has answered 502: <html>Bad gateway</html>\n"
    told = endpoint.run(LINEAR_INPUT, "--enable", "a\nb: c")
    assert "X-Amzn-SageMaker-Enable-Explanations must be of printable ASCII" in told.stderr
    told = endpoint.call("fraud", "--input", str(endpoint.data_dir / "none.csv"))
    assert told.exit_code == 1
    assert "The input cannot be read" in told.stderr


def test_without_a_server_there_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    words = ["explain", "fraud", "--input", str(tmp_path / "a.csv"), "--data-dir", str(tmp_path)]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 1
    assert "No server runs" in told.stderr
    ready = {"endpoint_url": "http://127.0.0.1:9", "access_key_id": "a", "secret_access_key": "b", "region": "c"}
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 1
    assert "fraud cannot be asked: " in told.stderr


def test_pictures_are_written_by_their_suffix(endpoint: Endpoint) -> None:
    endpoint.answer = CLASSES
    for suffix, start in ((".html", b"<!DOCTYPE html>"), (".svg", b"<svg "), (".png", b"\x89PNG")):
        file = endpoint.data_dir / f"why{suffix}"
        told = endpoint.run(CLASSES_INPUT, "--output", str(file))
        assert told.exit_code == 0, told.output
        assert file.read_bytes().startswith(start)
        assert f"Drawn: {file}" in told.stderr
    assert "fraud, record 1: dog" in (endpoint.data_dir / "why.svg").read_text()


def test_a_picture_that_cannot_be_is_refused_before_anything_is_asked(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = endpoint.run(LINEAR_INPUT, "--output", "why.jpeg")
    assert (told.exit_code, told.stderr) == (1, "--output is a file that ends in .html, .png or .svg.\n")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    told = endpoint.run(LINEAR_INPUT, "--output", "why.png")
    assert told.exit_code == 1
    assert "pip install 'hostmaker[plots]'" in told.stderr
    assert endpoint.asked == []
    endpoint.answer = NOTHING
    told = endpoint.run(LINEAR_INPUT, "--output", str(endpoint.data_dir / "why.svg"))
    assert told.exit_code == 1
    assert "Nothing was explained" in told.stderr
    endpoint.answer = LINEAR
    told = endpoint.run(LINEAR_INPUT, "--output", str(endpoint.data_dir / "none" / "why.svg"))
    assert told.exit_code == 1
    assert "The picture cannot be written: " in told.stderr


def test_a_page_holds_all_and_nothing_from_elsewhere() -> None:
    body = f'"{HOSTILE}, really",5\n'.encode()
    found = read_answer(REVIEW.replace(b'"Good"', json.dumps(HOSTILE).encode()).replace(b"text/csv", b"text/csv;<b>"))
    (seen,) = look(found, body, "text/csv", Reading(), None)
    assert seen is not None
    html = draw(".html", HOSTILE, found, [seen], [seen]).decode()
    assert "<script" not in html
    assert "\x1b" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("<svg ") == 2
    assert "prefers-color-scheme: dark" in html
    assert "http" not in html.replace('xmlns="http://www.w3.org/2000/svg"', "").replace('http-equiv="Content', "")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_is_never_too_narrow(width: int) -> None:
    names = tuple(f"a feature with a long name, number {index}{HOSTILE}" for index in range(30))
    wide = tabular(*(float(index - 15) for index in range(30)), headers=names)
    sixteen = [{"attributions": [{"attribution": [index / 7 for index in range(-8, 8)]}]}] * 3
    cases = [
        (answer("text/csv", "0.5", [wide]), b",".join([b"some long value, or other"] * 30)),
        (answer("text/csv", "0.5", [sixteen], label_headers=[f"class {index}" for index in range(16)]), b"1,2,3"),
        (CLASSES, CLASSES_INPUT),
        (REVIEW, REVIEW_INPUT),
        (answer("text/csv", "0.5", [tabular(0.0, 0.0)]), b"1,2"),
        (answer("text/csv", "5e30", [tabular(1e30, -2e30)]), b"1,2"),
    ]
    for answered, body in cases:
        found = read_answer(answered)
        (seen,) = look(found, body, "text/csv", Reading(), None)
        assert seen is not None
        file = io.StringIO()
        console = Console(width=width, file=file, force_terminal=True, color_system="truecolor", markup=False)
        console.print(drawn(seen, found.scores, 1, Look.at(console)))
        plain = Console(width=width, file=(pipe := io.StringIO()), color_system=None, markup=False)
        plain.print(drawn(seen, found.scores, 1, Look(width, False, True, False)))
        assert "\x1b[" in file.getvalue()
        assert "\x1b" not in pipe.getvalue()
        assert "━" not in pipe.getvalue()
        lines = pipe.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        rows = len(seen.players) if len(seen.players) <= 21 else 21
        assert sum("|" in line for line in lines) == rows
