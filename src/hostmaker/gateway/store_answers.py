"""Keys in the object store's answers, back as clients name them; and lists as S3 gives them.

SeaweedFS percent-encodes the rows of a list when it is asked to, but not what stands around them; it lists directory
by directory, so `a/b` before `a-b`; and it says where a page ends in paths.
"""

from __future__ import annotations

import html
import re
from urllib.parse import quote, unquote, unquote_plus
from xml.sax.saxutils import escape

from hostmaker.domain.object_key import MARK, plain_key
from hostmaker.gateway.store_keys import OWN_SIGN

NAMES = "Key|Prefix|Marker|NextMarker|StartAfter|KeyMarker|NextKeyMarker|Delimiter|Resource|Location"
NAMED = re.compile(f"<({NAMES})>([^<]*)</".encode())
ROW = re.compile(rb"<(Contents|CommonPrefixes)>.*?</\1>", re.DOTALL)
ROWS = re.compile(rb"<(?:Contents|CommonPrefixes)>.*</(?:Contents|CommonPrefixes)>", re.DOTALL)
OF_ROW = re.compile(rb"<(?:Key|Prefix)>([^<]*)</")
DELETION = re.compile(rb"<(Deleted|Error)>.*?</\1>", re.DOTALL)
DELETED = re.compile(rb"<(?:Deleted|Error)>.*</(?:Deleted|Error)>", re.DOTALL)
BEHIND = re.compile(rb"<(Marker|StartAfter)>([^<]+)/</")  # `store_keys` adds the slash
NEXT = re.compile(rb"<NextMarker>[^<]*</")
SIGNS = (b"!", b"%21", b"\xef\x80", b"\xef\x81", b"%EF%80", b"%EF%81")  # of a name that is not its key
URL = re.compile(rb"(https?://[^/]+/)(.*)", re.DOTALL)
END = re.compile(rb"<(NextMarker|NextContinuationToken)>([^<]*)</")
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACED = "\ufffd"
LIST, GROUPED, MORE = b"<ListBucketResult", b"<Delimiter>/</", b"<IsTruncated>true</"
COUNT = re.compile(rb"<KeyCount>\d+</")
OF_VERSION_2, QUOTED = b"<KeyCount>", b"<EncodingType>url</"


def plain_answer(answer: bytes, prefix: str = "") -> bytes:
    """Return an XML answer with its keys as clients name them, and a list, which is one by `prefix`, in its order."""
    is_quoted = QUOTED in answer
    if LIST not in answer:
        plain = _named(answer, is_quoted, False)
        return DELETED.sub(_once, plain) if b"<DeleteResult" in plain else plain
    if GROUPED not in answer:
        answer = BEHIND.sub(rb"<\1>\2</", answer)
    found = ROWS.search(answer)
    if found is None:
        return _named(answer, is_quoted, False)
    kept = [_read(each[1], is_quoted) for each in OF_ROW.finditer(found[0])]
    around = (_with_ends(each, kept) for each in (answer[: found.start()], answer[found.end() :]))
    top, end = (_named(each, is_quoted, False) for each in around)
    rows = [row[0] for row in ROW.finditer(_named(found[0], is_quoted, is_quoted))]
    if MORE in top and OF_VERSION_2 not in top + end:
        # Clients may go on behind the last key of a page, so it stays the last.
        return _with_next(top, rows) + b"".join(_under(prefix, rows, is_quoted)) + end
    listed = _ordered(_under(prefix, rows, is_quoted), is_quoted)
    counted = COUNT.sub(b"<KeyCount>%d</" % len(listed), top + b"\0" + end).split(b"\0")
    return counted[0] + b"".join(listed) + counted[1]


def _once(found: re.Match[bytes]) -> bytes:
    """Return what was deleted, each once: `store_deletion` asks for the markers of folders under two names."""
    rows = {_read(each[0], False): each[0] for each in DELETION.finditer(found[0])}
    return b"".join(rows.values())


def _under(prefix: str, rows: list[bytes], is_quoted: bool) -> list[bytes]:
    """Return the rows that begin with a prefix: where it ends in a MARK, the store has given others, too."""
    return [row for row in rows if _row_key(row, is_quoted).startswith(prefix)] if prefix.endswith(MARK) else rows


def _with_ends(part: bytes, kept: list[str]) -> bytes:
    """Return the part of a list that says where its page ends, where a key with characters that XML lacks ends it.

    The store replaces them there, and could not go on; it is the last key of the page that looks so.
    """

    def end(found: re.Match[bytes]) -> bytes:
        said = _read(found[2], False)
        if REPLACED in said:
            path = next((key for key in reversed(kept) if NOT_IN_XML.sub(REPLACED, key) == said.rstrip("/")), said)
            said = path + said[len(said.rstrip("/")) :] if path is not said else said
        elif found[1] == b"NextMarker" or not said.startswith(OWN_SIGN):
            return found[0]
        text = said if found[1] == b"NextMarker" else OWN_SIGN + _quoted(said)
        return b"<%b>%b</" % (found[1], _escaped(text).encode())

    return END.sub(end, part)


def _with_next(top: bytes, rows: list[bytes]) -> bytes:
    """Return the top of a page of version 1, which the last key of the page ends, unless keys are grouped."""
    last = OF_ROW.search(rows[-1])
    if GROUPED in top or last is None:
        return top
    ending = b"<NextMarker>%b</" % last[1]
    return NEXT.sub(lambda _: ending, top)


def _ordered(rows: list[bytes], is_quoted: bool) -> list[bytes]:
    """Return the rows in the order of their keys' bytes, objects before groups."""

    def order(row: bytes) -> tuple[bool, bytes]:
        return row.startswith(b"<Com"), _row_key(row, is_quoted).encode(errors="replace")

    return sorted(rows, key=order)


def _row_key(row: bytes, is_quoted: bool) -> str:
    found = OF_ROW.search(row)
    return _read(found[1], is_quoted) if found else ""


def _named(part: bytes, is_quoted: bool, comes_quoted: bool) -> bytes:
    """Return a part of a document with its keys as clients name them, percent-encoded where they are to be."""

    def plain(found: re.Match[bytes]) -> bytes:
        if found[1] == b"Location":
            return b"<Location>%b</" % _plain_url(found[2])
        kept = _read(found[2], comes_quoted)
        text = plain_key(kept)
        if text == kept and is_quoted == comes_quoted:
            return found[0]
        return b"<%b>%b</" % (found[1], write(text).encode())

    if is_quoted == comes_quoted and not any(sign in part for sign in SIGNS):
        return part
    write = _quoted if is_quoted else _escaped
    return NAMED.sub(plain, part)


def _plain_url(url: bytes) -> bytes:
    """Return the address of an object, percent-encoded as it comes."""
    found = URL.fullmatch(url)
    if found is None:
        return url
    kept = unquote(found[2].decode(errors="replace"))
    plain = plain_key(kept)
    return url if plain == kept else found[1] + _quoted(plain).encode()


def _read(text: bytes, is_quoted: bool) -> str:
    said = text.decode(errors="replace")
    said = html.unescape(said) if "&" in said else said
    return unquote_plus(said) if is_quoted else said


def _quoted(text: str) -> str:
    return quote(text, safe="/-_.~", errors="surrogatepass")


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#xD;", "\0": "&#x0;"})
