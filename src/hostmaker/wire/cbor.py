"""CBOR, as much as Smithy's RPC v2 needs: eight kinds of values, half to double floats, one tag (RFC 8949).

An own codec rather than `cbor2`: that one decodes date strings, big numbers, shared references and two dozen further
tags into Python objects, before anyone could refuse them, and bounds neither depth nor the number of items. What is
needed here is smaller than the code that would guard it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

MAX_DEPTH = 64
MAX_ITEMS = 500_000  # of one document: a one-byte item may become an object of 60 bytes

_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_INDEFINITE = 31
_BREAK = 0xFF
_EPOCH = 1


class CborError(ValueError):
    """Bytes that are no document, or not one that is read here; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in seconds since 1970 (tag 1)."""

    seconds: float


Cbor: TypeAlias = "bool | int | float | str | bytes | Moment | list[Cbor] | Mapping[str, Cbor] | None"


def decode(body: bytes) -> Cbor:
    """Give the one value in `body`. Raises CborError, also for a value that is nested or strewn beyond the bounds.

    `undefined` is None. Maps have text keys, each once.
    """
    reader = _Reader(body)
    value = reader.value(0)
    if reader.at != len(body):
        raise CborError(f"{len(body) - reader.at} bytes follow the value, at byte {reader.at}")
    return value


def encode(value: Cbor) -> bytes:
    """Give the shortest form of each head, lengths always told; floats have 64 bits."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


class _Reader:
    """Where in the body reading has come to, and how many items it has given."""

    def __init__(self, body: bytes) -> None:
        self.at = 0
        self._body = body
        self._items = 0

    def value(self, depth: int) -> Cbor:
        """Read one item with all that is inside."""
        self._count(depth)
        major, info = self._head()
        match major:
            case 0:
                return self._argument(info)
            case 1:
                return -1 - self._argument(info)
            case 2:
                return self._string(major, info)
            case 3:
                return self._text(info)
            case 4:
                return self._list(info, depth)
            case 5:
                return self._map(info, depth)
            case 6:
                return self._moment(info, depth)
        return self._simple(info)

    def _count(self, depth: int) -> None:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise CborError(f"there are more than {MAX_ITEMS} items")
        if depth > MAX_DEPTH:
            raise CborError(f"items are nested more than {MAX_DEPTH} deep")

    def _head(self) -> tuple[int, int]:
        byte = self._take(1)[0]
        return byte >> 5, byte & 0x1F

    def _take(self, number: int) -> bytes:
        if number > len(self._body) - self.at:
            raise CborError(f"{number} bytes are announced at byte {self.at}, {len(self._body) - self.at} are there")
        taken = self._body[self.at : self.at + number]
        self.at += number
        return taken

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _LENGTHS:
            raise CborError(f"the head before byte {self.at} has no meaning (additional information {info})")
        return int.from_bytes(self._take(_LENGTHS[info]), "big")

    def _string(self, major: int, info: int) -> bytes:
        if info != _INDEFINITE:
            return self._take(self._argument(info))
        chunks = []
        while not self._breaks():
            self._count(0)
            inner, length = self._head()
            if inner != major or length == _INDEFINITE:
                raise CborError(f"a string's part before byte {self.at} is not a string of told length")
            chunks.append(self._take(self._argument(length)))
        return b"".join(chunks)

    def _text(self, info: int) -> str:
        start = self.at
        try:
            return self._string(3, info).decode()
        except UnicodeDecodeError:
            raise CborError(f"the text at byte {start} is not UTF-8") from None

    def _list(self, info: int, depth: int) -> list[Cbor]:
        items: list[Cbor] = []
        left = self._length(info, 1)
        while self._goes_on(left, len(items)):
            items.append(self.value(depth + 1))
        return items

    def _map(self, info: int, depth: int) -> dict[str, Cbor]:
        found: dict[str, Cbor] = {}
        left = self._length(info, 2)
        while self._goes_on(left, len(found)):
            start = self.at
            key = self.value(depth + 1)
            if not isinstance(key, str) or key in found:
                raise CborError(f"the key at byte {start} is {'there twice' if isinstance(key, str) else 'not text'}")
            found[key] = self.value(depth + 1)
        return found

    def _length(self, info: int, each: int) -> int | None:
        """Give how many items are announced, each of that many values; None: until the break."""
        if info == _INDEFINITE:
            return None
        length = self._argument(info)
        if length * each > len(self._body) - self.at:
            raise CborError(f"{length} items are announced at byte {self.at}, {len(self._body) - self.at} bytes remain")
        return length

    def _goes_on(self, length: int | None, given: int) -> bool:
        return not self._breaks() if length is None else given < length

    def _breaks(self) -> bool:
        if self._body[self.at : self.at + 1] != bytes((_BREAK,)):
            return False
        self.at += 1
        return True

    def _moment(self, info: int, depth: int) -> Moment:
        tag = self._argument(info)
        value = self.value(depth + 1)
        if tag != _EPOCH:
            raise CborError(f"tag {tag} before byte {self.at} is not read here; tag {_EPOCH} (a time) is")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CborError(f"the time before byte {self.at} is not a number")
        return Moment(value)

    def _simple(self, info: int) -> Cbor:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info not in _FLOATS:
            raise CborError(f"the simple value {info} before byte {self.at} is not read here")
        form, length = _FLOATS[info]
        number: float = struct.unpack(form, self._take(length))[0]
        return number


def _write(value: Cbor, parts: list[bytes]) -> None:
    match value:
        case None:
            parts.append(b"\xf6")
        case bool():
            parts.append(b"\xf5" if value else b"\xf4")
        case int():
            parts.append(_argument_of(0, value) if value >= 0 else _argument_of(1, -1 - value))
        case float():
            parts.append(b"\xfb" + struct.pack(">d", value))
        case bytes():
            parts += (_argument_of(2, len(value)), value)
        case str():
            text = value.encode()
            parts += (_argument_of(3, len(text)), text)
        case Moment(seconds):
            parts.append(_argument_of(6, _EPOCH))
            _write(seconds, parts)
        case list():
            parts.append(_argument_of(4, len(value)))
            for each in value:
                _write(each, parts)
        case Mapping():
            parts.append(_argument_of(5, len(value)))
            for key, each in value.items():
                _write(key, parts)
                _write(each, parts)


def _argument_of(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    for info, length in _LENGTHS.items():
        if number < 1 << 8 * length:
            return bytes((major << 5 | info,)) + number.to_bytes(length, "big")
    raise OverflowError(f"{number} does not fit 64 bits")
