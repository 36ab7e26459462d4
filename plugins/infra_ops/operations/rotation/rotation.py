"""The rotation of one credential, step by step, resumable after any interruption.

AWS' create, set, test and finish on two paths of the store: `rotation/pending/<id>` is written before anything else
knows the new value, and `svc/<id>` moves only when the service accepts it. Facts: security-and-backup 2.0.
"""

from __future__ import annotations

from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.facts.workloads import rollout
from infra_ops.models.credentials import Answer, Credential, Stored
from infra_ops.models.inventory import CredentialSpec
from infra_ops.models.plans import Step
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action, StepFailed
from infra_ops.operations.rotation.consumers import refuse_fixed_usernames, sync
from infra_ops.operations.rotation.passwords import new_password
from infra_ops.operations.rotation.restarts import restarts
from infra_ops.operations.rotation.targets.target import Change, Target

PROBED = "probed"


class ProofFailed(Refusal):
    """The service does not treat the new, the old or a junk password as it must."""


class Rotation:
    """From stored version N of a credential to version N+1. The same steps whatever has been done of them already."""

    def __init__(
        self, credential_id: str, spec: CredentialSpec, target: Target, kv: Kv, cluster: Cluster, old: Stored
    ) -> None:
        self.id = credential_id
        self.target = target
        self.change = Change(credential_id, old, self._find_new)
        self.spec = spec
        self._kv = kv
        self._cluster = cluster
        self._current = f"svc/{credential_id}"
        self._pending = f"rotation/pending/{credential_id}"

    def refuse_if_impossible(self) -> None:
        """Raises CannotRotate when a consumer could not follow. Asked before a plan is shown."""
        username = self.change.old.credential.username
        if self.target.next_username(username) != username:
            refuse_fixed_usernames(self._cluster, self.spec.consumers, username)

    def rolling(self) -> dict[str, str]:
        """The service's own workloads that do not run their newest template alone yet, and what each lacks."""
        missing = {str(item): rollout(self._cluster, item).missing for item in self.target.workloads()}
        return {workload: what for workload, what in missing.items() if what}

    def introduce(self) -> list[Action]:
        """The service accepts the new value too."""
        return [
            *self.target.prepare(self.change),
            *self.reversible(),
        ]

    def reversible(self) -> list[Action]:
        """What a failing run takes back: all of `introduce` but the preparation, which harms nobody."""
        return [self._stage(), *self.target.introduce(self.change)]

    def switch(self) -> list[Action]:
        """The new value becomes the current one, and every consumer gets it and starts again."""
        actions = [self._promote()]
        for consumer in self.spec.consumers:
            secret = consumer.secret
            actions.append(sync(self._cluster, self.change, consumer))
            actions += restarts(self._cluster, self.change, secret.namespace, secret.name, stage="moved")
        return actions

    def retire(self) -> list[Action]:
        """The service refuses the old value."""
        return list(self.target.retire(self.change))

    def finish(self) -> list[Action]:
        """The proof, once, and the end of the pending path."""
        return [self._probe(), self._close()]

    def actions(self) -> list[Action]:
        """All of it, in order."""
        return [*self.introduce(), *self.switch(), *self.retire(), *self.finish()]

    def _stage(self) -> Action:
        step = Step(f"{self.id}.stage", f"store path {self._pending}", "nothing", f"{self.change.new_version}")

        def look() -> str:
            if self.is_promoted():
                return step.after
            pending = self._kv.read(self._pending)
            if pending is None:
                return step.before
            ours = pending.credential.rotation_id == self.change.rotation_id
            return step.after if ours else f"the value of rotation {pending.credential.rotation_id!r}"

        def do(effects: Effects) -> None:
            credential = Credential(
                self.target.next_username(self.change.old.credential.username),
                new_password(),
                self.change.rotation_id,
                self.change.old.version,
            )
            effects.do(step.id, "store the new value", lambda: self._kv.write(self._pending, credential, replaces=0))

        def undo(effects: Effects) -> None:
            effects.do(step.id, "delete the new value", lambda: self._kv.delete(self._pending))

        return Action(step, look, do, undo)

    def _promote(self) -> Action:
        step = Step(
            f"{self.id}.promote", f"store path {self._current}", self.change.old_version, self.change.new_version
        )

        def look() -> str:
            if self.is_promoted():
                return step.after
            current = self._kv.read(self._current)
            return f"version {current.version}" if current else "nothing"

        def do(effects: Effects) -> None:
            effects.do(
                step.id,
                "make the new value the current one",
                lambda: self._kv.write(self._current, self.change.new(), replaces=self.change.old.version),
            )

        return Action(step, look, do)

    def _probe(self) -> Action:
        """Wrong logins are counted by many services, so they are tried once and the answer is written down."""
        step = Step(
            f"{self.id}.probe",
            self.target.where,
            before="nobody has tried the old value",
            after="accepts the new value, refuses the old one and junk",
        )

        def look() -> str:
            mark = self._kv.notes(self._current).get(PROBED, "")
            return step.after if mark.partition(" ")[0] == self.change.rotation_id else step.before

        def do(effects: Effects) -> None:
            for workload, missing in self.rolling().items():
                raise StepFailed(f"{workload}: {missing}; a login tried now may reach what is about to end.")
            result = effects.do(step.id, "try new, old and junk", self._try_logins)
            note = {PROBED: f"{self.change.rotation_id} {result}"}
            effects.do(step.id, "note the answers", lambda: self._kv.note(self._current, note))

        return Action(step, look, do)

    def _try_logins(self) -> str:
        new, old = self.change.new(), self.change.old.credential
        answers = {
            "new": (self.target.log_in(new.username, new.password), Answer.ACCEPTED),
            "old": (self.target.log_in(old.username, old.password), Answer.REFUSED),
            "junk": (self.target.log_in(new.username, new_password()), Answer.REFUSED),
        }
        wrong = [
            f"{name} password: {login.answer.value} {login.code}".rstrip()
            for name, (login, wanted) in answers.items()
            if login.answer is not wanted
        ]
        if wrong:
            raise ProofFailed(f"{self.target.where} does not behave as it must after the rotation: {', '.join(wrong)}.")
        return ", ".join(f"{name} {login.answer.value} {login.code}".rstrip() for name, (login, _) in answers.items())

    def _close(self) -> Action:
        step = Step(f"{self.id}.close", f"store path {self._pending}", self.change.new_version, "nothing")

        def look() -> str:
            return step.before if self._kv.read(self._pending) else step.after

        def do(effects: Effects) -> None:
            effects.do(step.id, "delete the pending copy", lambda: self._kv.delete(self._pending))

        return Action(step, look, do)

    def _find_new(self) -> Credential | None:
        """The new value, wherever the rotation has brought it."""
        for path in (self._pending, self._current):
            stored = self._kv.read(path)
            if stored and stored.credential.rotation_id == self.change.rotation_id:
                return stored.credential
        return None

    def newest(self) -> Credential:
        """The new value, or the old one as long as no new one is stored."""
        return self.change.find_new() or self.change.old.credential

    def current(self) -> Credential:
        """What consumers are to use now: the new value from its promotion on."""
        return self.change.new() if self.is_promoted() else self.change.old.credential

    def is_promoted(self) -> bool:
        """Whether the new value has become the current one: from here there is no way back."""
        current = self._kv.read(self._current)
        return current is not None and current.credential.rotation_id == self.change.rotation_id
