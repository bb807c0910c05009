"""Asks a running server at its public port, as any client would: SageMaker's operations and S3's objects."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from hostmaker.auth.signer import UNSIGNED, Signer

LIMIT_S = 120.0


class RefusedError(Exception):
    """The server did not do it. `code` is the error's name where it has one; the message is the server's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FrontDoor:
    """A server by its ready file's document; every call raises RefusedError, and OSError where nobody answers."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        self._ready = ready
        self._address = urlsplit(str(ready["endpoint_url"]))

    def sagemaker(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation of SageMaker; gives its answer."""
        body = json.dumps(request).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"SageMaker.{operation}"}
        status, answer = self._send("sagemaker", "POST", "/", headers, body, hashlib.sha256(body).hexdigest())
        told = json.loads(answer or b"{}")
        if status != 200:
            code = str(told.get("__type", "")).rpartition("#")[2]
            raise RefusedError(code, str(told.get("message") or told.get("Message") or f"status {status}"))
        return dict(told)

    def invoke(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Invoke an endpoint; gives the body of its answer."""
        if wrong := [name for name, value in headers.items() if not (value.isascii() and value.isprintable())]:
            raise RefusedError("ValidationError", f"{wrong[0]} must be of printable ASCII characters.")
        target = f"/endpoints/{quote(endpoint, safe='')}/invocations"
        status, answer = self._send("sagemaker", "POST", target, headers, body, hashlib.sha256(body).hexdigest())
        if status != 200:
            raise _refused(status, answer)
        return answer

    def make_bucket(self, name: str) -> None:
        """Have a bucket; one that is there is as good."""
        status, answer = self._send("s3", "PUT", f"/{name}", {}, b"", UNSIGNED)
        if status not in (200, 409):
            raise RefusedError("", f"the bucket {name} cannot be made: {answer[:500]!r}")

    def put_object(self, bucket: str, key: str, path: Path) -> str:
        """Put a file into the object store; gives its URI."""
        with path.open("rb") as file:
            headers = {"Content-Length": str(path.stat().st_size)}
            status, answer = self._send("s3", "PUT", f"/{bucket}/{quote(key)}", headers, file, UNSIGNED)
        if status != 200:
            raise RefusedError("", f"{path.name} cannot be put into the store: {answer[:500]!r}")
        return f"s3://{bucket}/{key}"

    def _send(
        self, service: str, method: str, target: str, headers: Mapping[str, str], body: Any, body_sha256: str
    ) -> tuple[int, bytes]:
        ready = self._ready
        signer = Signer(ready["access_key_id"], ready["secret_access_key"], ready["region"], service)
        signed = signer.sign(method, target, {"Host": self._address.netloc, **headers}, body_sha256, datetime.now(UTC))
        secure = self._address.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._address.netloc, timeout=LIMIT_S)
        try:
            connection.request(method, target, body, signed)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _refused(status: int, answer: bytes) -> RefusedError:
    """Give what an invocation that failed has told: the server's sentence, where it is one."""
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    message = (told.get("Message") or told.get("message")) if isinstance(told, dict) else None
    words = answer[:500].decode(errors="replace").strip()
    return RefusedError("", str(message or f"The server has answered {status}: {words}"))
