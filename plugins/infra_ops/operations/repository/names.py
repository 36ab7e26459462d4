"""How the variables of the vault are called."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra_ops.models.fingerprints import Fingerprints, Print


class Names:
    """One name a value: the one that the vault has for it, otherwise one after its credential."""

    def __init__(self, known: Fingerprints, vault: Mapping[str, str]) -> None:
        self._taken = dict(vault)
        self._names: dict[Print, str] = {}
        for name, value in vault.items():
            if len(value.encode()) >= 3:
                self._names.setdefault(known.print_of(value.encode()), name)

    def of(self, print_: Print, value: str, credential: str) -> str:
        """The variable for a value of a credential; a second value of the same credential gets a number."""
        if print_ not in self._names:
            first = credential if credential.startswith("vault_") else f"vault_{credential}_password"
            name, number = first, 1
            while name in self._taken:
                number += 1
                name = f"{first}_{number}"
            self._taken[name] = value
            self._names[print_] = name
        return self._names[print_]


def for_key(key: str) -> str:
    """The name for a value that no credential of the inventory has: after the setting that it stood in."""
    words = re.sub(r"\W+", "_", key).strip("_").lower()
    return f"vault_{words or 'secret'}"
