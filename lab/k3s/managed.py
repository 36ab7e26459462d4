"""Secrets encryption as K3s manages it (`secrets-encryption: true`): its files on a server, and what versions do.

The file on the server, the stage beside it, and the copy in the datastore's bootstrap data, from which other servers
take it when they start. Sources: github.com/k3s-io/k3s/pkg/secretsencrypt and the issues named below.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import files
from lab.k3s.leaves import number
from lab.nodes.places import SERVER, VERSION

CONFIG = SERVER / "cred/encryption-config.json"
STATE = SERVER / "cred/encryption-state.json"
ANNOTATION = "k3s.io/encryption-config-hash"
START, ACTIVE, FINISHED = "start", "reencrypt_active", "reencrypt_finished"
_REFUSED = (
    f"/{CONFIG}, /{STATE} newer than datastore and could cause a cluster outage. Remove the file(s) from disk and "
    "restart to be recreated from datastore."
)

Object = dict[str, Any]


class Refused(Exception):
    """K3s does not go on; the text is its own."""


def can_enable_later(version: str) -> bool:
    """Whether `secrets-encrypt enable` works on a cluster that runs plain (k3s #13370; in 1.32 after v1.32.10)."""
    return number(version) > (1, 32, 10)


def crashes_when_asked_early(version: str) -> bool:
    """Whether `status` while the server starts ends it (k3s #12341, fixed in v1.32.5)."""
    return number(version) < (1, 32, 5)


def fails_after_success(version: str) -> bool:
    """Whether `rotate-keys` reports a failure although it did its work (k3s #12413, fixed in v1.32.6)."""
    return number(version) < (1, 32, 6)


@dataclass
class Bootstrap:
    """What the datastore keeps of it for servers that start. `leader_first`: the leader has not restarted since."""

    path: Path

    def read(self) -> Object:
        try:
            found: Object = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        return found

    def save(self, config: str, state: str) -> None:
        files.write(self.path, json.dumps({"config": config, "state": state, "leader_first": True}))

    def leader_restarted(self) -> None:
        found = self.read()
        if found.get("leader_first"):
            files.write(self.path, json.dumps({**found, "leader_first": False}))


def prepare_start(root: Path, bootstrap: Bootstrap, *, leads: bool) -> None:
    """What a server does with its files before its API starts. Raises Refused.

    Until the leader has been restarted after a change, others refuse (k3s #5442). Before `enable` works later, a server
    without a file makes a key of its own (k3s #7195), newer ones begin with no key.
    """
    version = (root / VERSION).read_text().strip()
    saved = bootstrap.read()
    if saved:
        if leads:
            bootstrap.leader_restarted()
        elif saved["leader_first"]:
            raise Refused(_REFUSED)
        if _text(root) != saved["config"]:
            write(root, saved["config"], saved["state"])
    elif not (root / CONFIG).exists():
        keys = [] if can_enable_later(version) else [new_key("aescbckey")]
        config = configuration(keys, enabled=True)
        write(root, config, f"{START}-{fingerprint(config)}")


def configuration(keys: list[Object], *, enabled: bool) -> str:
    """The file's text; without keys nothing is encrypted."""
    secret: list[Object] = [{"aescbc": {"keys": keys}}] if keys else []
    plain: list[Object] = [{"identity": {}}]
    providers = secret + plain if enabled else plain + secret
    resources = [{"resources": ["secrets"], "providers": providers}]
    whole = {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": resources}
    return json.dumps(whole, separators=(",", ":"))


def new_key(name: str = "") -> Object:
    """A fresh key, by default named after the time as K3s names it."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"name": name or f"aescbckey-{moment}", "secret": base64.b64encode(os.urandom(32)).decode()}


def keys_of(config: str) -> list[Object]:
    """The keys in a file that K3s wrote, the active one first."""
    providers = json.loads(config)["resources"][0]["providers"]
    return [key for provider in providers for key in (provider.get("aescbc") or {}).get("keys", [])]


def is_enabled(config: str) -> bool:
    """Whether new values are encrypted."""
    return "aescbc" in json.loads(config)["resources"][0]["providers"][0]


def fingerprint(config: str) -> str:
    return hashlib.sha256(config.encode()).hexdigest()


def write(root: Path, config: str, state: str) -> None:
    """Both files, 0600. `state` is the annotation: stage and hash."""
    (root / CONFIG).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write(root / CONFIG, config)
    files.write(root / STATE, state)


def read(root: Path) -> tuple[str, str]:
    """The file's text and the annotation, or two empty texts."""
    return (_text(root), (root / STATE).read_text()) if (root / STATE).exists() else ("", "")


def _text(root: Path) -> str:
    return (root / CONFIG).read_text() if (root / CONFIG).exists() else ""
