"""What is set up inside the store: its policies, the KV mount, the ways to log in and who may use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra_ops.clients.openbao import OpenBao
from infra_ops.clients.vault import StoreError
from infra_ops.operations.store.parts import Part, Store, Write
from infra_ops.operations.waiting import asked_until
from infra_ops.shipped import MANIFESTS

SECONDS = 30
# Proofs are made with the policies of each identity and nothing else, as orphans that live for a minute.
PROOF_ROLE = {
    "allowed_policies_glob": ["infra-ops-*"],
    "orphan": True,
    "renewable": False,
    "token_explicit_max_ttl": 60,
    "token_no_default_policy": True,
}


def folder() -> Path:
    """Policies and roles, one file an identity."""
    return MANIFESTS / "infra-ops" / "openbao"


def policies() -> dict[str, str]:
    """The policies by name."""
    return {file.stem: file.read_text() for file in sorted((folder() / "policies").glob("*.hcl"))}


def digest() -> str:
    """Eight hexadecimal digits that name the policies as they are in the files."""
    return hashlib.sha256(json.dumps(policies()).encode()).hexdigest()[:8]


def parts(store: Store, mount: str) -> list[Part]:
    """In the order in which they need each other: who sets up the rest first gets the right to."""
    first = "infra-ops-platform"
    texts = policies()
    ordered = {first: texts.pop(first), **texts}
    return [
        *(_policy(store, name, text) for name, text in ordered.items()),
        _mount(store, mount),
        _app_role_login(store),
        *(
            _settings(store, f"auth/kubernetes/role/{file.stem}", _wanted(file))
            for file in sorted((folder() / "roles").glob("*.json"))
        ),
        *(
            _settings(store, f"auth/approle/role/{file.stem}", _wanted(file))
            for file in sorted((folder() / "approles").glob("*.json"))
        ),
        _settings(store, "auth/token/roles/infra-ops-proof", PROOF_ROLE),
    ]


def _wanted(file: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(file.read_text())
    return settings


def _part(store: Store, path: str, wanted: str, look: Callable[[], str], write: Callable[[], object]) -> Part:
    def do(perform: Write) -> None:
        perform(f"write {path}", write)

    return Part(f"openbao.{path}", f"store path {path}", wanted, look, do)


def _policy(store: Store, name: str, text: str) -> Part:
    path = f"sys/policies/acl/{name}"

    def look() -> str:
        found = store().read(path)
        if found is None:
            return "absent"
        return "as in the file" if found["data"]["policy"] == text else "differs"

    return _part(store, path, "as in the file", look, lambda: store().write(path, {"policy": text}))


def _mount(store: Store, mount: str) -> Part:
    path = f"sys/mounts/{mount}"

    def look() -> str:
        found = ((store().read("sys/mounts") or {}).get("data") or {}).get(f"{mount}/")
        if found is None:
            return "absent"
        return "KV version 2" if (found.get("options") or {}).get("version") == "2" else "something else"

    def write() -> None:
        store().write(path, {"type": "kv", "options": {"version": "2"}})
        _wait_for_mount(store(), mount)

    return _part(store, path, "KV version 2", look, write)


def _wait_for_mount(store: OpenBao, mount: str) -> None:
    """A new mount refuses requests for about a second."""
    asked_until(lambda _: True, lambda: store.read(f"{mount}/config"), SECONDS, bearing=(StoreError,))


def _app_role_login(store: Store) -> Part:
    def look() -> str:
        return "enabled" if "approle/" in ((store().read("sys/auth") or {}).get("data") or {}) else "absent"

    return _part(
        store, "sys/auth/approle", "enabled", look, lambda: store().write("sys/auth/approle", {"type": "approle"})
    )


def _settings(store: Store, path: str, wanted: dict[str, Any]) -> Part:
    """A document of settings; what the store has beyond the wanted keys is its own business."""

    def look() -> str:
        found = store().read(path)
        if found is None:
            return "absent"
        same = all(_same(found["data"].get(key), value) for key, value in wanted.items())
        return "as in the file" if same else "differs"

    return _part(store, path, "as in the file", look, lambda: store().write(path, wanted))


def _same(found: Any, wanted: Any) -> bool:
    """The store answers durations in seconds, and some lists in an order of its own."""
    if isinstance(wanted, str) and isinstance(found, int):
        return found == _seconds(wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return sorted(found) == sorted(wanted)
    return bool(found == wanted)


def _seconds(duration: str) -> int:
    """`15m` or `1h` in seconds."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]
