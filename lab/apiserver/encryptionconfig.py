"""Reading an EncryptionConfiguration file, with a real server's complaints.

Texts: k8s.io/apiserver/pkg/server/options/encryptionconfig and pkg/apis/apiserver/validation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.apiserver.encryption import Encryption
from lab.apiserver.providers import AesCbc, Cipherer, Identity, Keyed, Provider, SecretBox

Object = dict[str, Any]

# Provider -> (how messages call it, the lengths of its keys in bytes, what it is made of).
KINDS: dict[str, tuple[str, tuple[int, ...], type[AesCbc] | type[SecretBox]]] = {
    "aescbc": ("AES", (16, 24, 32), AesCbc),
    "secretbox": ("Secretbox", (32,), SecretBox),
}
_KNOWN = "KMS, AESGCM, AESCBC, Secretbox, Identity"


class ConfigError(ValueError):
    """The file is not an EncryptionConfiguration that this server can follow. The text never holds a key."""


def load(path: Path, prefixes: Mapping[str, str], name: str = "") -> Encryption:
    """Read the file; ``prefixes`` maps a resource (``secrets``) to where it is stored.

    ``name`` is what messages call the file, when that is another path than ours. Raises ConfigError.
    """
    try:
        return parse(_read(path, name or str(path)), prefixes, name or str(path))
    except ConfigError as error:
        raise ConfigError(f"error while parsing file: {error}") from None


def _read(path: Path, name: str) -> str:
    what = f'encryption provider configuration file "{name}"'
    try:
        text = path.read_text()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"error opening {what}: open {name}: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"error decoding {what}: it is no UTF-8 text") from None
    if not text:
        raise ConfigError(f"{what} is empty")
    return text


def parse(text: str, prefixes: Mapping[str, str], name: str) -> Encryption:
    """The same for the file's text. Raises ConfigError."""
    broken = f'error decoding encryption provider configuration file "{name}"'
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""  # not the line itself: a key may stand in it
        reason = f"yaml: {where}{getattr(error, 'problem', 'not YAML')}"
        raise ConfigError(f"{broken}: error converting YAML to JSON: {reason}") from None
    if not isinstance(config, dict) or not config.get("kind"):
        raise ConfigError(f"{broken}: Object 'Kind' is missing")
    if config["kind"] != "EncryptionConfiguration":
        version = config.get("apiVersion")
        raise ConfigError(f'{broken}: no kind "{config["kind"]}" is registered for version "{version}"')
    if not config.get("resources"):
        raise ConfigError("resources: Required value: at least one resources is required")
    rules: list[tuple[str, tuple[Provider, ...]]] = []
    for index, entry in enumerate(config["resources"]):
        place = f"resources[{index}]"
        items = entry.get("providers") or []
        if not items:
            raise ConfigError(f"{place}.providers: Required value: at least one {place}.providers is required")
        if not entry.get("resources"):
            raise ConfigError(f"{place}.resources: Required value: at least one {place}.resources is required")
        providers = tuple(_provider(item, f"{place}.providers[{number}]") for number, item in enumerate(items))
        for resource in entry["resources"]:
            if resource != "*.*" and resource not in prefixes:
                raise ConfigError(f"{place}.resources: unknown resource {resource!r}")
            rules.append(("/registry/" if resource == "*.*" else prefixes[resource], providers))
    return Encryption(tuple(rules))


def _provider(item: Object, place: str) -> Provider:
    kinds = [kind for kind in item or {} if kind in (*KINDS, "identity")]
    if not kinds:
        raise ConfigError(f"{place}: provider does not contain any of the expected providers: {_KNOWN}")
    if len(item) > 1:
        raise ConfigError(f"{place}: Invalid value: more than one provider specified in a single element, "
                          "should split into different list elements")  # fmt: skip
    [kind] = kinds
    if kind == "identity":
        return Identity()
    title, lengths, make = KINDS[kind]
    keys = (item[kind] or {}).get("keys") or []
    if not keys:
        raise ConfigError(f"{place}.{kind}.keys: Required value: at least one {place}.{kind}.keys is required")
    ciphers: dict[str, Cipherer] = {}
    for number, key in enumerate(keys):
        there = f"{place}.{kind}.keys[{number}]"
        if not key.get("name"):
            raise ConfigError(f"{there}.name: Required value: name is mandatory for a key")
        ciphers[str(key["name"])] = make(_secret(key, there, lengths))
    return Keyed(kind, title, ciphers)


def _secret(key: Object, place: str, lengths: tuple[int, ...]) -> bytes:
    if not key.get("secret"):
        raise ConfigError(f"{place}.secret: Required value: secret is mandatory for a key")
    try:
        secret = base64.b64decode(str(key["secret"]), validate=True)
    except binascii.Error:
        raise ConfigError(f'{place}.secret: Invalid value: "REDACTED": secrets must be base64 encoded') from None
    if len(secret) not in lengths:
        wanted = " ".join(str(length) for length in lengths)
        complaint = f"secret is not of the expected length, got {len(secret)}, expected one of [{wanted}]"
        raise ConfigError(f'{place}.secret: Invalid value: "REDACTED": {complaint}')
    return secret
