"""Settings: what `--set` takes, and what it says when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostmaker.assembly.settings import (
    Joined,
    SettingError,
    Settings,
    read_joined,
    rows,
    with_setting,
    write_joined,
)


def test_a_setting_is_parsed_by_its_type() -> None:
    settings = Settings("/data")
    settings = with_setting(settings, "gateway.count=3")
    settings = with_setting(settings, "strict=true")
    settings = with_setting(settings, "control.drain_s=1.5")
    settings = with_setting(settings, "region=eu-west-1")
    assert settings.gateways == 3
    assert settings.control.strict is True
    assert settings.control.drain_s == 1.5
    assert settings.region == "eu-west-1"


def test_explainers_are_as_many_as_they_are_said_to_be_or_as_cores_allow() -> None:
    assert with_setting(Settings("/data"), "explainer.count=7").explainers == 7
    assert 1 <= Settings("/data").explainers <= 4


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("gateway.count", "section.key=value"),
        ("gateway.counts=1", "There is no setting 'gateway.counts'"),
        ("gateway=1", "There is no setting"),
        ("host=1", "There is no setting"),
        ("gateway.count=many", "of type int"),
        ("strict=maybe", "true or false"),
        ("gateway.count.x=1", "There is no setting"),
    ],
)
def test_what_is_refused_says_what_is_allowed(assignment: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        with_setting(Settings("/data"), assignment)


def test_every_row_can_be_set() -> None:
    for name, default, meaning in rows():
        assert meaning
        with_setting(Settings("/data"), f"{name}={default}")


def test_sockets_fit_however_long_the_data_directory_is() -> None:
    assert Settings("/data").run == Path("/data/run")
    long = Settings("/" + "d" * 200).run
    assert len(str(long)) < 70
    assert long != Settings("/" + "e" * 200).run


def test_what_the_supervisor_writes_roles_read(tmp_path: Path) -> None:
    joined = Joined(Settings("/data", auth=False), 4747, "http://127.0.0.1:1", "key", "secret")
    write_joined(joined, tmp_path / "settings.json")
    assert read_joined(tmp_path / "settings.json") == joined
