"""An upload by a form of a browser, as `generate_presigned_post` makes it: its key stands in the body.

The form's signature covers a policy about the key, so the key cannot be written anew: one that the store would change
is refused. The body passes on as soon as the key is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hostmaker.domain.object_key import stored_key
from hostmaker.gateway.store_errors import EntityTooLarge, NotImplementedHere
from hostmaker.gateway.store_keys import Place
from hostmaker.ports import RequestHead

MAX_FIELDS_BYTES = 64 * 1024
OF_FORMS = b"multipart/form-data"
KEY = re.compile(rb'name="key"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL)
FILE = re.compile(rb'name="file"(?:;[ \t]*filename="([^"\r\n]*)")?[^\r\n]*\r\n')
FILE_NAME = b"${filename}"


def is_form(head: RequestHead, place: Place) -> bool:
    """Whether an object is uploaded by a form."""
    kind = (head.header(b"content-type") or b"").strip().lower()
    return head.method == "POST" and not place.key and kind.startswith(OF_FORMS)


@dataclass(slots=True)
class Form:
    """A request that is being read: as it goes on, and its body so far."""

    sent: RequestHead
    parts: list[bytes] = field(default_factory=list)

    def is_known(self, is_end: bool = False) -> bool:
        """Whether the key is known; raises ApiError when it has to be refused, or when there is none at the end."""
        fields = b"".join(self.parts)
        found, file = KEY.search(fields), FILE.search(fields)
        if found is not None and (FILE_NAME not in found[1] or file is not None):
            key = found[1].replace(FILE_NAME, (file[1] or b"") if file is not None else b"")
            _check(key)
            return True
        if file is not None or is_end:
            raise NotImplementedHere('The form has no field "key" in front of its field "file".')
        if len(fields) > MAX_FIELDS_BYTES:
            raise EntityTooLarge(f"The fields in front of a form's file can have {MAX_FIELDS_BYTES} bytes.")
        return False


def _check(key: bytes) -> None:
    text = key.decode(errors="replace")
    if text.encode() != key or stored_key(text) != text:
        raise NotImplementedHere(
            f"A form cannot upload to the key {text!r} here, which has an empty segment, a backslash or the like. "
            "Use PutObject, or a presigned URL of it."
        )
