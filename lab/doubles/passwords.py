"""How the doubles keep passwords: as salted scrypt hashes, so that their state files tell nobody anything."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_COST, _BLOCK, _PARALLEL = 2**12, 8, 1  # 4 MiB and some 10 ms each: enough for a lab


def hashed(password: str) -> str:
    """`salt$hash`, both in hexadecimal."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_derive(password, salt).hex()}"


def matches(password: str, stored: str) -> bool:
    """Whether this is the password that `hashed` has hashed."""
    salt, _, derived = stored.partition("$")
    return hmac.compare_digest(_derive(password, bytes.fromhex(salt)), bytes.fromhex(derived))


def _derive(password: str, salt: bytes) -> bytes:
    # surrogatepass: JSON may hold half a surrogate pair, which is a wrong password and no crash
    raw = password.encode(errors="surrogatepass")
    return hashlib.scrypt(raw, salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL)
