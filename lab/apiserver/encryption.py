"""Encryption at rest, as kube-apiserver's --encryption-provider-config describes it.

Providers: ``identity`` and ``aescbc``. Values are written with the first provider of their resource and read with
any; https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

ENCRYPTED = b"k8s:enc:"
IV_BYTES = 16


class ConfigError(ValueError):
    """The file is not an EncryptionConfiguration that this server can follow."""


class DecodeError(ValueError):
    """No provider can read a stored value; the text is a real server's."""


class Decoded(NamedTuple):
    """``stale``: the value was not written with today's first provider, so that even a no-op write rewrites it."""

    value: bytes
    stale: bool


class Provider(Protocol):
    """One way of storing values. ``prefix`` marks the stored bytes that it wrote."""

    prefix: bytes

    def encrypt(self, value: bytes) -> bytes: ...

    def decrypt(self, stored: bytes) -> bytes: ...


class Identity:
    """Plain bytes."""

    prefix = b""

    def encrypt(self, value: bytes) -> bytes:
        return value

    def decrypt(self, stored: bytes) -> bytes:
        if stored.startswith(ENCRYPTED):
            raise DecodeError("identity transformer tried to read encrypted data")
        return stored


class AesCbc:
    """``k8s:enc:aescbc:v1:<key name>:`` and then the initialisation vector and the padded ciphertext."""

    def __init__(self, name: str, key: bytes) -> None:
        self.prefix = b"k8s:enc:aescbc:v1:" + name.encode() + b":"
        self._algorithm = algorithms.AES(key)

    def encrypt(self, value: bytes) -> bytes:
        iv = os.urandom(IV_BYTES)
        padder = PKCS7(self._algorithm.block_size).padder()
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        padded = padder.update(value) + padder.finalize()
        return self.prefix + iv + encryptor.update(padded) + encryptor.finalize()

    def decrypt(self, stored: bytes) -> bytes:
        payload = stored.removeprefix(self.prefix)
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


@dataclass(frozen=True)
class Encryption:
    """Which providers serve the keys below which prefixes; the first rule that fits counts."""

    rules: tuple[tuple[str, tuple[Provider, ...]], ...] = ()

    def encode(self, key: str, value: bytes) -> bytes:
        return self._providers(key)[0].encrypt(value)

    def decode(self, key: str, stored: bytes) -> Decoded:
        """Raises DecodeError when no provider knows the value, or when the one that does cannot read it."""
        providers = self._providers(key)
        for position, provider in enumerate(providers):
            if stored.startswith(provider.prefix):
                return Decoded(provider.decrypt(stored), stale=position > 0)
        raise DecodeError("no matching prefix found")

    def _providers(self, key: str) -> tuple[Provider, ...]:
        for prefix, providers in self.rules:
            if key.startswith(prefix):
                return providers
        return (Identity(),)


def load(path: Path, prefixes: dict[str, str]) -> Encryption:
    """Read an EncryptionConfiguration file; ``prefixes`` maps a resource (``secrets``) to where it is stored.

    Raises ConfigError with the file, the place and what is wrong there, never with key material.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        raise ConfigError(f"{path}: not YAML") from None
    if not isinstance(config, dict) or config.get("kind") != "EncryptionConfiguration":
        raise ConfigError(f"{path}: kind must be EncryptionConfiguration")
    rules: list[tuple[str, tuple[Provider, ...]]] = []
    for index, entry in enumerate(config.get("resources") or []):
        place = f"{path}: resources[{index}]"
        providers = tuple(provider for item in entry.get("providers") or [] for provider in _read(item, place))
        if not providers:
            raise ConfigError(f"{place}.providers: name at least one of identity and aescbc")
        for resource in entry.get("resources") or []:
            if resource != "*.*" and resource not in prefixes:
                raise ConfigError(f"{place}.resources: unknown resource {resource!r}")
            rules.append(("/registry/" if resource == "*.*" else prefixes[resource], providers))
    return Encryption(tuple(rules))


def _read(item: dict[str, Any], place: str) -> list[Provider]:
    if "identity" in item:
        return [Identity()]
    if "aescbc" not in item:
        raise ConfigError(f"{place}.providers: {', '.join(item)} is not among identity and aescbc")
    keys = (item["aescbc"] or {}).get("keys") or []
    if not keys:
        raise ConfigError(f"{place}.providers: aescbc names no keys")
    return [AesCbc(key["name"], _secret(key, place)) for key in keys]


def _secret(key: dict[str, Any], place: str) -> bytes:
    try:
        secret = base64.b64decode(key["secret"], validate=True)
    except (binascii.Error, KeyError):
        raise ConfigError(f"{place}.providers: the secret of key {key.get('name')!r} is not base64") from None
    if len(secret) not in (16, 24, 32):
        raise ConfigError(f"{place}.providers: key {key['name']!r} has {len(secret)} bytes, not 16, 24 or 32")
    return secret
