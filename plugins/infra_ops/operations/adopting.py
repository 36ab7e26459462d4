"""Where adoption gets today's value from: a person at a terminal, or a Secret of the cluster. Never an argument."""

from __future__ import annotations

import base64
import getpass
import sys

from infra_ops import include
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from infra_ops.models.credentials import Credential
from infra_ops.models.inventory import Inventory
from infra_ops.operations.adoption import NotAdopted, adopt
from infra_ops.operations.rotation.estate import Estate


def adopt_from_terminal(credential_id: str, username: str) -> int:
    """Asks for what is missing, without showing the password; from a pipe it reads one line a question.

    Raises NotAdopted, for an id that the inventory does not know before anything is asked.
    """
    inventory = _inventory_with(credential_id)
    username = username or _ask("User name: ")
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password of {username} (not shown): ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    return _adopt(inventory, credential_id, Credential(username, password), Cluster())


def adopt_from_secret(credential_id: str, username: str, place: str) -> int:
    """Takes the password from `namespace/name/key`. Raises NotAdopted when there is no such place."""
    inventory = _inventory_with(credential_id)
    cluster = Cluster()
    namespace, _, rest = place.partition("/")
    name, _, key = rest.partition("/")
    if not key:
        raise NotAdopted(f"{place!r} names no key of a Secret: write namespace/name/key.")
    data = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{name}").get("data") or {}
    if key not in data:
        raise NotAdopted(f"The Secret {namespace}/{name} has no key {key!r}; it has: {', '.join(data) or 'none'}.")
    login = Credential(username or _ask("User name: "), base64.b64decode(data[key]).decode())
    return _adopt(inventory, credential_id, login, cluster)


def _inventory_with(credential_id: str) -> Inventory:
    inventory = include.inventory()
    if credential_id not in inventory.credentials:
        raise NotAdopted(f"The inventory knows no {credential_id!r}; it knows: {', '.join(inventory.credentials)}.")
    return inventory


def _adopt(inventory: Inventory, credential_id: str, login: Credential, cluster: Cluster) -> int:
    if not login.username or not login.password:
        raise NotAdopted("A user name and a password are needed; one of them was empty.")
    estate = Estate(inventory, Kv(Vault(), inventory.store.mount), cluster)
    return adopt(credential_id, login, estate.proof(credential_id), estate.kv)


def _ask(question: str) -> str:
    if sys.stdin.isatty():
        return input(question).strip()
    return sys.stdin.readline().strip()
