"""Recovery keys: made once, put where only a person looks, and in force only when they are safely there.

The store initializes itself and has none at first. They are made with verification: the new keys count only once they
have been shown to it again, which is done with what the Secret holds. So keys whose answer was lost on the way never
count, and new ones are made. https://openbao.org/api-docs/system/rotate
"""

from __future__ import annotations

import json
from typing import Any

from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import OpenBao
from infra_ops.clients.vault import StoreError
from infra_ops.facts.openbao import CORE, WAITING
from infra_ops.operations.store import secrets
from infra_ops.operations.store.parts import Part, Store, Write

NAME = "openbao-recovery"
SHARES, THRESHOLD = 3, 2
UNTOLD = "in force; they wait on the cluster and their note is gone"
ROTATION = "sys/rotate/recovery"


def part(cluster: Deployer, store: Store) -> Part:
    """The recovery keys of a store that has none, and the note on those that wait."""

    def look() -> str:
        if not _in_force(store()):
            return "none"
        untold = cluster.find(WAITING) is None and cluster.find(f"{CORE}/secrets/{NAME}") is not None
        return UNTOLD if untold else "in force"

    def do(write: Write) -> None:
        if _in_force(store()):
            _leave_note(cluster, write)
            return
        keys, nonce = _stored(cluster)
        if not keys or nonce != _awaited(store()):
            keys, nonce = _make(cluster, store(), write)
        _leave_note(cluster, write)
        write("show the keys again", lambda: _verify(store(), keys, nonce))

    return Part("openbao.recovery", "the recovery keys", "in force", look, do)


def _in_force(store: OpenBao) -> bool:
    return int((store.read("sys/seal-status") or {}).get("n", 0)) > 0


def _make(cluster: Deployer, store: OpenBao, write: Write) -> tuple[list[str], str]:
    """New keys, stored. Whatever an earlier try had begun is given up: its keys never counted."""
    write("give up unverified keys", lambda: store.delete(f"{ROTATION}/init"))
    wish = {"secret_shares": SHARES, "secret_threshold": THRESHOLD, "require_verification": True}
    made = write("make recovery keys", lambda: store.write(f"{ROTATION}/init", wish))["data"]
    keys, nonce = list(made["keys_base64"]), str(made["verification_nonce"])
    item = secrets.body(NAME, {"keys": json.dumps(keys).encode(), "nonce": nonce.encode()})
    path = f"{CORE}/secrets/{NAME}"
    write(f"store them in Secret {NAME}", lambda: cluster.apply_strictly(path, item))
    return keys, nonce


def _leave_note(cluster: Deployer, write: Write) -> None:
    """A ConfigMap that goes with the Secret: everybody may see that keys wait, and nobody else reads them."""
    secret = cluster.get(f"{CORE}/secrets/{NAME}")["metadata"]
    owner = {"apiVersion": "v1", "kind": "Secret", "name": NAME, "uid": secret["uid"]}
    item: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "labels": secrets.LABELS, "ownerReferences": [owner]},
        "data": {
            "what": "Recovery keys wait in the Secret of this name. Take them off the cluster and delete the Secret.",
            "since": secret["creationTimestamp"],  # the note may be younger: it was deleted and left again
        },
    }
    write("leave a note", lambda: cluster.apply_strictly(WAITING, item))


def _stored(cluster: Deployer) -> tuple[list[str], str]:
    held = secrets.read(cluster, NAME)
    return (json.loads(held["keys"]), held["nonce"].decode()) if held else ([], "")


def _awaited(store: OpenBao) -> str:
    """The nonce under which the store waits for its new keys to be shown; "" when it waits for none."""
    try:
        waiting = (store.read(f"{ROTATION}/verify") or {}).get("data") or {}
    except StoreError:  # it answers 400 when nothing is under way
        return ""
    return str(waiting.get("nonce", "")) if waiting.get("started") else ""


def _verify(store: OpenBao, keys: list[str], nonce: str) -> None:
    """A try that was cut off may have shown some already: begin with none shown."""
    store.delete(f"{ROTATION}/verify")
    nonce = _awaited(store) or nonce
    for key in keys[:THRESHOLD]:
        store.write(f"{ROTATION}/verify", {"key": key, "nonce": nonce})
