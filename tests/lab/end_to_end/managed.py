"""The rotated credentials of a running lab, as its store, its services and its cluster see them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from infra_ops import include
from infra_ops.clients.journal import Entry, RunJournal
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.facts.readers import readers
from infra_ops.facts.workloads import Workload, pods
from infra_ops.models.credentials import Credential, Login, Session, Stored
from infra_ops.models.inventory import Inventory
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.targets.target import Target
from tests.lab.end_to_end.airflow import DAG
from tests.lab.rotation.stage import RootVault


@dataclass(frozen=True)
class Managed:
    """Looks as the lab's administrator; rotates nothing itself."""

    inventory: Inventory
    kv: Kv
    cluster: Cluster

    @property
    def ids(self) -> list[str]:
        return list(self.inventory.rotated())

    def stored(self, id_: str, version: int | None = None) -> Stored:
        found = self.kv.read(f"svc/{id_}", version)
        assert found is not None, id_
        return found

    def pending(self, id_: str) -> Stored | None:
        return self.kv.read(f"rotation/pending/{id_}")

    def target(self, id_: str) -> Target:
        return Estate(self.inventory, self.kv, self.cluster).target(id_)

    def log_in(self, id_: str, credential: Credential) -> Login:
        return self.target(id_).log_in(credential.username, credential.password)

    def sessions(self, id_: str) -> list[Session]:
        """Those of the user who logs in with the current value."""
        return self.target(id_).sessions(self.stored(id_).credential.username) or []

    def consumers(self, id_: str) -> Iterator[tuple[Workload, bool]]:
        """The workloads that read a copy of the credential, and whether each is to hold a session."""
        for consumer in (each for each in self.inventory.credentials[id_].consumers if each.restart):
            for workload in readers(self.cluster, consumer.secret.namespace, consumer.secret.name):
                yield workload, consumer.keeps_session

    def marks(self, workload: Workload) -> set[str]:
        """Names and addresses of its pods, by which sessions can be told."""
        return {mark for pod in pods(self.cluster, workload) for mark in pod}

    def copies(self, id_: str) -> list[str]:
        """What stands in the consumers' Secrets."""
        found = []
        for consumer in self.inventory.credentials[id_].consumers:
            place = consumer.secret
            data = self.cluster.get(f"/api/v1/namespaces/{place.namespace}/secrets/{place.name}")["data"]
            found += [base64.b64decode(data[key]).decode() for key in place.fields]
        return found

    def wanted_copies(self, id_: str) -> list[str]:
        """What has to stand there, by the inventory's templates and the current value."""
        current = self.stored(id_).credential
        words = {"username": current.username, "password": current.password}
        words["password_url"] = quote(current.password, safe="")
        consumers = self.inventory.credentials[id_].consumers
        return [template.format(**words) for consumer in consumers for template in consumer.secret.fields.values()]

    def revisions(self) -> dict[str, str]:
        """The resource version of all that a rotation may write; equal means untouched."""
        paths = ["/api/v1/secrets", "/api/v1/namespaces/infra-ops/configmaps"]
        found = {
            f"{path} {item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for path in paths
            for item in self.cluster.list(path)
            if not item["metadata"]["name"].startswith("evidence-")
        }
        for item in self.cluster.list("/apis/apps/v1/deployments"):
            metadata = item["metadata"]
            found[f"Deployment {metadata['namespace']}/{metadata['name']}"] = str(metadata["generation"])
        return found

    def journal(self, run: str) -> list[Entry]:
        """What the run wrote. `run` is a run id of rotate_credentials."""
        return RunJournal(self.cluster, f"{DAG}/{run}").entries()


@contextmanager
def managed(root: Path, state: dict[str, Any]) -> Iterator[Managed]:
    """The credentials of the lab at `root`. The clients find their servers by the environment, for the whole block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFRA_OPS_INCLUDE", str(root / "include"))
        patch.setenv("KUBECONFIG", state["kubeconfig"])
        patch.setenv("VAULT_ADDR", state["addresses"]["openbao"])
        patch.setenv("VAULT_CACERT", state["certificate_authority"])
        patch.setenv("INFRA_OPS_CACERT", state["certificate_authority"])
        inventory = include.inventory()
        vault = RootVault((root / "credentials" / "openbao_root").read_text().strip())
        yield Managed(inventory, Kv(vault, inventory.store.mount), Cluster())
