"""The secret store (OpenBao)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Store:
    """`login` is the identity that the store gave to the caller, empty if it gave none; `problem` says why."""

    address: str
    reachable: bool
    sealed: bool
    login: str
    problem: str
