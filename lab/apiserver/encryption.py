"""Encryption at rest, as kube-apiserver's --encryption-provider-config describes it.

Values are written with the first provider of their resource and read with any that fits;
https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

from lab.apiserver.providers import Decoded, DecodeError, Identity, Provider

_PLAIN = Identity()


@dataclass(frozen=True, eq=False)
class Encryption:
    """Which providers serve the keys below which prefixes; the first rule that fits counts."""

    rules: tuple[tuple[str, tuple[Provider, ...]], ...] = ()

    def covers(self, key: str) -> bool:
        """Whether a rule speaks of that key. What none speaks of is stored plainly."""
        return any(key.startswith(prefix) for prefix, _ in self.rules)

    def encode(self, key: str, value: bytes) -> bytes:
        return self._providers(key)[0].encrypt(value)

    def decode(self, key: str, stored: bytes) -> Decoded:
        """Raises DecodeError when no provider knows the value, or when those that do cannot read it."""
        if not self.covers(key):
            return _PLAIN.decrypt(stored)
        failure = ""
        for position, provider in enumerate(self._providers(key)):
            if not stored.startswith(provider.prefix):
                continue
            try:
                value, stale = provider.decrypt(stored)
            except DecodeError as error:
                # Identity stands before a key while a cluster goes over to encryption or back, and is not asked then.
                failure = failure or (str(error) if provider.prefix else "")
            else:
                return Decoded(value, stale or position > 0)
        raise DecodeError(failure or "no matching prefix found")

    def _providers(self, key: str) -> tuple[Provider, ...]:
        for prefix, providers in self.rules:
            if key.startswith(prefix):
                return providers
        return (_PLAIN,)


@dataclass
class Keyring:
    """What one server encrypts and decrypts with at the moment, and how often it has re-read its file (by status)."""

    encryption: Encryption
    server: str = "lab"
    reloads: dict[str, int] = field(default_factory=dict)
    reloaded_at: dict[str, float] = field(default_factory=dict)

    def count_reload(self, status: str) -> None:
        """``status``: success or failure."""
        self.reloads[status] = self.reloads.get(status, 0) + 1
        self.reloaded_at[status] = time.time()

    def metrics(self) -> str:
        """In Prometheus' text format, as k8s.io/apiserver 1.32 names them. What never happened has no line."""
        identity = hashlib.sha256(self.server.encode()).hexdigest()
        lines = []
        for name, kind, help_, values in (
            ("automatic_reloads_total", "counter", "Total number of reload successes and failures", self.reloads),
            (
                *("automatic_reload_last_timestamp_seconds", "gauge"),
                *("Timestamp of the last successful or failed reload", self.reloaded_at),
            ),
        ):
            full = f"apiserver_encryption_config_controller_{name}"
            if values:
                lines += [f"# HELP {full} [ALPHA] {help_} of encryption configuration split by apiserver identity."]
                lines += [f"# TYPE {full} {kind}"]
            for status, value in sorted(values.items()):
                labels = f'apiserver_id_hash="sha256:{identity}",status="{status}"'
                lines.append(f"{full}{{{labels}}} {value!r}")
        return "".join(f"{line}\n" for line in lines)
