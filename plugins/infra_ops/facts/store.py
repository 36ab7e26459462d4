"""Whether the secret store can be used."""

from __future__ import annotations

from infra_ops.clients.vault import StoreError, Vault
from infra_ops.models.store import Store


def read_store(vault: Vault) -> Store:
    """Asks for the seal and logs in: a store may be unsealed and still let nobody in. Never raises `StoreError`."""
    try:
        sealed = bool(vault.seal_status()["sealed"])
    except StoreError as error:
        return Store(vault.address, reachable=False, sealed=False, login="", problem=str(error))
    if sealed:
        return Store(vault.address, reachable=True, sealed=True, login="", problem=f"{vault.address} is sealed")
    try:
        return Store(vault.address, reachable=True, sealed=False, login=vault.log_in(), problem="")
    except StoreError as error:
        return Store(vault.address, reachable=True, sealed=False, login="", problem=str(error))
