"""Extraction against archives that mean harm, are broken, or are merely unusual."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hostmaker.fleet.extract import Bounds, ExtractionError, extract

SMALL = Bounds(most_entries=50, most_bytes=1_000_000, most_ratio=20, ratio_from_bytes=200_000)


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, **more: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else 0
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content) if info.size else None)
    return body.getvalue()


def packed(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    return gzip.compress(tar(*members, form=form))


def with_header(name: bytes, at: int, value: bytes) -> bytes:
    """Give a tar of one file whose header is changed at an offset, its checksum made good."""
    block = bytearray(tar(member(name.decode("latin-1"))))
    block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return gzip.compress(bytes(block))


def chained_long_names(number: int) -> bytes:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    return gzip.compress((header.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")) * number + tar(member("a")))


def huge_pax_header() -> bytes:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 8 * 1024**3 - 1
    return gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))


def sparse_bomb() -> bytes:
    """A file of 100 GB of which not a byte is stored."""
    return packed(
        member("sparse", b"", pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(100 * 1024**3)}),
        form=tarfile.PAX_FORMAT,
    )


ORDINARY = tar(member("a.txt", b"1" * 700), member("b.txt", b"2" * 10))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute": (packed(member("/etc/evil")), "'/etc/evil' is an absolute path"),
    "two slashes": (packed(member("//etc/evil")), "absolute path"),
    "dots": (packed(member("../evil")), "'../evil' leads out"),
    "dots inside": (packed(member("a/../../evil")), "leads out"),
    "dots at the end": (packed(member("a/..", kind=tarfile.DIRTYPE)), "leads out"),
    "dots that stay inside": (packed(member("a/../b")), "leads out"),
    "dots in a long name": (packed(member("a/" * 100 + "../" * 120 + "evil")), "leads out"),
    "dots in a pax name": (packed(member("a", pax_headers={"path": "../evil"}), form=tarfile.PAX_FORMAT), "leads out"),
    "symbolic link": (packed(member("link", b"", tarfile.SYMTYPE, linkname="/etc")), "'link' is a symbolic link"),
    "symbolic link inside": (packed(member("a"), member("b", b"", tarfile.SYMTYPE, linkname="a")), "symbolic link"),
    "file through a link": (
        packed(member("d", b"", tarfile.SYMTYPE, linkname="/tmp"), member("d/evil")),
        "'d' is a symbolic link",
    ),
    "hard link": (packed(member("a"), member("b", b"", tarfile.LNKTYPE, linkname="a")), "'b' is a hard link"),
    "hard link out": (packed(member("b", b"", tarfile.LNKTYPE, linkname="/etc/passwd")), "hard link"),
    "pipe": (packed(member("pipe", b"", tarfile.FIFOTYPE)), "'pipe' is neither a file nor a directory"),
    "character device": (packed(member("null", b"", tarfile.CHRTYPE, devmajor=1, devminor=3)), "neither"),
    "block device": (packed(member("sda", b"", tarfile.BLKTYPE, devmajor=8, devminor=0)), "neither"),
    "same name twice": (packed(member("a"), member("a", b"y")), "'a' comes twice"),
    "same name otherwise written": (packed(member("a/b"), member("./a//b", b"y")), "comes twice"),
    "file where a directory is": (packed(member("a/b"), member("a")), "'a' is a file where"),
    "directory where a file is": (packed(member("a"), member("a/b")), "'a/b' is a file where"),
    "empty directory where a file is": (packed(member("a"), member("a", kind=tarfile.DIRTYPE)), "is a file where"),
    "directory, then file": (packed(member("a", kind=tarfile.DIRTYPE), member("a")), "comes twice"),
    "file without a name": (packed(member(".")), "a file without a name"),
    "name too long": (packed(member("n" * 300)), "cannot be written: File name too long"),
    "too many entries": (packed(*(member(f"f{i}") for i in range(51))), "more than 50 entries"),
    "too many bytes": (
        packed(*(member(f"f{i}", os.urandom(400_000)) for i in range(3))),
        "'f2' brings .* above 1000000",
    ),
    "ratio": (packed(member("zeros", bytes(900_000))), "'zeros' grows to more than 20 times"),
    "sparse bomb": (sparse_bomb(), "'sparse' (grows|brings)"),
    "huge pax header": (huge_pax_header(), "(needs too much memory|not a whole)"),
    "long names without end": (chained_long_names(5000), "not a whole"),
    "nothing": (b"", "not a whole .tar.gz"),
    "not gzip": (b"PK\x03\x04" + bytes(600), "not a whole .tar.gz: Not a gzipped file"),
    "plain tar": (ORDINARY, "not a whole .tar.gz: Not a gzipped file"),
    "gzip of something else": (gzip.compress(b"hello" * 500), "not a whole .tar.gz"),
    "gzip of nothing": (gzip.compress(b""), "not a whole .tar.gz"),
    "gzip cut short": (gzip.compress(ORDINARY)[:-20], "not a whole .tar.gz"),
    "gzip checksum wrong": (gzip.compress(ORDINARY)[:-8] + b"\0\0\0\0" + struct.pack("<I", len(ORDINARY)), "CRC"),
    "tar cut inside a file": (gzip.compress(ORDINARY[:900]), "not a whole .tar.gz"),
    "tar cut inside a header": (gzip.compress(ORDINARY[: 1536 + 100]), "not a whole .tar.gz"),
    "tar cut between files": (gzip.compress(ORDINARY[:1536]), "its end is missing"),
    "damaged header": (
        gzip.compress(ORDINARY[:1536] + b"?" * 512 + ORDINARY[2048:]),
        "its end is missing, or a header is damaged",
    ),
    "garbage after the gzip": (gzip.compress(ORDINARY) + b"garbage", "not a whole .tar.gz: Not a gzipped file"),
    "garbage after the tar": (gzip.compress(ORDINARY + b"garbage"), "data behind its end"),
    "garbage in the padding": (gzip.compress(ORDINARY[:-100] + b"!" + ORDINARY[-99:]), "data behind its end"),
    "a second tar": (gzip.compress(ORDINARY + ORDINARY), "data behind its end"),
    "a second gzip": (gzip.compress(ORDINARY) + gzip.compress(ORDINARY), "data behind its end"),
    "negative size": (with_header(b"a", 124, b"\xff" * 12), "not a whole|damaged|extraction ended"),
    "size that is no number": (with_header(b"a", 124, b"zzzzzzzzzzz\0"), "not a whole"),
    "size of a giant": (with_header(b"a", 124, b"77777777777\0"), "not a whole|'a'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path: Path, name: str) -> None:
    content, says = HOSTILE[name]
    archive, target = tmp_path / "model.tar.gz", tmp_path / "model"
    archive.write_bytes(content)
    target.mkdir(mode=0o700)
    with pytest.raises(ExtractionError, match=says):
        extract(archive, target, SMALL)
    assert list(target.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]
    assert target.stat().st_uid == os.getuid()


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
