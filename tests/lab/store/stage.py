"""The store's runbooks carried out without Airflow: as its tasks do it, each with an operation made anew."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra_ops import include
from infra_ops.clients.applying import Deployer
from infra_ops.clients.effects import Effects
from infra_ops.clients.openbao import OpenBao
from infra_ops.facts import openbao as facts
from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import carry_out, refuse_third_states
from infra_ops.operations.operation import Operation, Request
from infra_ops.operations.store import measuring
from infra_ops.operations.store.deploy import DeployOpenbao
from infra_ops.operations.store.secrets import TRUSTING, authorities
from tests.lab.cluster import Cluster
from tests.lab.kubelet.support import Kubelet, wait_until
from tests.lab.manifests.chapter import PROJECT, run

ACCOUNTS = ("platform", "backups", "destroyer", "credentials", "upkeep")
MANIFESTS = PROJECT / "include" / "manifests" / "infra-ops"


@dataclass
class Pages:
    """A journal in memory."""

    lines: list[str] = field(default_factory=list)

    def write(self, step: str, what: str) -> None:
        self.lines.append(f"{step}: {what}")


@dataclass
class Stage:
    cluster: Cluster
    kubelet: Kubelet
    backups: Path
    journal: Pages = field(default_factory=Pages)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """What a worker of the area platform has: its kubeconfig, and where backups are kept."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(self.cluster.kubeconfig))
            patch.setenv("INFRA_OPS_BACKUPS", str(self.backups))
            yield

    def prepare(self) -> None:
        """What an administrator applies, and what stands on the cluster before."""
        spaces = {item["metadata"]["name"]: item for item in self._manifests() if item["kind"] == "Namespace"}
        for name in self.namespaces():
            if Deployer().find(f"/api/v1/namespaces/{name}") is None:  # other tests want them too
                Deployer().create("/api/v1/namespaces", spaces.get(name, {"metadata": {"name": name}}))
        self.cluster.namespaces += self.namespaces()
        folder = self.backups / "applied"
        folder.mkdir()
        known = self.namespaces()
        wanted = [
            item
            for item in self._manifests()
            if item["kind"] != "Namespace" and item["metadata"].get("namespace", "openbao") in known
        ]
        (folder / "all.yaml").write_text(yaml.safe_dump_all(wanted))
        run("kubectl apply --server-side -f all.yaml", folder, KUBECONFIG=str(self.cluster.kubeconfig))
        shutil.rmtree(folder)

    def as_account(self, area: str) -> None:
        """From now on everything is done as the account of an area."""
        token = run(
            f"kubectl create token infra-ops-{area} -n airflow --duration=2h",
            self.kubelet.root.parent,
            KUBECONFIG=str(self.cluster.kubeconfig),
        ).strip()
        path = self.kubelet.root.parent / f"{area}.kubeconfig"
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["certificate-authority"] = str(self.cluster.ca)
        config["users"][0]["user"] = {"token": token}
        path.write_text(yaml.safe_dump(config))
        os.environ["KUBECONFIG"] = str(path)

    def as_administrator(self) -> None:
        os.environ["KUBECONFIG"] = str(self.cluster.kubeconfig)

    def operation(self, plan: Plan | None = None) -> DeployOpenbao:
        return DeployOpenbao(Request("deploy_openbao/test", {}, include.inventory(), plan))

    def plan(self) -> Plan:
        """What the tasks `preflight` and `plan` do."""
        operation = self.operation()
        assert operation.preflight() == []
        work = operation.work()
        refuse_third_states(work.actions())
        return work.plan("deploy_openbao")

    def deploy(self, effects: Effects | None = None) -> Plan:
        """The whole runbook, up to and without `verify`."""
        plan = self.plan()
        for group in ("keys", "apply", "serves", "set_up", "hand_over"):
            if group == "serves" and plan.steps:
                self.wait_until_it_serves()
                continue
            if group != "serves":
                self.carry_out(self.operation(plan), plan, group, effects)
        return plan

    def carry_out(self, operation: Operation, plan: Plan, group: str, effects: Effects | None = None) -> None:
        """What a task `Apply` does."""
        work = operation.work()
        assert work.plan(plan.runbook).id == plan.id
        carry_out(work.groups[group], effects or self.effects())

    def carry_out_once(self, plan: Plan, step: str) -> None:
        """One step alone."""
        for actions in self.operation(plan).work().groups.values():
            carry_out([action for action in actions if action.step.id == step], self.effects())

    def effects(self) -> Effects:
        return Effects(self.journal, still_allowed=lambda: None)

    def wait_until_it_serves(self, seconds: float = 90) -> None:
        """What the CheckSensor does."""
        deadline = time.monotonic() + seconds
        while (outcome := self.serves()).state is not State.PASS:
            assert time.monotonic() < deadline, outcome.sentence()
            time.sleep(0.2)

    def serves(self) -> Outcome:
        return measuring.measure_serves("openbao", {"run": "test/1"})

    def store(self, area: str = "", role: str = "") -> OpenBao:
        """The store, with a login of an area's account if one is named."""
        store = facts.server(Deployer())
        if area:
            token = Deployer().token_of("airflow", f"infra-ops-{area}")
            store.log_in(role or f"infra-ops-{area}", token)
        return store

    def secret(self, name: str) -> dict[str, str] | None:
        """A Secret of the store, decoded, as far as it is text."""
        found = Deployer().find(f"{facts.CORE}/secrets/{name}")
        if found is None:
            return None
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in found["data"].items()}

    def remove(self) -> None:
        """Everything in the namespace openbao, claims and their data included."""
        cluster = Deployer()
        for collection in (
            "/apis/apps/v1/namespaces/openbao/statefulsets",
            "/apis/networking.k8s.io/v1/namespaces/openbao/networkpolicies",
            f"{facts.CORE}/services",
            f"{facts.CORE}/secrets",
            f"{facts.CORE}/configmaps",
            f"{facts.CORE}/persistentvolumeclaims",
            f"{facts.CORE}/serviceaccounts",
        ):
            for item in list(cluster.list(collection)):
                if item["metadata"]["name"] not in ("kube-root-ca.crt", "default"):
                    cluster.delete(f"{collection}/{item['metadata']['name']}")
        for pod in list(cluster.list(f"{facts.CORE}/pods")):
            cluster.delete(f"{facts.CORE}/pods/{pod['metadata']['name']}")
        wait_until(lambda: not list(cluster.list(f"{facts.CORE}/pods")), 60)
        claims = self.kubelet.root / "claims" / "openbao"
        if claims.exists():
            shutil.rmtree(claims)
        for namespace in TRUSTING:
            cluster.delete(authorities(namespace))

    @staticmethod
    def namespaces() -> list[str]:
        """Where the store is, where it is trusted, and where runs leave their records."""
        return ["openbao", "infra-ops", *TRUSTING]

    def _manifests(self) -> list[dict[str, Any]]:
        names = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
        return [item for name in names for item in yaml.safe_load_all((MANIFESTS / name).read_text())]
