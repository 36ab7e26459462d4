"""DSM's rules for passwords, by the names that SYNO.Core.User.PasswordPolicy gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.doubles.passwords import matches

DEFAULT_POLICY: dict[str, Any] = {
    "exclude_common_password": False,  # which ones DSM means nobody outside knows: never enforced here
    "exclude_history": False,
    "exclude_username": True,
    "history_num": 0,
    "included_numeric_char": True,
    "included_special_char": False,
    "min_length": 8,
    "min_length_enable": True,
    "mixed_case": True,
}


def accepts(policy: dict[str, Any], username: str, password: str, history: Sequence[str]) -> bool:
    """Whether these rules let a user have this password; `history` are hashes of former ones, the newest first."""
    former = history[: policy["history_num"]] if policy["exclude_history"] else ()
    faults = (
        policy["min_length_enable"] and len(password) < policy["min_length"],
        policy["mixed_case"] and (password == password.lower() or password == password.upper()),
        policy["included_numeric_char"] and not any(letter.isdigit() for letter in password),
        policy["included_special_char"] and password.isalnum(),
        policy["exclude_username"] and username.lower() in password.lower(),
        any(matches(password, each) for each in former),
    )
    return not any(faults)
