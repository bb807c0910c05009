"""Signs requests with AWS Signature Version 4, for what the command line asks at the front door.

Source: AWS General Reference, "Signature Version 4 signing process".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hostmaker.auth.canonical import canonical_path, canonical_query, folded
from hostmaker.auth.form import SigningKey

UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, a region and a service to sign for."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str

    def sign(
        self, method: str, target: str, headers: Mapping[str, str], body_sha256: str, now: datetime
    ) -> dict[str, str]:
        """Give the headers to send: those given (Host among them), and what makes them signed.

        `target` is path and query; `body_sha256` is the body's digest in hex, or UNSIGNED; `now` is in UTC.
        """
        stamp = f"{now:%Y%m%dT%H%M%SZ}"
        path, _, query = target.partition("?")
        sent = {**headers, "X-Amz-Date": stamp, "X-Amz-Content-Sha256": body_sha256}
        lines = {name.lower(): folded(value.encode("latin-1")).decode("latin-1") for name, value in sent.items()}
        names = ";".join(sorted(lines))
        canonical = "\n".join(
            (
                method,
                canonical_path(path, self.service),
                canonical_query(query, None),
                *(f"{name}:{lines[name]}" for name in sorted(lines)),
                "",
                names,
                body_sha256,
            )
        )
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        signature = SigningKey.of(self.secret_access_key, scope).sign(text.encode()).decode()
        claim = f"Credential={self.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**sent, "Authorization": f"AWS4-HMAC-SHA256 {claim}"}
