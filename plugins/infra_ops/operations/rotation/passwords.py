"""New passwords: letters and digits only, which every service takes and no quoting changes."""

from __future__ import annotations

import secrets
import string

ALPHABET = string.ascii_letters + string.digits
LENGTH = 32  # 190 bits


def new_password() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
