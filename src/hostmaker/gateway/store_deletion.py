"""DeleteObjects: the keys to delete stand in the body, so it is read to its end before the store gets it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from hostmaker.domain.object_key import stored_key
from hostmaker.gateway.store_errors import BadDigest, MalformedXML, NotImplementedHere
from hostmaker.gateway.store_keys import is_marker
from hostmaker.ports import RequestHead, Resign

MAX_KEYS = 1000
MAX_BODY_BYTES = 8 * 1024 * 1024  # a thousand keys of 1024 bytes, each of which can be written as `&quot;`
# What covers the bytes of a body, or says how many there are.
OF_BODY = frozenset((b"content-length", b"transfer-encoding", b"content-md5", b"x-amz-sdk-checksum-algorithm"))
CHECKSUM = b"x-amz-checksum-"


@dataclass(slots=True)
class Deletion:
    """A request that is being read: as it was asked, as it would go on unchanged, and its body so far."""

    asked: RequestHead
    sent: RequestHead
    parts: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the body so far."""
        return sum(map(len, self.parts))

    def kept(self, resign: Resign, now: float) -> tuple[RequestHead, list[bytes]]:
        """Return request and body as the store is to get them, the ones that came where it keeps all keys as they are.

        `now` is in real Unix seconds. Raises ApiError.
        """
        body = b"".join(self.parts)
        stated = (self.asked.header(b"x-amz-content-sha256") or b"").strip()
        if stated.startswith(b"STREAMING-"):
            raise NotImplementedHere("DeleteObjects needs a body that is not encoded as aws-chunked.")
        written = with_stored_deletions(body)
        if written is body:
            return self.sent, self.parts
        if len(stated) == 64 and stated != _sha256(body):
            raise BadDigest("The provided 'x-amz-content-sha256' header does not match what was computed.")
        fields = tuple(each for each in self.sent.fields if not _is_of_body(each[0].lower()))
        changed = replace(self.sent, fields=(*fields, (b"Content-Length", b"%d" % len(written))))
        return resign(self.asked, changed, now, _sha256(written)), [written]


def with_stored_deletions(body: bytes) -> bytes:
    """Return a body of DeleteObjects that names keys as the store keeps them; raises MalformedXML.

    It is `body` itself where the store keeps all of them as they are.
    """
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - expat reads no external entities, and bounds internal ones
    except (ElementTree.ParseError, ValueError):
        raise MalformedXML("The XML you provided was not well-formed or did not validate against our schema") from None
    named = [each for each in root.iter() if _local(each.tag) == "Key"]
    if all(stored_key(each.text or "") == (each.text or "") for each in named):
        return body
    markers = [each.text for each in named if is_marker(each.text or "")]
    for each in named:
        each.text = stored_key(each.text or "")
    for key in markers[: max(0, MAX_KEYS - len(named))]:  # of folders, from before keys had names of their own
        ElementTree.SubElement(ElementTree.SubElement(root, "Object"), "Key").text = key
    return _written(root).encode()


def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _is_of_body(name: bytes) -> bool:
    return name in OF_BODY or name.startswith(CHECKSUM)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _written(element: ElementTree.Element) -> str:
    """Return a document without namespaces, its line ends kept."""
    tag = _local(element.tag)
    text = escape(element.text or "", {"\r": "&#13;"})
    return f"<{tag}>{text}{''.join(map(_written, element))}</{tag}>"
