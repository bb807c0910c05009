"""Model archives that mean harm, are broken, or only look as if they did: named cases, made of a place to aim at.

`outside` is a directory beside the one that is extracted into; what names an absolute path names one in it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hostmaker.fleet.extract import Bounds

SMALL = Bounds(most_entries=50, most_bytes=1_000_000, most_ratio=20, ratio_from_bytes=200_000)
Member = tuple[tarfile.TarInfo, bytes]
PAX = tarfile.PAX_FORMAT


@dataclass(frozen=True, slots=True)
class Hostile:
    """An archive that is refused; `says` is a pattern that the reason matches."""

    name: str
    content: bytes
    says: str


@dataclass(frozen=True, slots=True)
class Harmless:
    """An archive that is extracted in spite of its looks; `holds` is what lies there then."""

    name: str
    content: bytes
    holds: dict[str, bytes] = field(default_factory=dict)


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, **more: object) -> Member:
    """Give a member; `more` are attributes of its header."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE) else 0
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def tar(*members: Member, form: int = tarfile.GNU_FORMAT) -> bytes:
    """Give a tar of the members, as Python writes it."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content) if info.size else None)
    return body.getvalue()


def packed(*members: Member, form: int = tarfile.GNU_FORMAT) -> bytes:
    """Give a .tar.gz of the members."""
    return gzip.compress(tar(*members, form=form))


def block(name: bytes, content: bytes = b"", kind: bytes = b"0", **fields: bytes) -> bytes:
    """Give header and content as they are told, whatever they mean; the checksum is right unless told, too."""
    header = bytearray(512)
    values = {"name": name, "size": b"%011o\0" % len(content), "mode": b"0000644\0", "kind": kind, "magic": USTAR}
    for key, value in (values | fields).items():
        header[AT[key] : AT[key] + len(value)] = value
    if "checksum" not in fields:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512)


AT = {"name": 0, "mode": 100, "uid": 108, "size": 124, "mtime": 136, "checksum": 148, "kind": 156, "link": 157}
AT |= {"magic": 257, "prefix": 345, "sparse": 386, "sparse_size": 483}
USTAR = b"ustar\00000"
GNU = b"ustar  \0"
END = bytes(1024)


def record(key: str, value: bytes) -> bytes:
    """Give a record of a pax header, with its own length in front."""
    length = len(key) + len(value) + 3
    while len(text := b"%d %s=%s\n" % (length, key.encode(), value)) != length:
        length = len(text)
    return text


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    """Give a pax header of these records."""
    return block(b"pax", b"".join(records), kind)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    """Give a GNU header that names, or with kind K links, the next member."""
    return block(b"././@LongLink", name + b"\0", kind, magic=GNU)


def raw(*blocks: bytes) -> bytes:
    """Give a .tar.gz of blocks."""
    return gzip.compress(b"".join(blocks) + END)


def symbolic(name: str, to: str) -> Member:
    """Give a symbolic link."""
    return member(name, b"", tarfile.SYMTYPE, linkname=to)


def hard(name: str, to: str) -> Member:
    """Give a hard link."""
    return member(name, b"", tarfile.LNKTYPE, linkname=to)


def directory(name: str, **more: object) -> Member:
    """Give a directory."""
    return member(name, b"", tarfile.DIRTYPE, **more)


ORDINARY = tar(member("a.txt", b"1" * 700), member("b.txt", b"2" * 10))
ORDINARY_GZ = gzip.compress(ORDINARY, mtime=0)
A = block(b"a", b"x")


def corpus(outside: str) -> list[Hostile | Harmless]:
    """Give every case."""
    return [
        *_names(outside),
        *_links(outside),
        *_chains_of_links(outside),
        *_kinds(),
        *_conflicts(),
        *_bombs(),
        *_headers(),
        *_sparse(outside),
        *_wrappings(),
        *_cut(),
        *_harmless(),
    ]


def _names(outside: str) -> Iterator[Hostile]:
    out, absolute = "leads out of the model directory", "is an absolute path"
    for name in (
        "../evil",
        "../outside/canary",
        "a/../../evil",
        "a/../b",
        "./../evil",
        ".//..//evil",
        "a/b/../../../outside/evil",
        "../" * 60 + "tmp/evil",
        "a/" * 100 + "../" * 120 + "evil",
        "a/./../../evil",
        "..",
        "../model/../evil",
    ):
        yield Hostile(f"dots: {name[:30]}", packed(member(name)), out)
    yield Hostile("dots at the end", packed(directory("a/..")), out)
    yield Hostile("directory above", packed(directory("../evil")), out)
    yield Hostile("directory above, its mode", packed(directory("..", mode=0o777)), out)
    yield Hostile("dots behind a good file", packed(member("good"), member("../evil")), f"'../evil' {out}")
    yield Hostile("dots in an old header", raw(block(b"../evil", b"x", magic=bytes(8))), out)
    yield Hostile("dots in the prefix", raw(block(b"evil", b"x", prefix=b"a/../..")), out)
    yield Hostile("dots across prefix and name", raw(block(b"./evil", b"x", prefix=b"../outside")), out)
    yield Hostile("dots in a pax name", raw(pax(record("path", b"../evil")), A), out)
    yield Hostile(
        "dots in the second of two pax names", raw(pax(record("path", b"b"), record("path", b"../e")), A), out
    )
    yield Hostile("dots in a global pax name", raw(pax(record("path", b"../evil"), kind=b"g"), A, pax(), A), out)
    yield Hostile("dots in a solaris pax name", raw(pax(record("path", b"../evil"), kind=b"X"), A), out)
    yield Hostile("dots in a gnu long name", raw(long_name(b"../evil"), A), out)
    yield Hostile("a bad long name, then a good pax name", raw(long_name(b"../e"), pax(record("path", b"b")), A), out)
    yield Hostile("a good pax name, then a bad long name", raw(pax(record("mtime", b"1")), long_name(b"../e"), A), out)
    yield Hostile("absolute", packed(member(f"{outside}/evil")), absolute)
    yield Hostile("absolute over the canary", packed(member(f"{outside}/canary", b"changed")), absolute)
    yield Hostile("absolute directory", packed(directory(f"{outside}/evil")), absolute)
    yield Hostile("two slashes", packed(member(f"/{outside}/evil")), absolute)
    yield Hostile("many slashes", raw(block(b"/////etc/evil", b"x")), absolute)
    yield Hostile("absolute prefix", raw(block(b"evil", b"x", prefix=b"/etc")), absolute)
    yield Hostile("absolute pax name", raw(pax(record("path", f"{outside}/evil".encode())), A), absolute)
    yield Hostile("absolute gnu long name", raw(long_name(f"{outside}/evil".encode()), A), absolute)
    yield Hostile("absolute and very long", packed(member("/" + "a/" * 1500 + "evil")), absolute)
    yield Hostile("zero byte in a pax name", raw(pax(record("path", b"a\0/../../evil")), A), "zero byte in its name")
    yield Hostile("file without a name", packed(member(".")), "a file without a name")
    yield Hostile("file with an empty name", raw(block(b"", b"x")), "a file without a name|not a whole")
    yield Hostile("name too long", packed(member("n" * 300)), "cannot be written: File name too long")
    yield Hostile("path too long", packed(member("/".join(["n" * 200] * 30))), "cannot be written: File name too long")
    yield Hostile("name of a megabyte", raw(long_name(b"n" * 2**20), A), "a header of more than 65536 bytes")
    yield Hostile("deep", packed(member("d/" * 120 + "f")), "lies deeper than 100 directories")
    yield Hostile("deeper and deeper", packed(*(directory("d/" * n) for n in (45, 105))), "lies deeper than")
    yield Hostile("deeper than recursion", packed(member("d/" * 1900 + "f")), "lies deeper than")


def _links(outside: str) -> Iterator[Hostile]:
    soft, hardly = "is a symbolic link; pack the file itself", "is a hard link; pack the file itself"
    places = {"inside": "a", "the system": "/etc", "above": "..", "the canary": f"{outside}/canary", "nothing": ""}
    places |= {"beside": "../outside/canary", "itself": "link", "the process": "/proc/self/cwd/.."}
    for where, to in places.items():
        yield Hostile(f"symbolic link to {where}", packed(member("a"), symbolic("link", to)), f"'link' {soft}")
        yield Hostile(f"hard link to {where}", packed(member("a"), hard("link", to)), f"'link' {hardly}")
    yield Hostile("symbolic link with content", raw(block(b"l", b"x" * 600, b"2", link=b"a")), soft)
    yield Hostile("hard link with content", raw(A, block(b"l", b"x" * 600, b"1", link=b"a")), hardly)
    yield Hostile("link in place of the root", packed(symbolic(".", outside)), soft)
    yield Hostile(
        "link with a pax target", raw(pax(record("linkpath", outside.encode())), block(b"l", b"", b"2")), soft
    )
    yield Hostile("link with a long gnu target", raw(long_name(b"../" * 99, b"K"), block(b"l", b"", b"2")), soft)
    yield Hostile("link out of a link's name", packed(symbolic("../evil", "x")), "leads out")
    yield Hostile("absolute link", packed(symbolic(f"{outside}/evil", "x")), "is an absolute path")
    yield Hostile("link over a file", packed(member("a"), symbolic("a", outside)), soft)
    yield Hostile("link over a directory", packed(directory("d"), symbolic("d", outside), member("d/evil")), soft)


def _chains_of_links(outside: str) -> Iterator[Hostile]:
    """Patterns that have led out of extractors which follow links."""
    soft, hardly = "is a symbolic link", "is a hard link"
    yield Hostile("file through a link", packed(symbolic("d", outside), member("d/evil")), f"'d' {soft}")
    yield Hostile("file through a link, slash", packed(symbolic("d/", outside), member("d/evil")), soft)
    yield Hostile("file over a link", packed(symbolic("f", f"{outside}/canary"), member("f", b"changed")), soft)
    yield Hostile("link through a link", packed(symbolic("a", ".."), symbolic("a/b", ".."), member("a/b/e")), soft)
    yield Hostile("links in a circle", packed(symbolic("a", "b"), symbolic("b", "a"), member("a/e")), soft)
    yield Hostile(
        "hard link to a symbolic link", packed(symbolic("s", f"{outside}/canary"), hard("h", "s"), member("h")), soft
    )
    yield Hostile("hard link first, file over it", packed(hard("h", "../outside/canary"), member("h")), hardly)
    yield Hostile("link to a later file", packed(symbolic("s", "later"), member("later"), member("s", b"y")), soft)
    yield Hostile(
        "mode through a link (CVE-2024-12718)",
        packed(symbolic("x", ".."), directory("x/outside", mode=0o777, mtime=0), directory("x/.", mode=0)),
        soft,
    )
    yield Hostile(
        "a target that a missing directory hides (CVE-2025-4138)",
        packed(symbolic("link", "missing/../../outside"), directory("missing"), member("link/evil")),
        soft,
    )
    yield Hostile(
        "a link that is moved afterwards (CVE-2025-4330)",
        packed(directory("a/b"), symbolic("a/b/l", "../../../outside"), hard("moved", "a/b/l"), member("moved/evil")),
        soft,
    )
    yield Hostile("a path longer than PATH_MAX (CVE-2025-4517)", packed(*_beyond_path_max(outside)), soft)
    yield Hostile(
        "hard link through such a path (CVE-2025-4517)",
        packed(*_beyond_path_max(outside), hard("flag", "escape/canary"), member("flag", b"changed")),
        soft,
    )
    yield Hostile(
        "a link's target longer than PATH_MAX", packed(symbolic("l", "a/" * 2100 + "../" * 2101), member("l/e")), soft
    )
    yield Hostile("windows junction", packed(symbolic("j", "C:\\Windows"), member("j/evil")), soft)


def _beyond_path_max(outside: str) -> Iterator[Member]:
    """Short links along long directories: what they resolve to is too long for realpath, which then gives up."""
    long, path = "d" * 247, ""
    for step in "abcdefghijklmnop":
        yield directory(path + long)
        yield symbolic(path + step, long)
        path += f"{long}/"
    short = "/".join("abcdefghijklmnop")
    yield symbolic(f"{short}/{'l' * 254}", "../" * 16)
    yield symbolic("escape", f"{short}/{'l' * 254}/../{outside.rpartition('/')[2]}")
    yield member("escape/evil")


def _kinds() -> Iterator[Hostile]:
    odd = "is neither a file nor a directory"
    yield Hostile("pipe", packed(member("pipe", b"", tarfile.FIFOTYPE)), f"'pipe' {odd}")
    yield Hostile("null", packed(member("null", b"", tarfile.CHRTYPE, devmajor=1, devminor=3)), odd)
    yield Hostile("memory of the kernel", packed(member("kmem", b"", tarfile.CHRTYPE, devmajor=1, devminor=2)), odd)
    yield Hostile("disk", packed(member("sda", b"", tarfile.BLKTYPE, devmajor=8, devminor=0)), odd)
    yield Hostile("device with content", raw(block(b"dev", b"x" * 600, b"3")), odd)
    yield Hostile("pipe out of a pipe's name", packed(member("../pipe", b"", tarfile.FIFOTYPE)), "leads out")
    for kind, means in (
        (b"s", "socket"),
        (b"D", "gnu dump of a directory"),
        (b"M", "gnu continued volume"),
        (b"N", "gnu old long names"),
        (b"V", "gnu volume name"),
        (b"A", "solaris access list"),
        (b"I", "inode only"),
        (b"8", "nothing yet"),
        (b"Z", "nothing"),
        (b"\xff", "no letter"),
    ):
        yield Hostile(f"kind {kind!r}: {means}", raw(block(b"odd", b"x", kind)), f"'odd' {odd}")


def _conflicts() -> Iterator[Hostile]:
    both = "is a file where another member needs a directory"
    yield Hostile("a file twice, then a directory of its name", packed(member("a"), member("a"), directory("a")), both)
    yield Hostile("file where a directory is", packed(member("a/b"), member("a")), f"'a' {both}")
    yield Hostile("directory where a file is", packed(member("a"), member("a/b")), f"'a/b' {both}")
    yield Hostile("directory, then file", packed(directory("a"), member("a")), both)
    yield Hostile("file, then directory", packed(member("a"), directory("a")), both)
    yield Hostile("file, then a directory far below", packed(member("a"), directory("a/b/c/d")), both)


def _bombs() -> Iterator[Hostile]:
    noise = random.Random(1).randbytes(400_000)
    ratio = "grows to more than 20 times its packed size"
    yield Hostile("too many entries", packed(*(member(f"f{i}") for i in range(51))), "more than 50 entries")
    yield Hostile("the root again and again", packed(*[directory("./")] * 60), "more than 50 entries")
    yield Hostile("too many directories", packed(*(directory("/".join(f"{i}{n}" for n in range(9))) for i in range(9))),
                  "makes more than 50 directories")  # fmt: skip
    yield Hostile("too many bytes", packed(*(member(f"f{i}", noise) for i in range(3))), "'f2' brings .* above 1000000")
    yield Hostile("zeros", packed(member("zeros", bytes(900_000))), f"'zeros' {ratio}")
    yield Hostile("zeros in many files", packed(*(member(f"z{i}", bytes(20_000)) for i in range(45))), ratio)
    yield Hostile("zeros behind the end", gzip.compress(ORDINARY + bytes(900_000)), f"the archive {ratio}")
    yield Hostile("zeros as gzip members", gzip.compress(ORDINARY) + gzip.compress(bytes(100_000)) * 9, ratio)
    comments = (pax(record("comment", b" " * 60_000), record("path", b"%d" % n)) + A for n in range(9))
    yield Hostile("headers again and again", raw(*comments), f"the archive {ratio}")
    yield Hostile("a skipped member of zeros", raw(block(b"l", bytes(900_000), b"2")), "symbolic link")
    yield Hostile("huge pax header", raw(block(b"pax", b"", b"x", size=b"77777777777\0")), "header of more than")
    yield Hostile("pax header of a megabyte", raw(pax(record("comment", b"c" * 2**20)), A), "header of more than")
    yield Hostile(
        "global pax header, huge", raw(block(b"pax", b"", b"g", size=b"77777777777\0")), "header of more than"
    )
    yield Hostile("pax header of digits", raw(pax(b"1" * 60_000), A), "a number of more than 300 digits")
    yield Hostile("pax length of digits", raw(pax(b"9" * 5000 + b" a=b\n"), A), "a number of more than 300 digits")
    yield Hostile("long names without end", raw(long_name(b"a") * 5000, A), "header of more than")
    yield Hostile("pax headers without end", raw(pax(record("a", b"b")) * 5000, A), "header of more than")
    yield Hostile("global headers without end", raw(pax(record("a", b"b"), kind=b"g") * 5000), "header of more than")
    yield Hostile("huge long name", raw(block(b"L", b"", b"L", size=b"77777777777\0")), "header of more than")
    yield Hostile(
        "huge file", raw(block(b"a", b"x", size=b"77777777777\0")), "not a whole .tar.gz|'a' grows|'a' brings"
    )


def _headers() -> Iterator[Hostile]:
    whole = "not a whole .tar.gz"
    yield Hostile("negative size", raw(block(b"a", b"x", size=b"\xff" * 12)), f"{whole}|damaged")
    yield Hostile("negative size of one block", raw(A, block(b"b", size=b"\xff" * 10 + b"\xfe\0")), f"{whole}|damaged")
    yield Hostile("size in base 256", raw(block(b"a", b"x", size=b"\x80" + b"\x7f" * 11)), f"{whole}|'a'")
    yield Hostile(
        "header's size in base 256", raw(block(b"a", b"x", b"x", size=b"\x80" + b"\x7f" * 11)), "header of more"
    )
    yield Hostile("header's negative size", raw(block(b"a", b"x", b"x", size=b"\xff" * 12)), f"header of more|{whole}")
    yield Hostile("negative size in a pax header", raw(pax(record("size", b"-512")), A, A), f"{whole}|damaged")
    yield Hostile(
        "size that goes back", raw(A, pax(record("size", b"-1536")), block(b"b", b"y")), f"{whole}: a header leads"
    )
    yield Hostile(
        "huge size in a pax header", raw(pax(record("size", b"9" * 30)), A), f"{whole}: it ends inside|{whole}"
    )
    yield Hostile("size that is no number", raw(block(b"a", b"x", size=b"zzzzzzzzzzz\0")), whole)
    yield Hostile("size with an eight", raw(block(b"a", b"x", size=b"00000000008\0")), whole)
    yield Hostile(
        "too small a size", raw(block(b"a", b"y" * 2000, size=b"00000000001\0")), "its end is missing|damaged"
    )
    yield Hostile("pax header without an equals sign", raw(A, pax(b"9 garbage"), b"?" * 512), "damaged|not a whole")
    yield Hostile("pax length of nothing", raw(pax(b"0 a=b\n"), A), whole)
    yield Hostile("pax header at the end", raw(A, pax(record("path", b"b"))), f"{whole}|damaged")
    yield Hostile("long name at the end", raw(A, long_name(b"b")), whole)
    yield Hostile("checksum wrong", raw(block(b"a", b"x", checksum=b"000000\0 ")), whole)
    yield Hostile(
        "checksum of a later header wrong", raw(A, block(b"b", b"x", checksum=b"000000\0 ")), "header is damaged"
    )
    yield Hostile("checksum that is no number", raw(A, block(b"b", b"x", checksum=b"zzzzzzz\0")), "header is damaged")
    yield Hostile("damaged header", gzip.compress(ORDINARY[:1536] + b"?" * 512 + ORDINARY[2048:]), "header is damaged")
    yield Hostile("magic of nobody, then garbage", raw(block(b"a", b"x", magic=b"garbage!"), b"!" * 512), "damaged")
    yield Hostile("one empty block between members", gzip.compress(A + bytes(512) + A + END), "data behind its end")


def _sparse(outside: str) -> Iterator[Hostile]:
    giant = str(100 * 1024**3).encode()
    hole = [record("GNU.sparse.map", b"0,0"), record("GNU.sparse.size", giant)]
    big = "'(a|s)' (grows|brings)"
    yield Hostile("hole of 100 GB", raw(pax(*hole), A), big)
    yield Hostile("sparse name that leads out", raw(pax(record("GNU.sparse.name", b"../evil"), *hole), A), "leads out")
    yield Hostile(
        "absolute sparse name", raw(pax(record("GNU.sparse.name", f"{outside}/e".encode()), *hole), A), "absolute"
    )
    yield Hostile("old sparse file of 100 GB", raw(block(b"s", b"", b"S", magic=GNU, sparse=b"%011o\0%011o\0" % (0, 0),
                  sparse_size=b"\x80" + bytes(5) + b"\x19" + bytes(5))), big)  # fmt: skip
    version = [record("GNU.sparse.major", b"1"), record("GNU.sparse.minor", b"0"), record("GNU.sparse.realsize", giant)]
    yield Hostile("sparse map in the content", raw(pax(*version), block(b"a", b"1\n0\n0\n".ljust(512, b"\0"))), big)
    yield Hostile(
        "sparse map without end", raw(pax(*version), block(b"a", b"999999999\n" + b"0\n" * 90_000)), "header of more"
    )
    yield Hostile("sparse map that is no map", raw(pax(*version), block(b"a", b"garbage" * 80)), "not a whole")
    back = [record("GNU.sparse.map", b"0,1,1,-5,1,3"), record("GNU.sparse.size", b"100")]
    yield Hostile("sparse map that leads back", raw(pax(*back), block(b"a", b"x" * 600)), "leads backward|not a whole")
    many = b",".join(b"%d,1" % n for n in range(5000))
    crumbs = [record("GNU.sparse.map", many), record("GNU.sparse.size", giant)]
    yield Hostile("sparse map of crumbs", raw(pax(*crumbs), block(b"a", b"x" * 5000)), big)


def _wrappings() -> Iterator[Hostile]:
    no, whole = "not a whole .tar.gz: Not a gzipped file", "not a whole .tar.gz"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("../evil", b"x")
    yield Hostile("nothing", b"", whole)
    yield Hostile("one byte", b"\x1f", whole)
    yield Hostile("zeros instead of an archive", bytes(2048), whole)
    yield Hostile("zip", zipped.getvalue(), no)
    yield Hostile("xz", lzma.compress(ORDINARY), no)
    yield Hostile("bzip2", bz2.compress(ORDINARY), no)
    yield Hostile("zlib", zlib.compress(ORDINARY), no)
    yield Hostile("zstandard", b"\x28\xb5\x2f\xfd" + bytes(60), no)
    yield Hostile("plain tar", ORDINARY, no)
    yield Hostile("web page", b"<html><body>403 Forbidden</body></html>", no)
    yield Hostile("shell script", b"#!/bin/sh\ntouch /tmp/evil\n", no)
    yield Hostile("gzip of gzip", gzip.compress(ORDINARY_GZ), whole)
    yield Hostile("gzip of zip", gzip.compress(zipped.getvalue()), whole)
    yield Hostile("gzip of something else", gzip.compress(b"hello" * 500), whole)
    yield Hostile("gzip of nothing", gzip.compress(b""), whole)
    yield Hostile("gzip of half an end, too short", gzip.compress(bytes(100)), whole)
    yield Hostile("gzip with another method", b"\x1f\x8b\x07" + ORDINARY_GZ[3:], "Unknown compression method")
    yield Hostile("gzip with an endless name", b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 5000, whole)
    yield Hostile(
        "gzip with an extra field too short", b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + b"e" * 100, whole
    )
    yield Hostile("gzip checksum wrong", ORDINARY_GZ[:-8] + bytes(4) + struct.pack("<I", len(ORDINARY)), "CRC")
    yield Hostile("gzip length wrong", ORDINARY_GZ[:-4] + b"\1\2\3\4", "Incorrect length")
    yield Hostile("deflate damaged", ORDINARY_GZ[:12] + b"\xff" * 20 + ORDINARY_GZ[32:], whole)
    yield Hostile("garbage after the gzip", ORDINARY_GZ + b"garbage", no)
    yield Hostile("garbage after the tar", gzip.compress(ORDINARY + b"garbage"), "data behind its end")
    yield Hostile(
        "garbage in the padding", gzip.compress(ORDINARY[:-100] + b"!" + ORDINARY[-99:]), "data behind its end"
    )
    yield Hostile("a second tar", gzip.compress(ORDINARY + ORDINARY), "data behind its end")
    yield Hostile("a second gzip", ORDINARY_GZ + gzip.compress(tar(member("../evil"))), "data behind its end")
    yield Hostile("half of a second gzip", ORDINARY_GZ + ORDINARY_GZ[: len(ORDINARY_GZ) // 2], whole)


def _cut() -> Iterator[Hostile]:
    """What a transfer that was broken off leaves."""
    noise = gzip.compress(tar(member("noise", random.Random(2).randbytes(9000)), member("b")))
    for part in (2, 8, 32, 48, 63):
        yield Hostile(f"gzip cut at {part} of 64", noise[: len(noise) * part // 64], "not a whole .tar.gz")
    for back in (1, 8, 9):
        yield Hostile(f"gzip cut {back} bytes before its end", ORDINARY_GZ[:-back], "not a whole .tar.gz")
    for at in (1, 511, 512, 900, 1535, 1536, 1636, 2048, 2060, 2560):
        yield Hostile(f"tar cut at {at}", gzip.compress(ORDINARY[:at]), "not a whole .tar.gz")


def _harmless() -> Iterator[Harmless]:
    """What is extracted: odd, but it stays inside, and rights and owners are not taken over."""
    rights = [
        member(f"m{mode:o}", mode=mode, uid=0, gid=0, uname="root") for mode in (0o4755, 0o2755, 0o1777, 0o6777, 0)
    ]
    yield Harmless("rights and owners", packed(*rights), {info.name: b"x" for info, _ in rights})
    yield Harmless("directory without rights", packed(directory("d", mode=0), member("d/a")), {"d/a": b"x"})
    yield Harmless(
        "directory that anybody may write", packed(directory("d", mode=0o7777), member("d/a")), {"d/a": b"x"}
    )
    yield Harmless("giant owner", packed(member("a", uid=2**40, gid=2**40), form=tarfile.GNU_FORMAT), {"a": b"x"})
    yield Harmless("time before all time", packed(member("a", mtime=-(2**40)), form=tarfile.GNU_FORMAT), {"a": b"x"})
    names = [
        "..evil",
        "evil..",
        "...",
        "a/..b",
        "..\\evil",
        "a\\..\\..\\evil",
        "C:\\evil",
        "%2e%2e%2fevil",
        "．．/evil",
    ]
    names += [
        "..%00/evil",
        "~/evil",
        "$HOME",
        "-rf",
        "a\nb",
        "\x1b[2J",
        "\u202egnp.exe",
        "con",
        "nul.txt",
        "a:b",
        "." * 99,
    ]
    yield Harmless("names for other systems", packed(*map(member, names)), dict.fromkeys(names, b"x"))
    both = ["\u00e9", "e\u0301", "A", "a", "ß", "SS", "\u212a", "K"]
    yield Harmless("names that some systems take for the same", packed(*map(member, both)), dict.fromkeys(both, b"x"))
    yield Harmless("name that is no text", raw(block(b"\xff\xfe", b"x")), {os.fsdecode(b"\xff\xfe"): b"x"})
    yield Harmless("name cut at a zero byte", raw(block(b"a\0/../../evil", b"x")), {"a": b"x"})
    yield Harmless("gnu name cut at a zero byte", raw(long_name(b"b\0/../../evil"), A), {"b": b"x"})
    yield Harmless("contiguous file", packed(member("a", kind=tarfile.CONTTYPE)), {"a": b"x"})
    yield Harmless("old kind of file", packed(member("a", kind=tarfile.AREGTYPE)), {"a": b"x"})
    yield Harmless("file that ends in a slash", raw(pax(record("path", b"a/")), A), {"a": b"x"})
    yield Harmless("same name twice", packed(member("a"), member("a", b"y")), {"a": b"y"})
    yield Harmless("same name twice, the same content", packed(member("a"), member("a")), {"a": b"x"})
    yield Harmless("same name otherwise written", packed(member("a/b"), member("./a//b", b"y")), {"a/b": b"y"})
    yield Harmless("same name in a pax header", raw(A, pax(record("path", b"./a")), A), {"a": b"x"})
    yield Harmless("same name with a slash", raw(A, pax(record("path", b"a/")), A), {"a": b"x"})
    yield Harmless("directory twice", packed(directory("d"), directory("d"), member("d/a")), {"d/a": b"x"})
    yield Harmless(
        "an archive within", packed(member("m.tar.gz", packed(member("../e")))), {"m.tar.gz": packed(member("../e"))}
    )
    yield Harmless(
        "small holes", raw(pax(record("GNU.sparse.map", b"2,1"), record("GNU.sparse.size", b"4")), A), {"a": b"\0\0x\0"}
    )
    yield Harmless("in two gzip members", gzip.compress(A) + gzip.compress(END), {"a": b"x"})
    yield Harmless("zeros after the gzip", packed(member("a")) + bytes(999), {"a": b"x"})
    yield Harmless("extra fields of gzip", b"\x1f\x8b\x08\x1c" + bytes(6) + b"\3\0abc" + b"../../evil\0" + b"comment\0"
                   + raw(A)[10:], {"a": b"x"})  # fmt: skip
    yield Harmless("no members", gzip.compress(bytes(10240)), {})
    yield Harmless("the root of all", packed(directory("/", mode=0o777), member("a")), {"a": b"x"})
    yield Harmless(
        "a good long name over a bad one", raw(long_name(b"b"), pax(record("path", b"../e")), A), {"b": b"x"}
    )
    yield Harmless("only the root", packed(directory("./", mode=0o777)), {})
    yield Harmless("attributes that would give rights", raw(pax(record("SCHILY.xattr.security.capability", b"\1\0\0\2"),
                   record("SCHILY.acl.access", b"user::rwx,other::rwx")), A), {"a": b"x"})  # fmt: skip


def hostile(cases: Iterable[Hostile | Harmless]) -> list[Hostile]:
    """Give those that are refused."""
    return [case for case in cases if isinstance(case, Hostile)]
