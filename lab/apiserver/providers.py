"""The ways in which a value can lie in the store: plain, AES-CBC, or XSalsa20-Poly1305 (secretbox).

Formats and texts: k8s.io/apiserver/pkg/storage/value/encrypt.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox as Box

ENCRYPTED = b"k8s:enc:"
IV_BYTES = 16


class DecodeError(ValueError):
    """A stored value cannot be read; the text is a real server's."""


class Decoded(NamedTuple):
    """``stale``: the value was not written as it would be today, so that even a no-op write rewrites it."""

    value: bytes
    stale: bool


class Provider(Protocol):
    """One way of storing values. ``prefix`` marks the stored bytes that it wrote."""

    prefix: bytes

    def encrypt(self, value: bytes) -> bytes: ...

    def decrypt(self, stored: bytes) -> Decoded:
        """Raises DecodeError."""


class Cipherer(Protocol):
    """What one key does to values."""

    def encrypt(self, value: bytes) -> bytes: ...

    def decrypt(self, payload: bytes) -> bytes: ...


class Identity:
    """Plain bytes."""

    prefix = b""

    def encrypt(self, value: bytes) -> bytes:
        return value

    def decrypt(self, stored: bytes) -> Decoded:
        if stored.startswith(ENCRYPTED):
            raise DecodeError("identity transformer tried to read encrypted data")
        return Decoded(stored, stale=False)


class Keyed:
    """``k8s:enc:<kind>:v1:<key name>:`` and the payload. It writes with its first key and reads with any."""

    def __init__(self, kind: str, title: str, keys: dict[str, Cipherer]) -> None:
        self.prefix = b"k8s:enc:" + kind.encode() + b":v1:"
        self._title = title
        self._keys = {name.encode() + b":": cipherer for name, cipherer in keys.items()}

    def encrypt(self, value: bytes) -> bytes:
        name, cipherer = next(iter(self._keys.items()))
        return self.prefix + name + cipherer.encrypt(value)

    def decrypt(self, stored: bytes) -> Decoded:
        named = stored.removeprefix(self.prefix)
        for position, (name, cipherer) in enumerate(self._keys.items()):
            if named.startswith(name):
                return Decoded(cipherer.decrypt(named.removeprefix(name)), stale=position > 0)
        raise DecodeError(f"no matching key was found for the provided {self._title} transformer")


class AesCbc:
    """The initialisation vector and the padded ciphertext."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def encrypt(self, value: bytes) -> bytes:
        iv = os.urandom(IV_BYTES)
        padder = PKCS7(self._algorithm.block_size).padder()
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        padded = padder.update(value) + padder.finalize()
        return iv + encryptor.update(padded) + encryptor.finalize()

    def decrypt(self, payload: bytes) -> bytes:
        iv, ciphertext = payload[:IV_BYTES], payload[IV_BYTES:]
        if len(iv) < IV_BYTES or len(ciphertext) % IV_BYTES:
            raise DecodeError("the stored data is not a multiple of the block size")
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        unpadder = PKCS7(self._algorithm.block_size).unpadder()
        try:
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            raise DecodeError("invalid padding on input") from None


class SecretBox:
    """The nonce and the authenticated ciphertext of NaCl's secretbox."""

    def __init__(self, key: bytes) -> None:
        self._box = Box(key)

    def encrypt(self, value: bytes) -> bytes:
        return bytes(self._box.encrypt(value))

    def decrypt(self, payload: bytes) -> bytes:
        if len(payload) < Box.NONCE_SIZE + Box.MACBYTES:
            raise DecodeError("the stored data was shorter than the required size")
        try:
            return self._box.decrypt(payload)
        except CryptoError:
            raise DecodeError("output array was not large enough for encryption") from None  # the real words
