"""Temporary credentials of instances: what holds, and what makes them worthless."""

from __future__ import annotations

import time

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from hostmaker.auth.sessions import SESSION_S, Session, Sessions
from hostmaker.auth.sigv4 import SigV4Authenticator
from hostmaker.domain.errors import AuthError
from hostmaker.ports import Identity

from .test_auth_sigv4 import HOST, KEY, SECRET, Wire, check, replaced, wire

NOW = 1_800_000_000.0
LIVING = {"one", "two"}
SESSIONS = Sessions(SECRET, LIVING.__contains__)
AUTHENTICATOR = SigV4Authenticator({KEY: SECRET}, SESSIONS)


def issued(instance: str = "one", now: float | None = None) -> Session:
    session = SESSIONS.issue(SESSIONS.ticket(instance, "Role"), now or time.time())
    assert session is not None
    return session


def signed(session: Session, service: str = "sagemaker", signer: type[SigV4Auth] = SigV4Auth) -> Wire:
    method, body = ("GET", b"") if signer is SigV4QueryAuth else ("POST", b"{}")
    request = AWSRequest(method, f"http://{HOST}/", data=body, headers={})
    keys = Credentials(session.access_key_id, session.secret_access_key, session.token)
    signer(keys, service, "us-east-1").add_auth(request)
    return wire(request, body)


def refusal(sent: Wire, now: float | None = None, authenticator: SigV4Authenticator = AUTHENTICATOR) -> AuthError:
    with pytest.raises(AuthError) as caught:
        check(authenticator, sent, now or time.time(), 7)
    return caught.value


def test_they_look_like_temporary_credentials() -> None:
    session = issued(now=NOW)
    assert session.access_key_id.startswith("ASIA")
    assert (len(session.access_key_id), len(session.secret_access_key)) == (20, 40)
    assert session.expires_s == NOW + SESSION_S
    assert SESSIONS.open(session.token) == session == Sessions(SECRET, LIVING.__contains__).open(session.token)


def test_what_they_sign_is_of_their_role() -> None:
    session = issued()
    identity = Identity(session.access_key_id, "us-east-1", "sagemaker", "Role")
    for _ in range(2):  # the second time the form is known
        assert check(AUTHENTICATOR, signed(session), time.time(), 7) == identity
    assert check(AUTHENTICATOR, signed(session, "sts", SigV4QueryAuth), time.time(), 7).role == "Role"


@pytest.mark.parametrize(
    ("service", "code"),
    [("sagemaker", "ExpiredTokenException"), ("sts", "ExpiredToken"), ("s3", "ExpiredToken")],
)
def test_they_expire(service: str, code: str) -> None:
    session = issued(now=time.time() - SESSION_S - 1)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    assert refusal(signed(session, service, signer)).code == code


@pytest.mark.parametrize(
    ("service", "code"),
    [("sagemaker", "UnrecognizedClientException"), ("sts", "InvalidClientTokenId"), ("s3", "InvalidToken")],
)
def test_they_end_with_their_instance(service: str, code: str) -> None:
    living = {"three"}
    sessions = Sessions(SECRET, living.__contains__)
    authenticator = SigV4Authenticator({KEY: SECRET}, sessions)
    ticket = sessions.ticket("three", "Role")
    session = sessions.issue(ticket, time.time())
    assert session is not None
    sent = signed(session, service, S3SigV4Auth if service == "s3" else SigV4Auth)
    assert check(authenticator, sent, time.time(), 7).role == "Role"
    living.clear()
    assert refusal(sent, authenticator=authenticator).code == code
    assert sessions.issue(ticket, time.time()) is None


def test_a_token_goes_with_its_own_key() -> None:
    mine, other = issued("one"), issued("two")
    sent = signed(mine)
    assert check(AUTHENTICATOR, sent, time.time(), 7)
    assert refusal(replaced(sent, b"x-amz-security-token", other.token.encode())).code == "UnrecognizedClientException"
    assert refusal(replaced(sent, b"x-amz-security-token", None)).code == "UnrecognizedClientException"
    permanent = Session(KEY, SECRET, mine.token, "one", "Role", 0)
    assert refusal(signed(permanent)).message == "The security token included in the request is invalid."


def test_a_server_without_sessions_knows_no_token() -> None:
    assert refusal(signed(issued()), authenticator=SigV4Authenticator({KEY: SECRET})).status == 403


def test_ticket_and_session_token_do_not_stand_for_each_other() -> None:
    ticket = SESSIONS.ticket("one", "Role")
    assert SESSIONS.open(ticket) is None
    assert SESSIONS.issue(issued().token, NOW) is None
    assert not SESSIONS.is_ours(ticket)


def test_another_server_does_not_know_them() -> None:
    stranger = Sessions("another secret", LIVING.__contains__)
    assert stranger.open(issued().token) is None
    assert stranger.issue(SESSIONS.ticket("one", "Role"), NOW) is None


@given(st.data())
def test_a_changed_token_is_none(data: st.DataObject) -> None:
    """Also where it would decode to the same bytes."""
    token = data.draw(st.sampled_from([issued(now=NOW).token, SESSIONS.ticket("one", "Role")]))
    at = data.draw(st.integers(0, len(token)))
    letters = data.draw(st.text("ABab01-_.=+/ \né", max_size=2))
    changed = token[:at] + letters + token[at + data.draw(st.integers(0, 2)) :]
    if changed != token:
        assert SESSIONS.open(changed) is None
        assert SESSIONS.issue(changed, NOW) is None


@given(st.text(max_size=300))
def test_nonsense_is_no_token(text: str) -> None:
    assert SESSIONS.open(text) is None
    assert SESSIONS.issue(text, NOW) is None
