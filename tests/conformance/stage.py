"""One credential of one service, adopted, with one consumer, in a namespace, a store and an API server that are real.

No kubelet runs here: `settle` does what controllers and kubelet do between the stages of a rotation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra_ops.checks import credentials as checks
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.models.credentials import Answer, Credential, Stored
from infra_ops.models.inventory import Inventory
from infra_ops.models.outcomes import State
from infra_ops.operations.actions import StepFailed, carry_out
from infra_ops.operations.adoption import adopt
from infra_ops.operations.rotation.due import Due, due, rollbacks
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.progress import moving
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.strangers import refuse_strangers
from tests.conformance.services import Service
from tests.conformance.serving import Clock
from tests.lab.rotation.stage import Pages, deployment, inventory


@dataclass
class Stage:
    id: str
    service: Service
    kv: Kv
    api: Cluster
    namespace: str
    clock: Clock
    journal: Pages = field(default_factory=Pages)
    stuck: bool = False
    """The consumer does not start again: it stays with the value that it has."""
    running: Credential = field(default_factory=lambda: Credential("", ""))
    """What the consumer read when it started last."""
    _worked: str = ""

    @property
    def inventory(self) -> Inventory:
        secret = {"namespace": self.namespace, "name": "copy", "fields": self.service.fields}
        consumers = [{"secret": secret, "keeps_session": False}]
        return inventory(
            self.namespace,
            {
                **{id_: {"title": "Used only"} for id_ in self.service.others()},
                self.id: {"title": "A login", "target": self.service.target, "consumers": consumers},
            },
            **self.service.section(),
        )

    @property
    def estate(self) -> Estate:
        return Estate(self.inventory, self.kv, self.api)

    def set_up(self) -> None:
        """The copy, its reader, the service's own workload where it has one, and all logins adopted."""
        first = Credential(self.service.username, self.service.old)
        data = {key: _encoded(_filled(value, first)) for key, value in self.service.fields.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "copy"}, "data": data}
        self.api.create(f"/api/v1/namespaces/{self.namespace}/secrets", secret)
        self._deploy("consumer", "copy")
        if "secret" in self.service.target:
            self._deploy("service", self.service.target["secret"])
        for id_, credential in self.service.others().items():
            if self.kv.read(f"svc/{id_}") is None:
                adopt(id_, credential, self.estate.proof(id_), self.kv)
        adopt(self.id, first, self.estate.proof(self.id), self.kv)
        self.settle()

    def settle(self) -> None:
        """Every Deployment has rolled out, and whoever was restarted has read its Secret."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        for item in self.api.list(path):
            name, generation = item["metadata"]["name"], item["metadata"]["generation"]
            if item.get("status", {}).get("observedGeneration") == generation or (name == "consumer" and self.stuck):
                continue
            if name == "service":
                self.service.restarted()
            else:
                self.running = self.copy()
            counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
            self.api.merge(f"{path}/{name}/status", {"status": {"observedGeneration": generation, **counts}})

    def due(self, *, force: bool = False, rollback: bool = False) -> Due:
        if rollback:
            return rollbacks(self.estate, [self.id])
        return due(self.estate, [self.id], now=datetime.now(UTC), force=force)

    def rotation(self, *, force: bool = False, rollback: bool = False) -> Rotation:
        (rotation,) = self.due(force=force, rollback=rollback).rotations
        return rotation

    def effects(self) -> Effects:
        return Effects(self.journal, still_allowed=lambda: None)

    def rotate(
        self,
        effects: Effects | None = None,
        *,
        force: bool = False,
        rollback: bool = False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """What a run of the runbook does, with its sensors; everything that is due."""
        found = self.due(force=force, rollback=rollback)
        refuse_strangers(self.estate, found.rotations)
        for rotation in found.rotations:
            self.carry_out(rotation, effects or self.effects(), meanwhile)

    def carry_out(self, rotation: Rotation, effects: Effects, meanwhile: Callable[[], None]) -> None:
        for group in (rotation.introduce, rotation.switch, self.moved(rotation), rotation.retire, rotation.finish):
            carry_out(group(), effects)
            self.settle()
            meanwhile()

    def carry_out_up_to_the_proof(self, rotation: Rotation) -> None:
        for group in (rotation.introduce, rotation.switch, rotation.retire):
            carry_out(group(), self.effects())
            self.settle()

    def moved(self, rotation: Rotation) -> Callable[[], list[Any]]:
        """The sensor: raises StepFailed instead of waiting."""

        def look() -> list[Any]:
            outcome = checks.moved(self.id, moving(rotation, self.api), now=datetime.now(UTC), run="test/1")
            if outcome.state is not State.PASS:
                raise StepFailed(outcome.sentence())
            return []

        return look

    def stored(self, version: int | None = None) -> Stored:
        found = self.kv.read(f"svc/{self.id}", version)
        assert found is not None
        return found

    def passwords(self) -> list[str]:
        """All values that the store has now."""
        found = [self.kv.read(path, n) for path, n in ((f"svc/{self.id}", 1), (f"svc/{self.id}", 2))]
        found.append(self.kv.read(f"rotation/pending/{self.id}"))
        return [stored.credential.password for stored in found if stored]

    def log_in(self, credential: Credential) -> str:
        """What the service says. The test's own logins are not those that a service counts within a second."""
        self.clock.ahead += 2
        login = self.estate.target(self.id).log_in(credential.username, credential.password)
        self.clock.ahead += 2
        return f"{login.answer.value} {login.code}".rstrip()

    def accepts(self, credential: Credential) -> bool:
        return self.log_in(credential).startswith(Answer.ACCEPTED)

    def a_stored_login_works(self) -> bool:
        """What must hold at every instant. The value that worked last is asked first: a wrong login may be counted."""
        found = [self.kv.read(f"{path}/{self.id}") for path in ("svc", "rotation/pending")]
        candidates = [stored.credential for stored in found if stored]
        for credential in sorted(candidates, key=lambda each: each.password != self._worked):
            if self.accepts(credential):
                self._worked = credential.password
                return True
        return False

    def copy(self) -> Credential:
        """What stands in the consumer's Secret."""
        data = self.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/copy")["data"]
        return Credential(_decoded(data["user"]), _decoded(data["password"]))

    @property
    def undisturbed(self) -> dict[str, Any]:
        """The end state of a first rotation."""
        return {
            "version": 2,
            "rotation": "X:2",
            "user": self.service.end_user,
            "pending": None,
            "new": True,
            "old": f"refused {self.service.refusal}",
            "copy": True,
            "consumer": True,
        }

    def end_state(self) -> dict[str, Any]:
        """What a rotation leaves behind, without the values themselves."""
        current, copy = self.stored(), self.copy()
        credential = current.credential
        return {
            "version": current.version,
            "rotation": credential.rotation_id.partition("@")[0].replace(self.id, "X"),
            "user": credential.username.replace(self.service.username, "X"),
            "pending": self.kv.read(f"rotation/pending/{self.id}"),
            "new": self.accepts(credential),
            "old": self.log_in(Credential(self.service.username, self.service.old)),
            "copy": (copy.username, copy.password) == (credential.username, credential.password),
            "consumer": self.accepts(self.running),
        }

    def relative_end_state(self) -> dict[str, Any]:
        """The same for a rotation that is not the first, in words that are equal after each; asked a day later, so that
        the test's wrong logins are not counted with the rotation's.
        """
        self.clock.ahead += 86400
        current, copy = self.stored(), self.copy()
        credential, old = current.credential, self.stored(current.version - 1).credential
        return {
            "made from the version before": credential.base_version == current.version - 1,
            "another value": credential.password != old.password,
            "pending": self.kv.read(f"rotation/pending/{self.id}"),
            "probed": self.kv.notes(f"svc/{self.id}").get("probed", "").partition(" ")[0] == credential.rotation_id,
            "new": self.accepts(credential),
            "old": self.log_in(old),
            "copy": (copy.username, copy.password) == (credential.username, credential.password),
            "consumer": self.accepts(self.running),
        }

    def clear(self) -> None:
        """What is left would be searched for copies in every later test, and the store would know the login."""
        for collection in ("api/v1", "secrets"), ("api/v1", "configmaps"), ("apis/apps/v1", "deployments"):
            path = f"/{collection[0]}/namespaces/{self.namespace}/{collection[1]}"
            for item in list(self.api.list(path)):
                self.api.delete(f"{path}/{item['metadata']['name']}")
        for id_ in (self.id, *self.service.others()):
            self.kv.delete(f"svc/{id_}")

    def _deploy(self, name: str, secret: str) -> None:
        self.api.create(f"/apis/apps/v1/namespaces/{self.namespace}/deployments", deployment(name, secret))


def _filled(template: str, credential: Credential) -> str:
    return template.format(username=credential.username, password=credential.password)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
