"""The prints of all values that credentials have, or have had while somebody remembered them.

`scan/key` and `scan/values/<credential>` in the store; the readable versions of `svc/<credential>` come on top, so a
value counts before it is remembered.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from infra_ops.clients.kv import Kv
from infra_ops.clients.versions import Versions
from infra_ops.models.fingerprints import SHORTEST, Fingerprints, Print, print_of

KEY = "scan/key"
VALUES = "scan/values"


@dataclass(frozen=True)
class Remembered:
    """`known` are all prints, `missing` those by credential that the store does not remember yet."""

    known: Fingerprints
    missing: dict[str, list[Print]]


def read(kv: Kv, versions: Versions) -> Remembered:
    """Raises StoreError. Without a key in the store, the prints are good for this process only."""
    stored_key = kv.read_fields(KEY)
    key = bytes.fromhex(stored_key.values["key"]) if stored_key else secrets.token_bytes(32)
    remembered = {name: stored(kv, name) for name in kv.names(VALUES)} if stored_key else {}
    names = {print_: name for name, prints in sorted(remembered.items(), reverse=True) for print_ in prints}
    current: set[Print] = set()
    missing: dict[str, list[Print]] = {}
    for credential in versions.ids():
        readable = versions.readable(credential)
        for version in readable:
            found = kv.read(f"svc/{credential}", version)
            if found is None or len(found.credential.password.encode()) < SHORTEST:
                continue
            print_ = print_of(key, found.credential.password.encode())
            names.setdefault(print_, credential)
            if version == readable[-1]:
                current.add(print_)
            if print_ not in [*remembered.get(credential, []), *missing.get(credential, [])]:
                missing.setdefault(credential, []).append(print_)
    return Remembered(Fingerprints(key, names, frozenset(current)), missing)


def stored(kv: Kv, credential: str) -> list[Print]:
    """The prints that the store remembers of one credential. Raises StoreError."""
    found = kv.read_fields(f"{VALUES}/{credential}")
    return [Print.of(text) for text in (found.values if found else {}).values()]
