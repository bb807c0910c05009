"""Signatures: botocore signs, we verify; and whatever is changed afterwards is refused."""

from __future__ import annotations

import hashlib
import string
import time
from email.utils import formatdate
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.auth.sigv4 import SigV4Authenticator, scope_of
from hostmaker.domain.errors import AuthError
from hostmaker.ports import Identity

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "127.0.0.1:4747"
MISMATCH = "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
Wire = tuple[str, bytes, list[tuple[bytes, bytes]], bytes]
"""Method, target, header lines, body."""


def wire(request: AWSRequest, body: bytes, host: str = HOST) -> Wire:
    """Give a signed request as it goes over the network."""
    url = urlsplit(request.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [(name.lower().encode(), _bytes(value)) for name, value in request.headers.items()]
    return request.method, target.encode(), [(b"host", host.encode()), *lines], body


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def sign(
    method: str = "POST",
    path: str = "/",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    *,
    service: str = "sagemaker",
    region: str = "us-east-1",
    token: str | None = None,
    signer: type[SigV4Auth] = SigV4Auth,
) -> Wire:
    request = AWSRequest(method, f"http://{HOST}{path}", data=body, headers=headers or {})
    signer(Credentials(KEY, SECRET, token), service, region).add_auth(request)
    return wire(request, body)


def presign(
    path: str = "/", expires: int = 60, service: str = "sts", body: bytes = b"", headers: dict[str, str] | None = None
) -> Wire:
    request = AWSRequest("GET", f"http://{HOST}{path}", data=body, headers=headers or {})
    signer = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
    signer(Credentials(KEY, SECRET), service, "eu-central-1", expires).add_auth(request)
    return wire(request, body)


WARM = SigV4Authenticator({KEY: SECRET})
"""It has seen the forms of all tests before; whoever has not must say the same."""


def verify(sent: Wire, now: float | None = None, secrets: dict[str, str] | None = None, turn: int = 7) -> Identity:
    at = now or time.time()
    if secrets is not None:
        return check(SigV4Authenticator(secrets), sent, at, turn)
    told = [answer(authenticator, sent, at, turn) for authenticator in (SigV4Authenticator({KEY: SECRET}), WARM, WARM)]
    if isinstance(told[0], AuthError):
        assert [(type(each), str(each)) for each in told] == [(AuthError, str(told[0]))] * 3
        raise told[0]
    assert told == [told[0]] * 3
    return told[0]


def answer(authenticator: SigV4Authenticator, sent: Wire, now: float, turn: int) -> Identity | AuthError:
    try:
        return check(authenticator, sent, now, turn)
    except AuthError as error:
        return error


def check(authenticator: SigV4Authenticator, sent: Wire, now: float, turn: int) -> Identity:
    method, target, headers, body = sent
    names, values = tuple(name for name, _ in headers), [value for _, value in headers]
    under_way = authenticator.begin(method, target, dict(headers).get(b"authorization", b""), names, values, now)
    for start in range(0, len(body), turn):
        under_way.update(body[start : start + turn])
    return under_way.finish()


def refusal(sent: Wire, now: float | None = None, secrets: dict[str, str] | None = None) -> AuthError:
    with pytest.raises(AuthError) as caught:
        verify(sent, now, secrets)
    return caught.value


def replaced(sent: Wire, name: bytes, value: bytes | None) -> Wire:
    """Change or remove one header."""
    kept = [(n, v) for n, v in sent[2] if n != name]
    return (sent[0], sent[1], kept + ([(name, value)] if value is not None else []), sent[3])


def authorization(sent: Wire) -> bytes:
    return dict(sent[2])[b"authorization"]


def test_the_caller_is_who_signed() -> None:
    assert verify(sign(region="eu-west-1")) == Identity(KEY, "eu-west-1", "sagemaker")


def test_a_body_in_turns_of_any_size_is_one_body() -> None:
    sent = sign(body=bytes(range(256)) * 40)
    assert all(verify(sent, turn=turn).service == "sagemaker" for turn in (1, 64, 4096, 65536))


def test_a_presigned_request_holds() -> None:
    assert verify(presign("/?Action=GetCallerIdentity&Version=2011-06-15")) == Identity(KEY, "eu-central-1", "sts")


def test_a_presigned_s3_request_leaves_its_body_unsigned() -> None:
    sent = presign("/bucket/a%20key", service="s3")
    assert verify((*sent[:3], b"whatever")).service == "s3"


def test_s3_signs_its_path_as_it_is_sent() -> None:
    assert verify(sign("PUT", "/b/a//b%20c/../d", service="s3", signer=S3SigV4Auth)).service == "s3"


def test_only_s3_takes_an_unsigned_body() -> None:
    unsigned = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    sent = sign("PUT", "/bucket/key", headers=unsigned, service="s3")
    assert verify((*sent[:3], b"another")).access_key_id == KEY
    for service in ("sagemaker", "sts", "monitoring"):
        error = refusal(sign(headers=unsigned, service=service))
        assert error.message.startswith(MISMATCH)


def test_a_permanent_key_has_no_session_token() -> None:
    assert refusal(sign(token="a-token")).code == "UnrecognizedClientException"
    assert refusal(sign(token="a-token", service="sts")).code == "InvalidClientTokenId"
    assert refusal(sign(token="a-token", service="s3", signer=S3SigV4Auth)).code == "InvalidToken"
    presigned = presign("/?X-Amz-Security-Token=a-token")
    assert refusal(presigned).message == "The security token included in the request is invalid."


def test_a_session_token_must_be_signed() -> None:
    assert refusal(replaced(sign(), b"x-amz-security-token", b"a-token")).message == (
        "The security token included in the request is invalid."
    )
    assert refusal(replaced(sign(), b"x-amz-security-token", b"")).code == "InvalidSignatureException"


def test_header_and_query_cannot_both_sign() -> None:
    target = presign("/?Action=GetCallerIdentity")[1]
    assert refusal(sign("GET", target.decode(), b"")).message.startswith("Only one auth mechanism allowed")


@pytest.mark.parametrize("more", ["Credential=a/b/c/d/aws4_request", "Signature=0", "SignedHeaders=host", "X=y", ""])
def test_no_part_of_the_authorization_comes_twice(more: str) -> None:
    """Else who reads the first and who reads the last would see another caller, region or service."""
    sent = sign()
    for value in (
        authorization(sent) + f",{more}".encode(),
        authorization(sent).replace(b" ", f" {more},".encode(), 1),
    ):
        assert refusal(replaced(sent, b"authorization", value)).code == "IncompleteSignatureException"


@pytest.mark.parametrize("name", [b"host", b"x-amz-date", b"x-amz-content-sha256", b"x-amz-target", b"authorization"])
def test_what_decides_comes_once(name: bytes) -> None:
    sent = sign(headers={"X-Amz-Target": "SageMaker.ListModels"}, service="s3", signer=S3SigV4Auth)
    value = dict(sent[2])[name]
    twice = (*sent[:2], [*sent[2], (name, value)], sent[3])
    assert refusal(twice).message == f"'{name.decode().title()}' must come once."


def test_s3_allows_clocks_a_quarter_of_an_hour() -> None:
    sent, now = sign("GET", "/b/k", b"", service="s3", signer=S3SigV4Auth), time.time()
    assert verify(sent, now + 890)
    assert verify(sent, now - 890)
    for at in (now + 910, now - 910):
        assert refusal(sent, at).code == "RequestTimeTooSkewed"
    presigned = presign("/b/k", service="s3")
    assert refusal(presigned, now + 70).message == "Request has expired"


def test_a_date_header_stands_in_for_x_amz_date() -> None:
    sent = sign(headers={"Date": formatdate(usegmt=True)})
    assert b"x-amz-date" not in dict(sent[2])
    assert verify(sent).access_key_id == KEY


def test_a_header_that_comes_twice_is_signed_joined() -> None:
    once = sign(headers={"X-Amz-Meta": "a,b"})
    assert verify((once[0], once[1], [*replaced(once, b"x-amz-meta", b"a")[2], (b"x-amz-meta", b" b ")], once[3]))


def test_utf8_in_a_header_is_no_blank() -> None:
    """The second byte of an a-grave is what Latin-1 calls a space."""
    sent = sign(headers={"X-Note": "voil"})
    assert refusal(replaced(sent, b"x-note", "voilà".encode())).message.startswith(MISMATCH)


encoded = st.text(string.printable + "äß漢", max_size=12).map(lambda text: quote(text, safe="-_.~"))
segments = st.lists(st.one_of(encoded, st.sampled_from([".", "..", "", "a.b", "~"])), max_size=6)
paths = segments.map(lambda parts: "/" + "/".join(parts))
queries = st.lists(st.tuples(encoded.filter(bool), encoded), max_size=6).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=10).map(lambda name: f"X-T-{name}")
values = st.text(string.ascii_letters + string.digits + ' ,;="/:\t', max_size=30)


@given(paths, queries, st.dictionaries(names, values, max_size=4), st.binary(max_size=100))
def test_whatever_botocore_signs_holds(path: str, query: str, headers: dict[str, str], body: bytes) -> None:
    unique = {name.lower(): value for name, value in headers.items()}
    assert verify(sign("POST", f"{path}?{query}" if query else path, body, unique)).access_key_id == KEY


@given(paths, queries)
def test_whatever_botocore_presigns_holds(path: str, query: str) -> None:
    target = f"{path}?{query}" if query else path
    assert verify(presign(target)).service == "sts"


@given(paths, queries)
def test_whatever_botocore_signs_for_s3_holds(path: str, query: str) -> None:
    assert verify(sign("GET", f"{path}?{query}", b"", service="s3", signer=S3SigV4Auth)).service == "s3"


@given(st.data())
def test_one_changed_byte_is_refused(data: st.DataObject) -> None:
    """Method, path, query, each signed header, body and signature are all covered."""
    now = time.time()
    sent = sign("POST", "/endpoints/e/invocations?a=b", b"payload", {"X-Amzn-SageMaker-Target-Variant": "blue"})
    method, target, headers, body = sent
    part = data.draw(st.sampled_from(["method", "target", "header", "body", "signature"]))
    match part:
        case "method":
            sent = ("PUT", target, headers, body)
        case "target":
            sent = (method, _changed(data, target, low=1), headers, body)
        case "header":
            name = data.draw(st.sampled_from([b"host", b"x-amzn-sagemaker-target-variant"]))
            sent = replaced(sent, name, _changed(data, dict(headers)[name]))
        case "body":
            sent = (method, target, headers, _changed(data, body))
        case "signature":
            value = authorization(sent)
            sent = replaced(sent, b"authorization", _changed(data, value, low=len(value) - 64))
    assert refusal(sent, now).code == "InvalidSignatureException"


def _changed(data: st.DataObject, value: bytes, low: int = 0) -> bytes:
    """Put another letter in one place; `!` stands in none of the values."""
    at = data.draw(st.integers(low, len(value) - 1))
    return value[:at] + b"!" + value[at + 1 :]


@pytest.mark.parametrize("target", [b"/?x=%FF", b"/?x=%FE"])
def test_bytes_that_are_no_text_stay_apart(target: bytes) -> None:
    sent = sign("GET", "/?x=%FF", b"")
    if target.endswith(b"FF"):
        assert verify(sent)
    else:
        assert refusal((sent[0], target, *sent[2:])).message.startswith(MISMATCH)


def test_parameters_cannot_be_added() -> None:
    sent = sign("GET", "/?a=b", b"")
    for more in (b"&=c", b"&X-Amz-Signature=c", b"&", b"&a=b"):
        assert refusal((sent[0], sent[1] + more, *sent[2:])).code == "InvalidSignatureException"


def test_a_header_that_says_what_is_asked_must_be_signed() -> None:
    error = refusal(replaced(sign(), b"x-amz-target", b"SageMaker.DeleteEndpoint"))
    assert error.message == "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."
    presigned = replaced(presign(), b"x-amz-target", b"SageMaker.DeleteEndpoint")
    assert refusal(presigned).code == "SignatureDoesNotMatch"


def test_a_signed_header_that_is_gone_is_missed() -> None:
    assert refusal(replaced(sign(headers={"X-Amz-Note": "1"}), b"x-amz-note", None)).message.startswith(MISMATCH)


def test_without_a_signature() -> None:
    error = refusal(("GET", b"/", [(b"host", HOST.encode())], b""))
    assert (error.code, error.status) == ("MissingAuthenticationTokenException", 403)
    assert error.message == "Missing Authentication Token"


@pytest.mark.parametrize(
    ("service", "code"), [("sagemaker", "UnrecognizedClientException"), ("sts", "InvalidClientTokenId")]
)
def test_a_key_of_someone_else(service: str, code: str) -> None:
    error = refusal(sign(service=service), secrets={"AKIAOTHER": SECRET})
    assert (error.code, error.status) == (code, 403)
    assert error.message == "The security token included in the request is invalid."


@pytest.mark.parametrize(("service", "code"), [("logs", "InvalidSignatureException"), ("sts", "SignatureDoesNotMatch")])
def test_a_wrong_secret(service: str, code: str) -> None:
    error = refusal(sign(service=service), secrets={KEY: "x" * 40})
    assert (error.code, error.status) == (code, 403)
    assert error.message.startswith(MISMATCH)


def test_a_stated_hash_of_another_body() -> None:
    sent = sign(headers={"X-Amz-Content-SHA256": hashlib.sha256(b"other").hexdigest()}, service="s3")
    assert "x-amz-content-sha256" in refusal(sent).message


def check_head(sent: Wire) -> bool:
    method, target, lines, _ = sent
    names, values = tuple(name for name, _ in lines), [value for _, value in lines]
    verification = WARM.begin(method, target, dict(lines).get(b"authorization", b""), names, values, time.time())
    return verification.check_head()


def test_a_head_that_states_the_hash_shows_the_caller() -> None:
    assert check_head(sign(service="s3", signer=S3SigV4Auth))
    assert check_head(presign("/b/k", service="s3"))
    assert not check_head(sign())
    assert not check_head(presign())


def test_a_forged_head_is_refused_before_the_body() -> None:
    sent = sign(service="s3", signer=S3SigV4Auth)
    for name in (b"x-amz-content-sha256", b"x-amz-date"):
        value = dict(sent[2])[name]
        changed = replaced(sent, name, value[:-2] + (b"0Z" if value[-2:] != b"0Z" else b"1Z"))
        with pytest.raises(AuthError, match="does not match the signature"):
            check_head(changed)


def test_a_body_is_still_compared_with_what_its_head_states() -> None:
    method, target, lines, body = sign(service="s3", signer=S3SigV4Auth)
    names, values = tuple(name for name, _ in lines), [value for _, value in lines]
    verification = WARM.begin(method, target, dict(lines)[b"authorization"], names, values, time.time())
    assert verification.check_head()
    verification.update(body + b" ")
    with pytest.raises(AuthError, match="does not match what was computed"):
        verification.finish()


def test_too_late_and_too_early() -> None:
    sent, now = sign(), time.time()
    assert verify(sent, now + 290)
    assert verify(sent, now - 290)
    late, early = refusal(sent, now + 310), refusal(sent, now - 310)
    assert late.code == early.code == "InvalidSignatureException"
    assert late.message.startswith("Signature expired: ")
    assert "is now earlier than" in late.message
    assert early.message.startswith("Signature not yet current: ")
    assert "is still later than" in early.message


def test_a_presigned_request_expires_when_it_says() -> None:
    sent, now = presign(expires=900), time.time()
    assert verify(sent, now + 890)
    assert refusal(sent, now + 910).message.startswith("Signature expired: ")
    assert refusal(sent, now - 310).message.startswith("Signature not yet current: ")


@pytest.mark.parametrize("missing", ["Credential", "SignedHeaders", "Signature"])
def test_an_authorization_header_without_a_part(missing: str) -> None:
    sent = sign()
    error = refusal(replaced(sent, b"authorization", authorization(sent).replace(missing.encode() + b"=", b"X=")))
    assert (error.code, error.status) == ("IncompleteSignatureException", 400)
    assert error.message.startswith(f"Authorization header requires '{missing}' parameter.")


@pytest.mark.parametrize(
    "name", ["X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires", "X-Amz-Algorithm"]
)
def test_a_presigned_request_without_a_parameter(name: str) -> None:
    method, target, headers, body = presign()
    assert refusal((method, target.replace(name.encode() + b"=", b"X="), headers, body)).status == 400


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "1e3", "²", "9" * 5000, "%D9%A3"])
def test_a_presigned_request_for_no_time_at_all(expires: str) -> None:
    method, target, headers, body = presign()
    broken = target.replace(b"X-Amz-Expires=60", b"X-Amz-Expires=" + expires.encode())
    assert refusal((method, broken, headers, body)).code.startswith("IncompleteSignature")


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "AKIA",
        "AKIA/20260101/us-east-1/sagemaker",
        "AKIA/20260101/us-east-1/sagemaker/aws5_request",
        "//////",
        "/" * 4,
    ],
)
def test_a_credential_of_another_form(credential: str) -> None:
    value = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=abc"
    error = refusal(replaced(sign(), b"authorization", value.encode()))
    assert (error.code, error.status) == ("IncompleteSignatureException", 400)


@pytest.mark.parametrize("region", ["..", ".", "us_east", "a\r\nb", "é"])
def test_a_region_that_could_be_a_path(region: str) -> None:
    date = time.strftime("%Y%m%d", time.gmtime())
    value = f"AWS4-HMAC-SHA256 Credential={KEY}/{date}/{region}/logs/aws4_request, SignedHeaders=host, Signature=a"
    assert "valid region" in refusal(replaced(sign(), b"authorization", value.encode())).message


@pytest.mark.parametrize("stamp", [b"yesterday", b"20261301T000000Z", b"20260101T000000", b""])
def test_a_date_that_is_none(stamp: bytes) -> None:
    assert refusal(replaced(sign(), b"x-amz-date", stamp)).code in (
        "IncompleteSignatureException",
        "InvalidSignatureException",
    )


def test_another_date_in_the_scope() -> None:
    sent = sign()
    value = authorization(sent).replace(time.strftime("%Y%m%d", time.gmtime()).encode(), b"20010101", 1)
    assert "Date in Credential scope does not match" in refusal(replaced(sent, b"authorization", value)).message


@pytest.mark.parametrize("scheme", [b"Basic YTpi", b"AWS AKIA:sig", b"", b"AWS4-HMAC-SHA1 Credential=a"])
def test_another_scheme(scheme: bytes) -> None:
    assert refusal(replaced(sign(), b"authorization", scheme)).code == "IncompleteSignatureException"


def test_the_host_must_be_signed() -> None:
    sent = sign()
    value = authorization(sent).replace(b"host;", b"")
    assert refusal(replaced(sent, b"authorization", value)).message.startswith("'Host'")


@given(st.binary(max_size=200), st.binary(max_size=80))
def test_nonsense_is_refused_and_nothing_else(header: bytes, query: bytes) -> None:
    with pytest.raises(AuthError):
        verify(("POST", b"/?" + query, [(b"host", b"h"), (b"authorization", header)], b""))
    credential = f"{KEY}%2F20260101%2Fr%2Fs%2Faws4_request".encode()
    with pytest.raises(AuthError):
        target = b"/?X-Amz-Signature=" + query + b"&X-Amz-SignedHeaders=" + header + b"&X-Amz-Credential=" + credential
        verify(("POST", target, [(b"host", b"h")], b""))


def test_scope_of_reads_without_verifying() -> None:
    sent = sign(region="eu-north-1", service="logs")
    assert scope_of(dict(sent[2]), "") == ("eu-north-1", "logs")
    assert scope_of({}, presign()[1].decode().partition("?")[2]) == ("eu-central-1", "sts")
    assert scope_of({}, "") is None
    assert scope_of({b"authorization": b"Credential=a/b"}, "") is None
