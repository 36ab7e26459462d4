"""What a K3s server tells of itself by SSH and by its own API."""

from __future__ import annotations

from dataclasses import dataclass

from infra_ops.models.encryption import Providers


@dataclass(frozen=True)
class File:
    """A file on a server: mode such as `600`, owner and group by name, last change in seconds since 1970."""

    mode: str
    owner: str
    sha256: str
    changed: float


@dataclass(frozen=True)
class Unit:
    """The systemd unit of K3s: `state` is systemd's ActiveState, `started` in seconds since 1970, 0 for never."""

    state: str
    started: float


@dataclass(frozen=True)
class Encrypting:
    """What there is of encryption on one server.

    `file` is the EncryptionConfiguration and `providers` what it lists, as far as that can be told; `drop_in` names it
    in the K3s configuration. `started_with` is the file that the running process was told of, "" for none, and
    `reloaded` when it last took a changed file over (seconds since 1970, 0 for never). `foreign` says what else in the
    K3s configuration would spoil it, `managed` names the part that has K3s do it by itself; both "" for nothing.
    """

    server: str
    file: File | None
    providers: Providers
    drop_in: File | None
    unit: Unit
    started_with: str
    reloaded: float
    foreign: str = ""
    managed: str = ""
