"""Flower: accepts a list of logins, so the old and the new password overlap until every client has moved.

FLOWER_BASIC_AUTH is read at start and cannot be reloaded, so each change of it is followed by a rollout.
Facts: security-and-backup 2.5; https://flower.readthedocs.io/en/latest/config.html#basic-auth
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.clients.http import log_in
from infra_ops.clients.kubernetes import Cluster
from infra_ops.facts.readers import readers
from infra_ops.facts.workloads import Workload
from infra_ops.models.copies import LAST_APPLIED, Place
from infra_ops.models.credentials import Credential, Login
from infra_ops.models.plans import Step
from infra_ops.models.services import Flower
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.restarts import restart
from infra_ops.operations.rotation.targets.target import CannotRotate, Change, Target


class FlowerTarget(Target):
    def __init__(self, spec: Flower, cluster: Cluster) -> None:
        self._spec = spec
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{spec.namespace}/secrets/{spec.secret}"
        self.where = f"Flower {spec.url}"

    def introduce(self, change: Change) -> Sequence[Action]:
        return [self._accept(change), *self._restarts(change, "accepting")]

    def reversible(self, change: Change) -> Sequence[Action]:
        """First the list, then the restarts: the other way round Flower would start again with the new login in it."""
        return [*self._restarts(change, "accepting"), self._accept(change)]

    def _accept(self, change: Change) -> Action:
        """Old and new together; whoever else may log in stays."""
        step = Step(
            f"{change.credential_id}.set",
            f"Secret {self._spec.namespace}/{self._spec.secret}, key {self._spec.key}",
            before=f"accepts {change.old_version}",
            after=f"accepts {change.new_version}",
        )
        old = change.old.credential

        def look() -> str:
            logins, new = self._logins(self._secret()), change.find_new()
            if new and _pair(new) in logins:
                return step.after
            return step.before if _pair(old) in logins else "accepts neither"

        def both(effects: Effects) -> None:
            self._write(effects, step.id, "accept the new login beside the old one", add=[_pair(change.new())])

        def without_new(effects: Effects) -> None:
            self._write(effects, step.id, "accept the new login no longer", drop=_pair(change.new()))

        return Action(step, look, both, undo=without_new)

    def retire(self, change: Change) -> Sequence[Action]:
        step = Step(
            f"{change.credential_id}.retire",
            f"Secret {self._spec.namespace}/{self._spec.secret}, key {self._spec.key}",
            before=f"accepts {change.old_version}",
            after=f"does not accept {change.old_version}",
        )

        def look() -> str:
            return step.before if _pair(change.old.credential) in self._logins(self._secret()) else step.after

        def do(effects: Effects) -> None:
            self._write(effects, step.id, "accept the old login no longer", drop=_pair(change.old.credential))

        return [Action(step, look, do), *self._restarts(change, "refusing")]

    def log_in(self, username: str, password: str) -> Login:
        return log_in(f"{self._spec.url}/api/workers", username, password)

    def workloads(self) -> list[Workload]:
        return readers(self._cluster, self._spec.namespace, self._spec.secret)

    def own_places(self) -> list[Place]:
        return [Place("Secret", self._spec.namespace, self._spec.secret, self._spec.key)]

    def _restarts(self, change: Change, stage: str) -> list[Action]:
        return [restart(self._cluster, change, workload, stage) for workload in self.workloads()]

    def _secret(self) -> dict[str, Any]:
        return self._cluster.get(self._path)

    def _logins(self, secret: dict[str, Any]) -> list[str]:
        encoded = (secret.get("data") or {}).get(self._spec.key)
        if not encoded:
            raise CannotRotate(
                f"The Secret {self._spec.namespace}/{self._spec.secret} has no key {self._spec.key}: without it Flower "
                "refuses everybody. Correct the inventory or the Secret."
            )
        return base64.b64decode(encoded).decode().split(",")

    def _write(self, effects: Effects, step: str, what: str, *, add: Sequence[str] = (), drop: str = "") -> None:
        """The list that is there now, with one login more or less; refused by the server when somebody was faster."""
        secret = self._secret()
        logins = [*(login for login in self._logins(secret) if login != drop), *add]
        value = base64.b64encode(",".join(logins).encode()).decode()
        metadata = {"resourceVersion": secret["metadata"]["resourceVersion"], "annotations": {LAST_APPLIED: None}}
        patch = {"metadata": metadata, "data": {self._spec.key: value}}
        effects.do(step, what, lambda: self._cluster.merge(self._path, patch))


def _pair(credential: Credential) -> str:
    return f"{credential.username}:{credential.password}"
