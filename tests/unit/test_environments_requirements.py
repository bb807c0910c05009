"""A model's own requirements, and uv's environment: what is taken over and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostmaker.environments.installer import BuildError, Installer, uv_environment
from hostmaker.environments.lock import Lock
from hostmaker.environments.requirements import read_requirements


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_requirements_includes_and_options(tmp_path: Path) -> None:
    write(tmp_path / "more" / "extra.txt", "xgboost-cpu\n")
    path = write(
        tmp_path / "requirements.txt",
        "\ufeff# what we need\n"
        "numpy==1.26.4  # pinned\n"
        "--extra-index-url https://example.invalid/simple\n"
        "lightgbm>=4 ; \\\n  python_version > '3.8'\n"
        "-r more/extra.txt\n\n"
        "Some_Package @ https://example.invalid/a-1.0.tar.gz#sha256=00\n",
    )
    own = read_requirements(path)
    assert own.lines == (
        "numpy==1.26.4",
        "lightgbm>=4 ;   python_version > '3.8'",
        "xgboost-cpu",
        "Some_Package @ https://example.invalid/a-1.0.tar.gz#sha256=00",
    )
    assert own.options == ("--extra-index-url https://example.invalid/simple",)
    assert own.names() == {"numpy", "lightgbm", "xgboost-cpu", "some-package"}


@pytest.mark.parametrize(
    "line",
    [
        "-r ../secret.txt",
        "-r /etc/passwd",
        "--requirement=/etc/passwd",
        "-e .",
        "--editable ./package",
        "-c constraints.txt",
        "--index-url file:///tmp/x",
        "-f /tmp/wheels",
        "--find-links=../wheels",
        "./package",
        "../package",
        "/tmp/a-1.0-py3-none-any.whl",
        "a-1.0-py3-none-any.whl",
        "vendored/a.tar.gz",
        "file:///tmp/a.tar.gz",
        "a @ file:///tmp/a.tar.gz",
        "a @ ./a",
        "~/a",
        "--config-settings=x",
    ],
)
def test_what_reaches_outside_is_refused_by_name(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "code" / "requirements.txt", f"numpy\n{line}\n")
    with pytest.raises(BuildError) as caught:
        read_requirements(path)
    assert f'"{line}"' in str(caught.value)


def test_odd_files(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="levels deep"):
        read_requirements(write(tmp_path / "loop.txt", "-r loop.txt\n"))
    with pytest.raises(BuildError, match="bytes"):
        read_requirements(write(tmp_path / "big.txt", "#" * 300_000))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BuildError, match="cannot be read"):
        read_requirements(tmp_path / "binary.txt")
    with pytest.raises(BuildError, match="cannot be read"):
        read_requirements(write(tmp_path / "missing.txt", "-r absent.txt\n"))


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
    env = uv_environment(given)
    assert env["UV_DEFAULT_INDEX"] == "https://a.invalid/simple"
    assert env["UV_INDEX"] == "https://b.invalid/simple https://c.invalid/simple"
    assert env["UV_FIND_LINKS"] == "/opt/a,/opt/b"
    assert env["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert env["UV_PYTHON_DOWNLOADS"] == "never"
    assert "secret" not in env.values()
    assert "VIRTUAL_ENV" not in env


def test_settings_of_uv_win() -> None:
    env = uv_environment({"UV_INDEX_URL": "https://u.invalid", "PIP_INDEX_URL": "https://p.invalid", "PIP_CERT": ""})
    assert "UV_DEFAULT_INDEX" not in env
    assert "SSL_CERT_FILE" not in env
    assert uv_environment({"SSL_CERT_FILE": "/mine", "PIP_CERT": "/other"})["SSL_CERT_FILE"] == "/mine"


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
