"""Requests that are signed rightly and then changed: whatever differs in meaning from what was signed is refused.

botocore signs. What a request means is said here, apart from the code that verifies.
"""

from __future__ import annotations

import posixpath
import random
import string
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Headers = tuple[tuple[str, str], ...]
LETTERS = string.ascii_letters + string.digits + "/=,;:&?%+-_. é²"
SERVICES = ("sagemaker", "sts", "s3", "monitoring", "iam", "logs", "execute-api", "s3express")
REGIONS = ("us-east-1", "eu-west-1", "us-east-2")
AUTHORIZATION = "authorization"
HASH = "x-amz-content-sha256"  # states what is compared with the body anyhow


@dataclass(frozen=True)
class Signed:
    """A request as it goes over the network, names of headers in lower case. `service` is whom it is signed for."""

    method: str
    target: str
    headers: Headers
    body: bytes
    service: str

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each == name), None)

    def with_header(self, name: str, value: str | None) -> Signed:
        """Change one header in its place, or remove it."""
        headers = [(each, value if each == name else old) for each, old in self.headers]
        return replace(self, headers=tuple((each, new) for each, new in headers if new is not None))

    @property
    def is_presigned(self) -> bool:
        return "X-Amz-Signature=" in self.target


@dataclass(frozen=True)
class Keys:
    """The keys that requests are signed with; the first is a permanent one, the others have session tokens."""

    permanent: Credentials
    sessions: Sequence[Credentials]
    endpoint: str = "some-endpoint"


def valid(chance: random.Random, keys: Keys) -> Signed:
    """Draw a request and sign it."""
    key = chance.choice([keys.permanent, *keys.sessions])
    region = chance.choice(REGIONS)
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    identity = "Action=GetCallerIdentity&Version=2011-06-15"
    data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 60)))
    invocation = {"Content-Type": "text/csv", "X-Amzn-SageMaker-Custom-Attributes": "a  b,c"}
    listed = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.ListModels"}
    match chance.randrange(7):
        case 0:
            return _signed(key, region, "sagemaker", "POST", "/", listed, b'{"MaxResults": 1}')
        case 1:
            return _signed(key, region, "sts", "POST", "/", form, identity.encode())
        case 2:
            return _signed(key, region, "sts", "GET", f"/?{identity}", {}, b"", is_presigned=True)
        case 3:
            return _signed(key, region, "monitoring", "POST", "/", form, b"Action=ListMetrics&Version=2010-08-01")
        case 4:
            key = chance.choice(keys.sessions)  # of other keys, the store judges
            query = f"?list-type=2&prefix={quote(chance.choice(['a b', 'x+y', 'ä']))}"
            return _signed(key, region, "s3", "GET", f"/models{query}", {}, b"", is_presigned=chance.random() < 0.5)
        case 5:
            key = chance.choice(keys.sessions)
            return _signed(key, region, "s3", "PUT", "/models/fuzz/a%20b", {"X-Amz-Meta-Of": "fuzz"}, data)
        case _:
            path = f"/endpoints/{keys.endpoint}/invocations"
            return _signed(key, region, "sagemaker", "POST", path, invocation, data)


def _signed(
    key: Credentials,
    region: str,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    *,
    is_presigned: bool = False,
) -> Signed:
    host = "127.0.0.1:4747"  # a gateway answers to any port
    request = AWSRequest(method, f"http://{host}{path}", data=body, headers=headers)
    if is_presigned:
        (S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth)(key, service, region, 300).add_auth(request)
    else:
        (S3SigV4Auth if service == "s3" else SigV4Auth)(key, service, region).add_auth(request)
    url = urlsplit(request.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    sent = [("host", host), *((name.lower(), _text(value)) for name, value in request.headers.items())]
    return Signed(method, target, tuple(sent), body, service)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


# What a request means


def meaning(sent: Signed, original: Signed) -> object:
    """Give what must be the same for a signature to hold; two requests that mean the same may differ in their bytes."""
    path, _, query = sent.target.partition("?")
    signed = _signed_headers(original)
    values = [",".join(" ".join(v.split()) for n, v in sent.headers if n == name) for name in signed]
    further = sorted(n for n, _ in sent.headers if n not in signed and n.startswith("x-amz-") and n != HASH)
    unsigned_body = original.service == "s3" and (original.is_presigned or original.header(HASH) == "UNSIGNED-PAYLOAD")
    return (
        sent.method,
        path if original.service == "s3" else _normal(path),
        sorted(parse_qsl(query, keep_blank_values=True, encoding="latin-1")),
        values,
        further,
        sorted(part.strip() for part in (sent.header(AUTHORIZATION) or "").replace(" ", ",", 1).split(",")),
        [name for name in ("host", AUTHORIZATION) if [n for n, _ in sent.headers].count(name) > 1],
        None if unsigned_body else sent.body,
    )


def _signed_headers(sent: Signed) -> list[str]:
    text = sent.header(AUTHORIZATION) or sent.target.replace("%3B", ";")
    _, found, rest = text.partition("SignedHeaders=")
    return rest.partition("," if AUTHORIZATION in dict(sent.headers) else "&")[0].split(";") if found else []


def _normal(path: str) -> str:
    ends = "/" if path.endswith(("/", "/.", "/..")) else ""
    return posixpath.normpath("/" + path.lstrip("/")).rstrip("/") + ends or "/"


# What is changed

Change = Callable[[random.Random, Signed, Signed], Signed]


def change(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    """Change one to three things; `other` is a request that was signed rightly, too."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        sent = chance.choice(CHANGES)(chance, sent, other)
    return sent


def _flipped(chance: random.Random, text: str) -> str:
    if not text:
        return chance.choice(LETTERS)
    at = chance.randrange(len(text))
    letters = chance.choice(("", chance.choice(LETTERS), text[at] * 2, text[at].swapcase()))
    return text[:at] + letters + text[at + 1 :]


def _wire(text: str) -> str:
    """Give a target that HTTP can carry."""
    return text.replace(" ", "%20").replace("é", "%E9").replace("²", "%B2")


def _method(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    return replace(sent, method=chance.choice(("GET", "PUT", "POST", "DELETE", "HEAD")))


def _target(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    changed = _flipped(chance, sent.target)
    return replace(sent, target=_wire(changed if changed.startswith("/") else "/" + changed))


def _path(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    path, mark, query = sent.target.partition("?")
    at = chance.choice([i for i, letter in enumerate(path) if letter == "/"])
    new = path[:at] + chance.choice(("//", "/./", "/x/../", "/%2e/", "/%2F", "/../", "")) + path[at + 1 :]
    return replace(sent, target=f"/{new.removeprefix('/')}{mark}{query}")


def _encoding(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    at = chance.randrange(len(sent.target))
    letter = sent.target[at]
    if letter in "/?&=%":
        return replace(sent, target=sent.target.replace("%2F", "%2f").replace("%20", "+"))
    return replace(sent, target=f"{sent.target[:at]}%{ord(letter):02X}{sent.target[at + 1 :]}")


def _query(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    path, _, query = sent.target.partition("?")
    parts = query.split("&") if query else []
    more = ("a=b", "", "=", "Action=AssumeRole", "X-Amz-Signature=0", "X-Amz-Security-Token=t", "X-Amz-Expires=604800")
    match chance.randrange(4):
        case 0:
            parts.insert(chance.randint(0, len(parts)), chance.choice((*more, *parts)))
        case 1 if parts:
            del parts[chance.randrange(len(parts))]
        case 2 if parts:
            at = chance.randrange(len(parts))
            parts[at] = _wire(_flipped(chance, parts[at]))
        case _:
            chance.shuffle(parts)
    return replace(sent, target=path + (f"?{'&'.join(parts)}" if parts else ""))


def _header(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    headers = list(sent.headers or (("host", ""),))
    at = chance.randrange(len(headers))
    name, value = headers[at]
    match chance.randrange(5):
        case 0:
            del headers[at]
        case 1:
            headers.insert(chance.randint(0, len(headers)), (name, chance.choice((value, _flipped(chance, value)))))
        case 2:
            headers[at] = (name, f"  {value} ")
        case 3:
            new = ("x-amz-target", "x-amz-security-token", "x-amz-content-sha256", "x-amz-date", "x-note", "accept")
            headers.append((chance.choice(new), chance.choice((value, "SageMaker.DeleteModel", "UNSIGNED-PAYLOAD"))))
        case _:
            headers[at] = (name, _flipped(chance, value))
    return replace(sent, headers=tuple(headers))


def _authorization(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    value = sent.header(AUTHORIZATION)
    if value is None:
        return _query(chance, sent, other)
    algorithm, _, rest = value.partition(" ")
    parts = rest.split(", ")
    theirs = (other.header(AUTHORIZATION) or value).partition(" ")[2].split(", ")
    match chance.randrange(7):
        case 0:
            parts.insert(chance.randint(0, len(parts)), chance.choice((*parts, *theirs)))
        case 1:
            del parts[chance.randrange(len(parts))]
        case 2:
            chance.shuffle(parts)
        case 3:
            parts[chance.randrange(len(parts))] = chance.choice(theirs)
        case 4:
            algorithm = chance.choice(
                ("AWS4-HMAC-SHA1", "AWS4-HMAC-SHA256-PAYLOAD", "AWS4-ECDSA-P256-SHA256", "Bearer")
            )
        case 5:
            parts[-1] = chance.choice(
                (parts[-1].upper(), parts[-1][:-1], parts[-1] + "0", "Signature=", parts[-1] + ",")
            )
        case _:
            at = chance.randrange(len(parts))
            parts[at] = _flipped(chance, parts[at])
    return sent.with_header(AUTHORIZATION, f"{algorithm} {', '.join(parts)}")


def _scope(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    """Put another date, region, service or end into the scope, or another key id before it."""
    slash = "%2F" if sent.is_presigned else "/"
    text = sent.target if sent.is_presigned else sent.header(AUTHORIZATION) or ""
    before, found, rest = text.partition("Credential=")
    scope, mark, after = rest.partition("&" if sent.is_presigned else ",")
    parts = scope.split(slash)
    if not found or len(parts) != 5:
        return _header(chance, sent, other)
    at = chance.randrange(5)
    parts[at] = chance.choice(
        (("AKIAOTHER", "ASIAOTHER"), ("20200101", "99991231"), REGIONS, SERVICES, ("aws5_request", "AWS4_REQUEST"))[at]
    )
    changed = before + found + slash.join(parts) + mark + after
    return replace(sent, target=changed) if sent.is_presigned else sent.with_header(AUTHORIZATION, changed)


def _signed_names(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    value = sent.header(AUTHORIZATION)
    if value is None:
        return _query(chance, sent, other)
    before, found, rest = value.partition("SignedHeaders=")
    text, mark, after = rest.partition(",")
    names = text.split(";")
    match chance.randrange(4):
        case 0:
            names.remove(chance.choice(names))
        case 1:
            names.append(chance.choice((*names, "x-note", "accept")))
        case 2:
            chance.shuffle(names)
        case _:
            names = [name.title() for name in names]
    return sent.with_header(AUTHORIZATION, f"{before}{found}{';'.join(names)}{mark}{after}")


def _date(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    seconds = chance.choice((1, 60, 600, 3600, 86400, 86400 * 8))
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + chance.choice((-1, 1)) * seconds))
    if sent.is_presigned:
        before, found, rest = sent.target.partition("X-Amz-Date=")
        return replace(sent, target=before + found + stamp + rest[16:])
    return sent.with_header("x-amz-date", chance.choice((stamp, stamp[:8], "", "Tue, 01 Dec 2026 00:00:00 GMT")))


def _token(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    name = "x-amz-security-token"
    theirs = other.header(name) or "a.b"
    if sent.header(name) is None:
        return replace(sent, headers=(*sent.headers, (name, theirs)))
    return sent.with_header(name, chance.choice((theirs, None, "", _flipped(chance, sent.header(name) or ""))))


def _body(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    at = chance.randint(0, len(sent.body))
    piece = bytes([chance.randrange(256)])
    return replace(sent, body=chance.choice((sent.body[:at] + piece + sent.body[at + 1 :], sent.body[:at], other.body)))


def _splice(chance: random.Random, sent: Signed, other: Signed) -> Signed:
    """Take a part of another request that was signed rightly."""
    match chance.randrange(4):
        case 0:
            return replace(sent, target=other.target)
        case 1:
            return replace(sent, headers=other.headers)
        case 2:
            return replace(sent, method=other.method, target=other.target, body=other.body)
        case _:
            return replace(sent, headers=(*sent.headers, *other.headers))


CHANGES: tuple[Change, ...] = (
    *(_method, _target, _path, _encoding, _query, _header, _header, _authorization, _authorization, _scope),
    *(_signed_names, _date, _token, _body, _splice),
)


@dataclass
class Fuzzed:
    """What has come of it. `wrong` are sentences about what should not have happened."""

    tried: int = 0
    passed: int = 0  # changed, and the same in meaning
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


Judge = Callable[[Signed], str]
"""Gives the code of the refusal; empty: the request has passed. Raises whatever it should not."""


def requests(chance: random.Random, keys: Keys, number: int) -> Iterator[tuple[Signed, Signed, Signed]]:
    """Draw so many requests that were signed rightly, another one, and what the first was changed into."""
    other = valid(chance, keys)
    for _ in range(number):
        sent = valid(chance, keys)
        yield sent, other, change(chance, sent, other)
        other = sent


def fuzz(seed: int, number: int, keys: Keys, judge: Judge) -> Fuzzed:
    """Have so many changed requests judged, and each as it was before."""
    chance, told = random.Random(seed), Fuzzed()  # noqa: S311 - repeats a run, keeps no secret
    for sent, other, changed in requests(chance, keys, number):
        told.tried += 1
        for each in (sent, changed):
            try:
                code = judge(each)
            except Exception as error:  # whatever it is, it is what we look for
                told.wrong.append(f"{type(error).__name__}: {error}: {each}")
                continue
            if code and each is sent:
                told.wrong.append(f"signed rightly and refused with {code}: {each}")
            elif code:
                told.refused[code] += 1
            elif each is not sent:
                told.passed += 1
                if all(meaning(each, signed) != meaning(signed, signed) for signed in (sent, other)):
                    told.wrong.append(f"passed as {each}, was signed as {sent}")
    return told
