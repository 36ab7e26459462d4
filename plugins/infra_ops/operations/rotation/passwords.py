"""New passwords: letters and digits, which every service takes and no quoting changes, and more only where demanded."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

LENGTH = 32  # 190 bits


@dataclass(frozen=True)
class Rules:
    """What a service demands of a password: its length, and one of the `special` characters if there are any."""

    length: int = LENGTH
    special: str = ""


PLAIN = Rules()


def new_password(rules: Rules = PLAIN) -> str:
    """A random password with a small letter, a capital, a digit, and whatever else the rules want."""
    groups = [string.ascii_lowercase, string.ascii_uppercase, string.digits, rules.special]
    wanted, alphabet = [group for group in groups if group], "".join(groups)
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(rules.length))
        if all(set(password) & set(group) for group in wanted):
            return password
