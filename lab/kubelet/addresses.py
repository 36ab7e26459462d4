"""The addresses of pods: each has one of its own on the loopback network, so two may listen on the same port.

127.42.0.0/16 needs no set-up on Linux, where all of 127.0.0.0/8 is loopback.
"""

from __future__ import annotations

import zlib

FIRST, LAST = 1, 0xFFFE


class Addresses:
    """Which pod has which address."""

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}

    def take(self, uid: str) -> str:
        """The address of the pod with that uid: nobody else's until it is released.

        It follows from the uid, so that neither a restart of the kubelet nor a second lab on this machine is likely to
        disturb it.
        """
        number = FIRST + zlib.crc32(uid.encode()) % (LAST - FIRST + 1)
        while self._owners.get(number, uid) != uid:
            number = number + 1 if number < LAST else FIRST
        self._owners[number] = uid
        return f"127.42.{number >> 8}.{number & 0xFF}"

    def release(self, uid: str) -> None:
        """The pod has gone."""
        self._owners = {number: owner for number, owner in self._owners.items() if owner != uid}
