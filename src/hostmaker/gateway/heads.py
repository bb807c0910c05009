"""What the names in a head say. They are looked at once: a client sends the same ones again and again."""

from __future__ import annotations

MOST_FIELDS = 100
MOST_KNOWN = 1000
MOST_KNOWN_BYTES = 4096  # of one head's names
ONCE = frozenset((b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-amz-date", b"content-type"))
# With one of these there is more to look at than the names.
SPECIAL = frozenset((b"transfer-encoding", b"expect", b"origin", b"upgrade", b"connection"))
TOP = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nX-Amzn-RequestId: %b\r\n"
API_PREFIX = b"x-amzn-sagemaker-"

# What a model's process gets to see, by the name it came under. Everything else stays here: signatures, cookies.
FORWARDED = {
    b"content-type": b"Content-Type: ",
    b"accept": b"Accept: ",
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes: ",
    b"x-amzn-sagemaker-target-variant": b"X-Amzn-SageMaker-Target-Variant: ",
    b"x-amzn-sagemaker-inference-id": b"X-Amzn-SageMaker-Inference-Id: ",
    b"x-amzn-sagemaker-prefix-aware-id": b"X-Amzn-SageMaker-Prefix-Aware-Id: ",
}
# The streaming operation has another name for Accept.
FORWARDED_TO_STREAMS = {
    **{name: line for name, line in FORWARDED.items() if name != b"accept"},
    b"x-amzn-sagemaker-accept": b"Accept: ",
}

# What comes back of the model's headers, besides its Content-Type.
RETURNED = {
    b"x-amzn-sagemaker-custom-attributes": b"X-Amzn-SageMaker-Custom-Attributes",
    b"x-amzn-sagemaker-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    b"x-amzn-sagemaker-new-session-id": b"X-Amzn-SageMaker-New-Session-Id",
    b"x-amzn-sagemaker-closed-session-id": b"X-Amzn-SageMaker-Closed-Session-Id",
}


class Forwarded:
    """The head that an instance gets, but for the values: the length, the request's id, then those at `places`."""

    __slots__ = ("places", "template")

    def __init__(self, sent_as: dict[bytes, bytes], at: dict[bytes, int]) -> None:
        self.places = tuple(at[name] for name in sent_as if name in at)
        lines = (b"%b%%b\r\n" % line for name, line in sent_as.items() if name in at)
        self.template = TOP + b"".join(lines) + b"\r\n"

    def head(self, length: int, ident: bytes, raw: list[bytes]) -> bytes:
        """Give it for one request; `raw` are names and values in turn."""
        return self.template % (length, ident, *[raw[at] for at in self.places])


class Shape:
    """The names of one head, in lower case and in order, and what they alone decide."""

    __slots__ = (
        "at", "authorization_at", "forwarded", "forwarded_to_streams", "has_api_names", "host_at", "is_simple",
        "length_at", "names", "refusal",
    )  # fmt: skip

    def __init__(self, names: tuple[bytes, ...]) -> None:
        self.names = tuple(name.lower() for name in names)
        present = frozenset(self.names)
        self.refusal = self._refusal(present)
        self.is_simple = self.refusal is None and present.isdisjoint(SPECIAL)
        self.has_api_names = any(name.startswith(API_PREFIX) for name in present)
        # Where values stand among names and values in turn; 0 (a name, never a value): nowhere.
        self.at = {name: 2 * place + 1 for place, name in enumerate(self.names)}
        self.host_at = self.at.get(b"host", 0)
        self.length_at = self.at.get(b"content-length", 0)
        self.authorization_at = self.at.get(b"authorization", 0)
        self.forwarded = Forwarded(FORWARDED, self.at)
        self.forwarded_to_streams = Forwarded(FORWARDED_TO_STREAMS, self.at)

    def _refusal(self, present: frozenset[bytes]) -> tuple[int, bytes] | None:
        if len(self.names) > MOST_FIELDS:
            return 431, b"A request can have %d headers." % MOST_FIELDS
        if b"host" not in present:
            return 400, b"A request must have a Host header."
        for name in ONCE & present if len(present) < len(self.names) else ():
            if self.names.count(name) > 1:
                return 400, b"The header %b comes twice." % name
        return None


_known: dict[tuple[bytes, ...], Shape] = {}


def shape_of(names: tuple[bytes, ...]) -> Shape:
    """Give the shape of a head with these names, in any case."""
    shape = _known.get(names)
    if shape is None:
        shape = Shape(names)
        if sum(map(len, names)) <= MOST_KNOWN_BYTES:
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[names] = shape
    return shape


def returned(fields: list[bytes], content_type_name: bytes, further: bytes) -> bytes:
    """Give the header lines that the caller gets of an answer's `fields`, names and values in turn, and `further`."""
    content_type, others = b"application/octet-stream", b""
    for at in range(0, len(fields), 2):
        name = fields[at].lower()
        if name == b"content-type":
            content_type = fields[at + 1]
        elif name in RETURNED:
            others += b"%b: %b\r\n" % (RETURNED[name], fields[at + 1])
    return b"%b: %b\r\n%b%b" % (content_type_name, content_type, others, further)
