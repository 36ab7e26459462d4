"""Brings the lab's own invented passwords under management, as the owner of a real cluster does once by hand.

`python -m lab.adoption CREDENTIALS_DIR` runs with the environment of Airflow's workers, so the store's policies apply.
It prints one line for each credential that could not be adopted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra_ops import include
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from infra_ops.models.credentials import Answer, Credential
from infra_ops.models.inventory import Inventory
from infra_ops.models.problems import Problem
from infra_ops.operations.adoption import LogIn, adopt
from infra_ops.operations.rotation.estate import Estate
from lab import credentials

# Ids that the inventory calls otherwise than the lab.
LAB_NAMES = {"postgres_admin": "postgres_superuser"}
PATIENCE = 60.0  # seconds for all services that have just been started


def logins(directory: Path, inventory: Inventory) -> Iterator[tuple[str, Credential]]:
    """The inventory's credentials that the lab invented, administrators first: they prove the others."""
    for id_ in sorted(inventory.credentials, key=lambda id_: inventory.credentials[id_].target is not None):
        name = LAB_NAMES.get(id_, id_)
        if name in credentials.USERS:
            yield id_, Credential(credentials.USERS[name], credentials.read(directory, name))


def adopt_all(inventory: Inventory, kv: Kv, cluster: Cluster, found: Mapping[str, Credential]) -> list[str]:
    """Stores what is not stored yet, and says why for each that was refused.

    Whatever is stored already stays: a rotation may have made it.
    """
    deadline = time.monotonic() + PATIENCE
    refusals = []
    for id_, credential in found.items():
        try:
            if kv.read(f"svc/{id_}") is None:
                log_in = Estate(inventory, kv, cluster).proof(id_)
                if log_in:
                    _wait(log_in, credential, deadline)
                adopt(id_, credential, log_in, kv)
        except Problem as problem:
            refusals.append(f"{id_} was not adopted: {problem}")
    return refusals


def _wait(log_in: LogIn, credential: Credential, deadline: float) -> None:
    """Until the service answers, whatever it says, or the time is over."""
    while time.monotonic() < deadline:
        if log_in(credential.username, credential.password).answer is not Answer.UNREACHABLE:
            return
        time.sleep(0.5)


def main() -> None:
    inventory = include.inventory()
    kv = Kv(Vault(), inventory.store.mount)
    found = dict(logins(Path(sys.argv[1]), inventory))
    for refusal in adopt_all(inventory, kv, Cluster(), found):
        print(refusal)


if __name__ == "__main__":
    main()
