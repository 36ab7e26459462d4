"""Encryption as K3s manages it: its stages, the names of its keys, and what is wished for.

https://docs.k3s.io/cli/secrets-encrypt; github.com/k3s-io/k3s/pkg/secretsencrypt
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from infra_ops.models.encryption import IDENTITY, PROVIDER, Providers
from infra_ops.models.servers import Unit

ACTIVE = "reencrypt_active"  # K3s writes every Secret again
# The only stages in which K3s begins a rotation.
RESTING = ("start", "reencrypt_finished")
# A key made by a rotation is called after its moment: aescbckey-2026-03-09T09:46:54+01:00. The first one of a cluster
# that was installed with encryption is `aescbckey`.
DATED = re.compile(r"-(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))$")


def writer(provider: str, name: str) -> str:
    """A key as datastores are told of it: its name, before it the provider unless that is the one of our own keys."""
    return name if provider == PROVIDER else f"{provider}:{name}"


def named(key: str) -> tuple[str, str]:
    """Provider and name of what `writer` put together."""
    found = re.match(r"(aescbc|aesgcm|kms):", key)
    return (found[1], key[found.end() :]) if found else (PROVIDER, key)


def made(key: str) -> datetime | None:
    """When K3s made a key, by its name; None when that does not say."""
    found = DATED.search(key)
    return datetime.fromisoformat(found[1]) if found else None


@dataclass(frozen=True)
class Managed:
    """What one server has of it.

    `stage` and `noted` (a sha256) are what K3s says on its Node, `listed` and `sha256` those of K3s' own file there.
    `switched_by` is the part of the K3s configuration with `secrets-encryption: true`, `in_process` whether the process
    was started with it.
    """

    server: str
    stage: str
    noted: str
    listed: Providers
    sha256: str
    switched_by: str
    in_process: bool
    unit: Unit


@dataclass(frozen=True)
class ManagedWay:
    """From what wrote before, IDENTITY or a key, to a new key that K3s makes.

    `canary`: one stands from when all was plain, or can still be planted. Without it, and without a key before, nothing
    is known that only the state before holds.
    """

    old: str
    canary: bool

    @property
    def wish(self) -> str:
        return "enable" if self.old == IDENTITY else "rotate"
