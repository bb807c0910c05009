"""Extraction of ordinary and unusual archives; those that mean harm are in `test_hostile_archives.py`."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.hostile_archives import member, packed, tar

from hostmaker.fleet.extract import Bounds, extract


def extracted(tmp_path: Path, content: bytes, bounds: Bounds | None = None) -> dict[str, bytes]:
    archive, target = tmp_path / "model.tar.gz", tmp_path / "model"
    archive.write_bytes(content)
    target.mkdir(mode=0o700)
    extract(archive, target, bounds)
    return {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}


def in_forms(make: Callable[[int], bytes]) -> Iterable[bytes]:
    return (make(form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))


def test_ordinary_archives_of_every_form(tmp_path: Path) -> None:
    members = {
        "model.joblib": b"m" * 5000,
        "code/inference.py": b"pass",
        "empty": b"",
        "data/a/b.bin": os.urandom(2048),
    }
    for number, content in enumerate(in_forms(lambda form: packed(*map(member, members, members.values()), form=form))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert extracted(folder, content) == members


@pytest.mark.parametrize(
    "content",
    [
        packed(
            member("./", kind=tarfile.DIRTYPE), member("./a"), member("./b/", kind=tarfile.DIRTYPE), member("./b/c")
        ),
        packed(member("a"), member("b/c"), member("b", kind=tarfile.DIRTYPE), member("b", kind=tarfile.DIRTYPE)),
        gzip.compress(tar(member("a"), member("b/c")) + bytes(50_000)),
        gzip.compress(tar(member("a"), member("b/c"))) + bytes(100),
        # Packers that work in parallel write one gzip member after another.
        gzip.compress(tar(member("a"), member("b/c"))[:700]) + gzip.compress(tar(member("a"), member("b/c"))[700:]),
        packed(member("a", kind=tarfile.AREGTYPE), member("b/c")),
    ],
)
def test_unusual_but_harmless(tmp_path: Path, content: bytes) -> None:
    assert extracted(tmp_path, content) == {"a": b"x", "b/c": b"x"}


def test_names_of_any_kind(tmp_path: Path) -> None:
    names = ["modèle.bin", "with space", "-rf", "a\nb", "C:x", "back\\slash", "n" * 200, "/".join(["deep"] * 40)]
    assert set(extracted(tmp_path, packed(*(member(name) for name in names)))) == set(names)


def test_modes_and_owners_are_not_taken_over(tmp_path: Path) -> None:
    content = packed(
        member("suid", mode=0o6755, uid=1000, gid=1000),
        member("wide", mode=0o666),
        member("d", kind=tarfile.DIRTYPE, mode=0),
    )
    extracted(tmp_path, content)
    modes = {p.name: stat.S_IMODE(p.lstat().st_mode) for p in (tmp_path / "model").iterdir()}
    assert modes == {"suid": 0o700, "wide": 0o600, "d": 0o700}
    assert {p.lstat().st_uid for p in (tmp_path / "model").rglob("*")} == {os.getuid()}


def test_the_child_has_no_keys_and_no_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTMAKER_S3_SECRET_ACCESS_KEY", "very-secret")
    archive, target = tmp_path / "model.tar.gz", tmp_path / "model"
    os.mkfifo(archive)  # so that the child waits in the middle of its work
    target.mkdir(mode=0o700)
    content = packed(member("a", b""), member("b", b""))
    with ThreadPoolExecutor(1) as pool, archive.open("r+b", buffering=0) as pipe:
        working = pool.submit(extract, archive, target)
        pipe.write(content[:10])
        child = wait_for_child()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
        environ = Path(f"/proc/{child}/environ").read_bytes()
        pipe.write(content[10:])
        pipe.close()
        working.result(timeout=20)
    assert environ == b"LANG=C.UTF-8\0"
    assert status["NoNewPrivs"].strip() == "1"
    user = "65534" if os.getuid() == 0 else str(os.getuid())
    assert status["Uid"].split() == [user] * 4
    if os.getuid() == 0:
        assert (status["Gid"].split(), status["Groups"].strip(), int(status["CapEff"], 16)) == ([user] * 4, "", 0)
    assert sorted(path.name for path in target.iterdir()) == ["a", "b"]


def wait_for_child() -> int:
    """Give the process that has shed its rights; it does so before it reads."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for children in Path("/proc/self/task").glob("*/children"):
            for pid in children.read_text().split():
                if "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text():
                    time.sleep(0.05)  # the next calls drop user and group
                    return int(pid)
        time.sleep(0.01)
    raise AssertionError("no child has shed its rights")


def test_a_time_limit(tmp_path: Path) -> None:
    archive, target = tmp_path / "model.tar.gz", tmp_path / "model"
    archive.write_bytes(packed(member("a")))
    target.mkdir(mode=0o700)
    with pytest.raises(TimeoutError, match="took more than 0.001 s"):
        extract(archive, target, limit_s=0.001)
    assert list(target.iterdir()) == []
