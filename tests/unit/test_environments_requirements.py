"""A model's own requirements, and uv's environment: what is taken over and what is refused."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.environments.installer import BuildError, Installer, uv_environment
from hostmaker.environments.lock import Lock, additions, builds_of, names_of
from hostmaker.environments.locks import planned
from hostmaker.environments.requirements import ModelRequirements, read_requirements
from hostmaker.environments.requirements_file import logical_lines


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def asked(folder: Path, text: str | bytes, **variables: str) -> ModelRequirements:
    """Read a requirements.txt with this content from the code of a model in `folder`."""
    path = folder / "code" / "requirements.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_requirements(path, folder, variables)


def test_requirements_includes_and_options(tmp_path: Path) -> None:
    write(tmp_path / "code" / "more" / "extra.txt", "xgboost-cpu\n-c ../limits.txt\n")
    write(tmp_path / "code" / "limits.txt", "numpy<2\n")
    own = asked(
        tmp_path,
        "\ufeff# what we need\n"
        "numpy==1.26.4  # pinned\n"
        "--extra-index-url https://example.invalid/simple --pre\n"
        "lightgbm>=4 ; \\\n  python_version > '3.8'\n"
        "-r more/extra.txt\n\n"
        "Some_Package @ https://example.invalid/a-1.0.tar.gz#sha256=00\n"
        "--trusted-host example.invalid\n--use-feature=fast-deps\n--prefer-binary\n--no-binary=a,b\n",
    )
    assert own.lines == (
        "numpy==1.26.4",
        "lightgbm>=4 ;   python_version > '3.8'",
        "xgboost-cpu",
        "Some_Package @ https://example.invalid/a-1.0.tar.gz#sha256=00",
    )
    assert own.constraints == ("numpy<2",)
    assert own.options == ("--extra-index-url https://example.invalid/simple", "--no-binary a", "--no-binary b")
    assert own.prereleases
    assert own.flags == ("--allow-insecure-host", "example.invalid")
    assert own.notes == ("--use-feature fast-deps (requirements.txt, line 10) has no effect here",)


@pytest.mark.parametrize(
    "content",
    [
        "six==1.16.0\r\nna\u00efve==1\r\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "six==1.16.0\nna\u00efve==1".encode("utf-16-be"),
        "six==1.16.0\nna\u00efve==1\n".encode("utf-8-sig"),
        "six==1.16.0\nna\u00efve==1\n".encode("utf-32"),
        "# -*- coding: latin-1 -*-\nsix==1.16.0\nna\u00efve==1\n".encode("latin-1"),
    ],
)
def test_encodings_as_pip_reads_them(tmp_path: Path, content: bytes) -> None:
    assert asked(tmp_path, content).lines == ("six==1.16.0", "na\u00efve==1")


@pytest.mark.parametrize(
    "content", ["na\u00efve==1\n".encode("latin-1"), b"# coding: nonsense\nsix\n", b"\xff\xfe\x00"]
)
def test_what_has_no_known_encoding_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BuildError, match="cannot be read"):
        asked(tmp_path, content)


def test_what_lies_in_the_model_has_a_place_in_a_workshop(tmp_path: Path) -> None:
    for name in ("code/wheels/a-1.0-py3-none-any.whl", "code/pkg/setup.py", "shared/b-1.0.tar.gz", "code/c.whl"):
        write(tmp_path / name, "x")
    own = asked(
        tmp_path,
        "./wheels/a-1.0-py3-none-any.whl ; python_version > '3'\n-e ./pkg[extra]\n../shared/b-1.0.tar.gz\n"
        "c @ file:///opt/ml/model/code/c.whl\n--find-links wheels\nc.whl\n",
    )
    assert own.lines == (
        "./local/0/a-1.0-py3-none-any.whl ; python_version > '3'",
        "./local/1/pkg[extra]",
        "./local/2/b-1.0.tar.gz",
        "c @ ./local/3/c.whl",
        "./local/3/c.whl",
    )
    assert own.options == ("--find-links ./local/4/wheels",)
    before = own.key()
    write(tmp_path / "code" / "pkg" / "setup.py", "y")
    assert own.key() != before


def test_an_unrelated_file_changes_nothing(tmp_path: Path) -> None:
    own = asked(tmp_path, "six\n")
    before = own.key()
    write(tmp_path / "code" / "inference.py", "y")
    assert asked(tmp_path, "six  # still\n").key() == before


def test_variables_are_the_models(tmp_path: Path) -> None:
    text = "--index-url https://u:${TOKEN}@host.invalid/simple\n# ${NOT_SET}\nsix\n"
    own = asked(tmp_path, text, TOKEN="t", PIP_INDEX_URL="https://other.invalid")
    assert own.options == ("--index-url https://u:t@host.invalid/simple",)
    assert own.settings == {"PIP_INDEX_URL": "https://other.invalid"}
    with pytest.raises(BuildError, match=r"\(requirements.txt, line 1\) names the variable TOKEN, which"):
        asked(tmp_path, text)


def test_hashes(tmp_path: Path) -> None:
    own = asked(tmp_path, "Some_thing==1 \\\n  --hash=sha256:aa \\\n  --hash sha256:bb\n")
    assert own.lines == ("Some_thing==1",)
    assert own.hashes == {"some-thing": ("--hash=sha256:aa", "--hash=sha256:bb")}
    assert own.needs_hashes


@pytest.mark.parametrize(
    "line",
    [
        *("-r ../../secret.txt", "-r /etc/passwd", "--requirement=/etc/passwd", "-r https://host.invalid/r.txt"),
        *("--index-url", "-f /tmp/wheels", "--find-links=../../wheels", "-c /etc/passwd", "--use-pep517", "-U"),
        *("./package", "../../package", "/tmp/a-1.0-py3-none-any.whl", "a-1.0-py3-none-any.whl", "vendored/a.tar.gz"),
        *("file:///tmp/a.tar.gz", "a @ file:///tmp/a.tar.gz", "a @ ./a", "~/a", "--config-settings=x"),
        *("a==1 --global-option=x", "-e /etc", "-r 'unclosed"),
    ],
)
def test_what_reaches_outside_or_is_not_known_is_refused_by_name(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildError) as caught:
        asked(tmp_path, f"numpy\n{line}\n")
    assert f'"{line}" (requirements.txt, line 2)' in str(caught.value)


def test_odd_files(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="levels deep"):
        asked(tmp_path, "-r requirements.txt\n")
    with pytest.raises(BuildError, match="bytes"):
        asked(tmp_path, "#" * 300_000)
    with pytest.raises(BuildError, match="cannot be read"):
        asked(tmp_path, "-r absent.txt\n")


@given(st.text(alphabet="ab #\\\n\r\t-=${}'\"", max_size=60))
def test_logical_lines_have_no_comments_and_lose_no_word(text: str) -> None:
    lines = list(logical_lines(text, "r"))
    assert all(line.text and line.text == line.text.strip() for line in lines)
    assert all(not line.text.startswith("#") and " #" not in line.text for line in lines)
    if "#" not in text and "\\" not in text:
        assert " ".join(line.text for line in lines).split() == text.split()


BASE = Lock("# python 3.11\nnumpy==1.24.1\npandas==1.5.3\nxgboost-cpu==3.0.5\n")


def test_additions_are_what_the_image_does_not_have() -> None:
    resolved = Lock(
        "# python 3.11, built from sources\nnumpy==1.24.1\npandas==2.0.3\nxgboost==3.0.5\nx @ ./local/0/x.whl\n"
    )
    added = additions(BASE, resolved, ModelRequirements(("x",), options=("--no-index",)))
    assert added.packages() == ("pandas==2.0.3", "x @ ./local/0/x.whl")
    assert added.has_sources
    assert "\n--no-index\n" in added.text


def test_a_cpu_build_stands_for_the_usual_one() -> None:
    assert builds_of(BASE, ("XGBoost>=2", "numpy")) == ("xgboost==3.0.5",)
    assert builds_of(BASE, ("numpy",)) == ()


def test_a_plan_of_uv(tmp_path: Path) -> None:
    told = ["Resolved 3 packages in 2ms", " - a==1", " + a==2", f" + b @ {tmp_path.as_uri()}/local/0/b.whl", "+ not"]
    assert planned(told, tmp_path) == "a==2\nb @ ./local/0/b.whl\n"


def test_pins_without_versions_keep_their_markers() -> None:
    assert names_of(("a==1", "b[x]==2; python_version < '3.9'", "c>=1,<2")) == (
        "a",
        "b[x]; python_version < '3.9'",
        "c",
    )


def test_settings_of_pip_reach_uv_and_ours_do_not() -> None:
    given = {
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://a.invalid/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.invalid/simple https://c.invalid/simple",
        "PIP_FIND_LINKS": "/opt/a /opt/b",
        "PIP_CERT": "/etc/ca.pem",
        "HOSTMAKER_S3_SECRET_ACCESS_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "VIRTUAL_ENV": "/somewhere",
    }
    env = uv_environment(given, {})
    assert env["UV_DEFAULT_INDEX"] == "https://a.invalid/simple"
    assert env["UV_INDEX"] == "https://b.invalid/simple https://c.invalid/simple"
    assert env["UV_FIND_LINKS"] == "/opt/a,/opt/b"
    assert env["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert env["UV_PYTHON_DOWNLOADS"] == "never"
    assert "secret" not in env.values()
    assert "VIRTUAL_ENV" not in env


def test_settings_of_uv_win() -> None:
    env = uv_environment(
        {"UV_INDEX_URL": "https://u.invalid", "PIP_INDEX_URL": "https://p.invalid", "PIP_CERT": ""}, {}
    )
    assert "UV_DEFAULT_INDEX" not in env
    assert "SSL_CERT_FILE" not in env
    assert uv_environment({"SSL_CERT_FILE": "/mine", "PIP_CERT": "/other"}, {})["SSL_CERT_FILE"] == "/mine"


def test_settings_of_a_model_go_before_the_servers() -> None:
    ours = {"UV_INDEX_URL": "https://u.invalid", "UV_DEFAULT_INDEX": "https://d.invalid", "PIP_CERT": "/ours"}
    env = uv_environment(ours, {"PIP_INDEX_URL": "https://m.invalid"})
    assert env["UV_DEFAULT_INDEX"] == "https://m.invalid"
    assert "UV_INDEX_URL" not in env
    assert env["SSL_CERT_FILE"] == "/ours"


def test_uv_is_bounded_in_time_and_tells_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="took more than 0 s"):
        Installer(tmp_path, lambda _: None, limit_s=0).run("pip", "list")
    said: list[str] = []
    with pytest.raises(BuildError, match=r"uv pip no-such ended with exit code 2\.") as caught:
        Installer(tmp_path, said.append).run("pip", "no-such")
    assert any("no-such" in line for line in caught.value.last_lines)
    assert said[0].startswith("environment: ")
    with pytest.raises(BuildError):
        Installer(tmp_path, lambda line: pytest.fail(line)).run("pip", "no-such", quiet=True)


def test_a_lock_knows_its_interpreter_and_versions() -> None:
    lock = Lock("# python 3.11\n--pre\nnumpy==1.26.4\nscikit-learn==1.2.2\n")
    assert (lock.python, lock.has_sources, lock.number()) == ("3.11", False, 2)
    assert lock.version_of("Scikit_Learn") == "1.2.2"
    assert lock.version_of("pandas") is None
    assert Lock("# python 3.8, built from sources\n").has_sources
