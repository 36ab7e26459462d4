"""PostgreSQL's SCRAM-SHA-256 verifiers: made here, so that the server never sees a new password in clear.

https://www.postgresql.org/docs/current/catalog-pg-authid.html, RFC 5803. Passwords outside ASCII are normalised by NFKC
only, which is SASLprep for all but prohibited characters.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata

ITERATIONS = 4096
SALT_BYTES = 16


def verifier(password: str) -> str:
    """What PostgreSQL stores for `password`, with a salt of its own."""
    return _verifier(password, secrets.token_bytes(SALT_BYTES), ITERATIONS)


def matches(password: str, stored: str | None) -> bool:
    """Whether `stored` (pg_authid.rolpassword) was made from `password`. Costs no login and trips no lockout."""
    try:
        mechanism, parameters, _ = (stored or "").split("$")
        iterations, salt = parameters.split(":")
    except ValueError:
        return False
    if mechanism != "SCRAM-SHA-256":
        return False
    return hmac.compare_digest(_verifier(password, base64.b64decode(salt), int(iterations)), stored or "")


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
