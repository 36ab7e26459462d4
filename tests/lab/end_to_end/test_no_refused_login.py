"""Nobody who uses a credential as it should be used is refused while it is rotated; the plain way refuses many."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra_ops.clients.postgres import Server, literal, quoted
from infra_ops.facts.workloads import Workload, rollout
from infra_ops.models.services import Postgres
from tests.lab.end_to_end import login_client
from tests.lab.end_to_end.airflow import RUNS, Airflow
from tests.lab.end_to_end.conftest import Lab, Rotated, wait_until
from tests.lab.end_to_end.managed import Managed

PLAIN = "by-the-plain-way"


@dataclass(frozen=True)
class Client:
    """A Deployment that logs in, and the claim to which it writes what it counted."""

    kind: str
    namespace: str
    secret: str
    claims: Path

    @property
    def folder(self) -> Path:
        """Where the lab's kubelet keeps the claim."""
        return self.claims / self.namespace / self.workload.name

    @property
    def workload(self) -> Workload:
        return Workload("Deployment", self.namespace, f"login-client-{self.kind}")

    def manifests(self) -> list[dict[str, Any]]:
        name = {"name": self.workload.name}
        labels = {"app.kubernetes.io/name": self.workload.name}
        container = {
            "name": "client",
            "image": "infra-ops/toolbox:0.1.0",
            "command": ["python", login_client.__file__, self.kind, "/etc/login", "/counted"],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "volumeMounts": [
                {"name": "login", "mountPath": "/etc/login"},
                {"name": "counted", "mountPath": "/counted"},
            ],
        }
        volumes = [
            {"name": "login", "secret": {"secretName": self.secret}},
            {"name": "counted", "persistentVolumeClaim": {"claimName": self.workload.name}},
        ]
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
        storage = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return [
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": name, "spec": storage},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": spec},
        ]

    @property
    def rate(self) -> float:
        """Logins a second that the machine held before."""
        return float((self.folder / "rate").read_text())

    def lines(self) -> list[dict[str, Any]]:
        """What all of its pods counted, in the order of time."""
        texts = [file.read_text() for file in self.folder.glob("*.jsonl")]
        whole = [line for text in texts for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return sorted((json.loads(line) for line in whole), key=lambda line: line["end"])


@dataclass(frozen=True)
class Counted:
    """The answers between two moments; `slowest` login and longest `silence` between two seconds' lines, in seconds."""

    answers: Counter[str]
    slowest: float
    silence: float

    @classmethod
    def between(cls, client: Client, start: float, end: float) -> Counted:
        lines = [line for line in client.lines() if start <= line["end"] <= end + 1]
        ends = [start, *(line["end"] for line in lines), end]
        answers: Counter[str] = sum((Counter(line["answers"]) for line in lines), Counter())
        silence = max(later - former for former, later in pairwise(ends))
        return cls(answers, max(line["slowest"] for line in lines), silence)

    @property
    def refused(self) -> int:
        return sum(count for answer, count in self.answers.items() if answer.startswith("refused"))


@pytest.fixture(scope="module")
def clients(lab: Lab, rotated: Rotated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Client]]:
    """Both have found out how fast the machine is, and go at half of that."""
    claims = lab.root / "data" / "kubelet" / "claims"
    clients = [
        Client("postgres", "financial-screener", "screener-database", claims),
        Client("flower", "monitoring", "flower-celery-probe", claims),
    ]
    file = tmp_path_factory.mktemp("clients") / "client.yaml"
    for client in clients:  # one after the other, so that neither measures the other
        file.write_text(yaml.safe_dump_all(client.manifests()))
        lab.kubectl("-n", client.namespace, "apply", "-f", str(file))
        wait_until(lambda client=client: bool(client.lines()), f"the {client.kind} client logs in")  # type: ignore[misc]
    yield clients
    for client in clients:
        lab.kubectl("-n", client.namespace, "delete", f"deployment/{client.workload.name}")


def test_a_rotation_refuses_nobody(lab: Lab, airflow: Airflow, credentials: Managed, clients: list[Client]) -> None:
    """From the first effect to the end of retire."""
    run = lab.rotate(force=True).run
    start = datetime.fromisoformat(credentials.journal(run)[0].at).timestamp()
    end = datetime.fromisoformat(airflow.call("GET", f"{RUNS}/{run}/taskInstances/retire")["end_date"]).timestamp()
    wait_until(lambda: all(client.lines()[-1]["end"] > end for client in clients), "the clients go on")
    for client in clients:
        counted = Counted.between(client, start, end)
        _show("rotate_credentials", client, counted)
        assert counted.answers["accepted"] > 0
        assert counted.refused == 0


@pytest.mark.parametrize(("number", "code"), [(0, "28P01"), (1, "401")], ids=["postgres", "flower"])
def test_the_plain_way_refuses_the_same_client(
    lab: Lab, credentials: Managed, clients: list[Client], number: int, code: str
) -> None:
    """Changing the password first and telling everybody after it, as people do: the same client notices."""
    client, id_ = clients[number], credentials.ids[number]
    stored = credentials.stored(id_).credential
    start = client.lines()[-1]["end"]
    try:
        plainly_change(credentials, client, stored.username, PLAIN)
        wait_until(lambda: client.lines()[-1]["answers"].keys() == {"accepted"}, "the client is let in again")
    finally:
        plainly_change(credentials, client, stored.username, stored.password)
    counted = Counted.between(client, start, client.lines()[-1]["end"])
    _show("the plain way", client, counted)
    assert counted.answers[f"refused {code}"] > 0


def plainly_change(credentials: Managed, client: Client, username: str, password: str) -> None:
    """First the service, then the Secret, then a restart of who reads it; each as soon as the former is done."""
    if client.kind == "postgres":
        target = credentials.inventory.credentials["postgres_appuser"].target
        assert isinstance(target, Postgres)
        server = Server(target.host, target.port, credentials.stored(target.admin).credential)
        server.execute([f"alter role {quoted(username)} password {literal(password)}"])
        key = "PGPASSWORD"
    else:
        put(credentials, "celery", "flower-auth", "FLOWER_BASIC_AUTH", f"{username}:{password}")
        restart(credentials, Workload("Deployment", "celery", "flower"))
        key = "password"
    put(credentials, client.namespace, client.secret, key, password)
    restart(credentials, client.workload)


def put(credentials: Managed, namespace: str, secret: str, key: str, value: str) -> None:
    data = {key: base64.b64encode(value.encode()).decode()}
    credentials.cluster.merge(f"/api/v1/namespaces/{namespace}/secrets/{secret}", {"data": data})


def restart(credentials: Managed, workload: Workload) -> None:
    annotations = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
    credentials.cluster.merge(workload.path, {"spec": {"template": {"metadata": {"annotations": annotations}}}})
    wait_until(lambda: not rollout(credentials.cluster, workload).missing, f"{workload} has started again")


def _show(way: str, client: Client, counted: Counted) -> None:
    print(
        f"{way}, {client.kind} at {client.rate / 2:.0f} of {client.rate:.0f} logins a second: {dict(counted.answers)}, "
        f"slowest {counted.slowest:.2f} s, longest silence {counted.silence:.2f} s"
    )
