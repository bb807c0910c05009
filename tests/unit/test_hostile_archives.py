"""Every archive of the corpus is refused with a reason or stays inside, and nothing beside its directory changes."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from tests.unit.hostile_archives import SMALL, Harmless, Hostile, corpus, hostile, member, packed

from hostmaker.fleet.extract import ExtractionError, extract

NAMES = [case.name for case in corpus("/outside")]
MOST_MEMORY_KIB = 300 * 1024
LIMIT_S = 20


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that anybody may enter and write: nothing but the extraction itself keeps an archive inside."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as made:
        root = Path(made)
        os.chmod(root, 0o777)
        outside = root / "outside"
        outside.mkdir()
        (outside / "canary").write_bytes(b"alive")
        (outside / "link").symlink_to("canary")
        (outside / "deep").mkdir(mode=0o750)
        (outside / "deep" / "file").write_bytes(b"deep")
        for path in (outside, outside / "canary"):
            os.chmod(path, 0o777 if path.is_dir() else 0o666)
        yield root


@pytest.fixture(scope="module")
def cases(place: Path) -> dict[str, Hostile | Harmless]:
    return {case.name: case for case in corpus(str(place / "outside"))}


def beside(place: Path) -> dict[str, tuple[int | str, ...]]:
    """Give all that lies in `place`, the model directory apart."""
    found = {}
    for directory, folders, files in os.walk(place):
        if Path(directory) == place:
            folders.remove("model")
        for path in [directory, *(os.path.join(directory, name) for name in (*folders, *files))]:
            seen = os.lstat(path)
            content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if stat.S_ISREG(seen.st_mode) else ""
            times = () if path == str(place) else (seen.st_mtime_ns,)  # the model directory is made anew in it
            found[path] = (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_nlink, content, *times)
    return found


def processes_in(place: Path) -> list[str]:
    """Give the processes that work in `place` or below."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            where = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if Path(where).is_relative_to(place):
            found.append(pid)
    return found


def peak_kib(who: int) -> int:
    return resource.getrusage(who).ru_maxrss


def fresh_target(place: Path) -> Path:
    target = place / "model"
    if target.exists():
        for path in sorted(target.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        target.rmdir()
    target.mkdir(mode=0o700)
    return target


@pytest.mark.parametrize("name", NAMES)
def test_refused_or_inside_and_nothing_beside_changes(
    place: Path, cases: dict[str, Hostile | Harmless], name: str
) -> None:
    case = cases[name]
    archive, target = place / "model.tar.gz", fresh_target(place)
    archive.write_bytes(case.content)
    before = beside(place)
    most_kib = max(MOST_MEMORY_KIB, peak_kib(resource.RUSAGE_CHILDREN))
    if isinstance(case, Hostile):
        with pytest.raises(ExtractionError, match=case.says):
            extract(archive, target, SMALL, LIMIT_S)
        assert list(target.iterdir()) == []
    else:
        extract(archive, target, SMALL, LIMIT_S)
        assert contents(target) == case.holds
    assert beside(place) == before
    assert processes_in(place) == []
    ours_kib = peak_kib(resource.RUSAGE_SELF)  # looked at now: a child begins with what this process has when it forks
    assert peak_kib(resource.RUSAGE_CHILDREN) <= max(most_kib, ours_kib)


def contents(target: Path) -> dict[str, bytes]:
    """Give the files; sees that there are only files and directories, all this user's and nobody else's."""
    found = {}
    for path in (target, *target.rglob("*")):
        seen = path.lstat()
        assert (seen.st_uid, seen.st_gid) == (os.getuid(), os.getgid())
        if stat.S_ISREG(seen.st_mode):
            assert stat.S_IMODE(seen.st_mode) in (0o600, 0o700)
            assert seen.st_nlink == 1
            found[str(path.relative_to(target))] = path.read_bytes()
        else:
            assert stat.S_ISDIR(seen.st_mode)
            assert stat.S_IMODE(seen.st_mode) == 0o700
    return found


def test_the_corpus_is_large_and_each_case_has_its_name() -> None:
    assert len(hostile(corpus("/outside"))) >= 100
    assert len(set(NAMES)) == len(NAMES)


def test_reasons_are_short_and_name_the_cause_behind_a_long_name(place: Path) -> None:
    archive, target = place / "model.tar.gz", fresh_target(place)
    archive.write_bytes(packed(member("../" + "n/" * 20_000)))
    with pytest.raises(ExtractionError, match=r"^'\.\./n/.*\.\.\.' leads out of the model directory$") as caught:
        extract(archive, target, SMALL, LIMIT_S)
    assert len(str(caught.value)) < 300


def test_the_canary_would_tell(place: Path) -> None:
    """An extractor that trusts archives changes what these tests look at."""
    fresh_target(place)
    before = beside(place)
    with tarfile.open(fileobj=BytesIO(packed(member("../outside/canary", b"dead"))), mode="r:gz") as archive:
        archive.extraction_filter = lambda trusted, _: trusted
        archive.extractall(place / "model")
    assert beside(place) != before
