"""Encryption at rest as kube-apiserver does it: lists of providers, keys, and the ways from one list to another.

https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

IDENTITY = "identity"
PROVIDER = "secretbox"
# A list of providers in their order: IDENTITY or the name of a key. What is written goes by the first, what is read by
# any. () is a server without a configuration: it knows only plain values.
Providers = tuple[str, ...]
NONE: Providers = ()


@dataclass(frozen=True)
class Key:
    """A key of the cluster: 32 random bytes, and when they were made."""

    name: str
    secret: bytes = field(repr=False)
    made: datetime

    def as_dict(self) -> dict[str, str]:
        """As the store and the copy off the cluster keep it."""
        return {"secret": base64.b64encode(self.secret).decode(), "made": self.made.isoformat()}

    @classmethod
    def from_dict(cls, name: str, value: Mapping[str, Any]) -> Key:
        """What `as_dict` wrote."""
        return cls(name, base64.b64decode(value["secret"]), datetime.fromisoformat(value["made"]))


def words(providers: Providers) -> str:
    """A list for people, as steps name it."""
    return ", ".join(providers) or "no encryption"


def shown(state: Providers | str) -> str:
    """A list, or what is there instead of one."""
    return state if isinstance(state, str) else words(state)


def writes(providers: Providers) -> str:
    """By what a server with this list writes."""
    return providers[0] if providers else IDENTITY


def reads(providers: Providers, name: str) -> bool:
    """Whether a server with this list can read what was written by `name`."""
    return name in providers or (name == IDENTITY and not providers)


def configuration(providers: Providers, keys: Mapping[str, Key]) -> str:
    """The EncryptionConfiguration file of a list: the same bytes on every server. Raises KeyError for unknown keys."""
    lines = [
        "# Written by the runbook secrets_encryption. It holds keys: mode 0600, never in a repository.",
        "apiVersion: apiserver.config.k8s.io/v1",
        "kind: EncryptionConfiguration",
        "resources:",
        "  - resources: [secrets]",
        "    providers:",
    ]
    for name in providers:
        if name == IDENTITY:
            lines.append("      - identity: {}")
        else:
            secret = base64.b64encode(keys[name].secret).decode()
            lines += [f"      - {PROVIDER}:", "          keys:", f"            - name: {name}"]
            lines.append(f"              secret: {secret}")
    return "\n".join(lines) + "\n"


def digest(text: str) -> str:
    """What sha256sum says of a file with this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def prefix(name: str, provider: str = PROVIDER) -> bytes:
    """How a stored value begins that was written by the key `name`."""
    return f"k8s:enc:{provider}:v1:{name}:".encode()


@dataclass(frozen=True)
class Way:
    """A wish as the lists that lead to it. All servers take one list before any of them takes the next.

    `rewrite` is the place of the list in which every Secret is written anew. `canary`: where all was plain before, one
    stands from then, or can still be planted.
    """

    wish: str
    stages: tuple[Providers, ...]
    rewrite: int
    canary: bool = True

    @property
    def first(self) -> str:
        """By what everything is written in the end."""
        return writes(self.stages[self.rewrite])

    @property
    def old(self) -> str:
        """By what it was written before."""
        return writes(self.stages[0])

    def __contains__(self, providers: object) -> bool:
        return providers in self.stages


def enabling(key: str) -> Way:
    """From plain values to `key`. `identity` stays: one forgotten plain value would break every LIST."""
    return Way("enable", (NONE, (IDENTITY, key), (key, IDENTITY)), rewrite=2)


def rotating(old: str, new: str) -> Way:
    """From one key to the next: readable everywhere before anybody writes with it, and the old one goes last."""
    stages = ((old, IDENTITY), (old, new, IDENTITY), (new, old, IDENTITY), (new, IDENTITY))
    return Way("rotate", stages, rewrite=2)


def disabling(key: str) -> Way:
    """Back to plain values: `identity` first, and the key stays until nothing is written with it any more."""
    return Way("disable", ((key, IDENTITY), (IDENTITY, key), NONE), rewrite=1)


def next_name(names: Sequence[str]) -> str:
    """The name of the key after these."""
    return f"key{max([int(name.removeprefix('key')) for name in names], default=0) + 1}"


def order(names: Sequence[str]) -> list[str]:
    """Keys in the order in which they were made."""
    return sorted(names, key=lambda name: int(name.removeprefix("key")))
