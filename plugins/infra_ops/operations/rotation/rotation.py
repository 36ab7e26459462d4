"""The rotation of one credential, step by step, resumable after any interruption.

AWS' create, set, test and finish on two paths of the store: `rotation/pending/<id>` is written before anything else
knows the new value, and `svc/<id>` moves only when the service accepts it. Facts: security-and-backup 2.0.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from infra_ops.clients.airflow import AirflowApi
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.facts.readers import readers
from infra_ops.facts.workloads import Workload, rollout
from infra_ops.models.credentials import Answer, Credential, Login, Stored
from infra_ops.models.inventory import CredentialSpec
from infra_ops.models.plans import Step
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action, StepFailed
from infra_ops.operations.rotation.connections import sync_connection
from infra_ops.operations.rotation.consumers import refuse_fixed_usernames, refuse_nobody, sync
from infra_ops.operations.rotation.passwords import new_password
from infra_ops.operations.rotation.restarts import restart
from infra_ops.operations.rotation.targets.target import CannotRotate, Change, Target

NO_TIME = timedelta(seconds=10)
# Notes on the paths of the store.
PROBED = "probed"  # on the current path: rotation, and the answers of its one probe
PROBING = "probing"  # on the current path: rotation, and when it began to try wrong logins
SETTING = "setting"  # on the pending path: the rotation that has begun to set its value in the service


def wait_until(moment: datetime) -> None:
    """Sleeps; for a probe that was interrupted, so that wrong logins of two tries are not counted together."""
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


class ProofFailed(Refusal):
    """The service does not treat the new, the old or a junk password as it must."""


class Rotation:
    """From stored version N of a credential to version N+1. The same steps whatever has been done of them already.

    The new value is a random one, or that of version N-1 (`rollback`).
    """

    def __init__(
        self,
        credential_id: str,
        spec: CredentialSpec,
        target: Target,
        kv: Kv,
        cluster: Cluster,
        old: Stored,
        *,
        api: AirflowApi | None = None,
        rollback: bool = False,
    ) -> None:
        self.id = credential_id
        self.target = target
        self.change = Change(
            credential_id, old, self._find_new, tried=self._tried, note_try=self._note_try, rollback=rollback
        )
        self.spec = spec
        self._kv = kv
        self._cluster = cluster
        self._api = api
        self._current = f"svc/{credential_id}"
        self._pending = f"rotation/pending/{credential_id}"

    def refuse_if_impossible(self) -> None:
        """Raises CannotRotate when the service or a consumer could not follow. Asked before a plan is shown."""
        if self.change.find_new() is None:
            self.target.refuse_if_unsupported(self.change.old.credential)
        refuse_nobody(self._cluster, self.spec.consumers)
        username = self.change.old.credential.username
        if self.target.next_username(username) != username:
            refuse_fixed_usernames(self._cluster, self.spec.consumers, username)

    def refuse_if_nothing_to_put_back(self) -> None:
        """Raises CannotRotate when a rollback has no earlier value to go back to."""
        if self.change.find_new() is None:
            self._former()

    def rolling(self) -> dict[str, str]:
        """The service's own workloads that do not run their newest template alone yet, and what each lacks."""
        missing = {str(item): rollout(self._cluster, item).missing for item in self.target.workloads()}
        return {workload: what for workload, what in missing.items() if what}

    def introduce(self) -> list[Action]:
        """The service accepts the new value too."""
        return [
            *self.target.prepare(self.change),
            self._stage(),
            *self.target.introduce(self.change),
        ]

    def reversible(self) -> list[Action]:
        """What a failing run takes back until the promotion: all but the preparation, which harms nobody."""
        return [self._stage(), *self.target.reversible(self.change)]

    def switch(self) -> list[Action]:
        """The new value becomes the current one, and every consumer gets it and starts again."""
        actions = [*self.target.switch(self.change), self.promote()]
        for connection in self.spec.connections:
            actions.append(sync_connection(self._api, self._kv, self.change, connection))
        actions += [sync(self._cluster, self.change, consumer) for consumer in self.spec.consumers]
        # All copies first: a workload may read two of them.
        for workload in self.restarted():
            actions.append(restart(self._cluster, self.change, workload, "moved"))
        return actions

    def restarted(self) -> list[Workload]:
        """The workloads that read a copy and have to start again to know the new value, each once."""
        found = {
            workload
            for consumer in self.spec.consumers
            if consumer.restart
            for workload in readers(self._cluster, consumer.secret.namespace, consumer.secret.name)
        }
        return sorted(found, key=str)

    def retire(self) -> list[Action]:
        """The service refuses the old value."""
        return list(self.target.retire(self.change))

    def finish(self) -> list[Action]:
        """The proof, once, and the end of the pending path."""
        return [self.probe(), self.close()]

    def actions(self) -> list[Action]:
        """All of it, in order."""
        return [*self.introduce(), *self.switch(), *self.retire(), *self.finish()]

    def _stage(self) -> Action:
        what = f"{self.change.new_version}, the value of version {self._restored}" if self.change.rollback else ""
        step = Step(f"{self.id}.stage", f"store path {self._pending}", "nothing", what or self.change.new_version)

        def look() -> str:
            if self.is_promoted():
                return step.after
            pending = self._kv.read(self._pending)
            if pending is None:
                return step.before
            ours = pending.credential.rotation_id == self.change.rotation_id
            return step.after if ours else f"the value of rotation {pending.credential.rotation_id!r}"

        def do(effects: Effects) -> None:
            credential = self._make()
            effects.do(step.id, "store the new value", lambda: self._kv.write(self._pending, credential, replaces=0))

        def undo(effects: Effects) -> None:
            effects.do(step.id, "delete the new value", lambda: self._kv.delete(self._pending))

        return Action(step, look, do, undo)

    def _make(self) -> Credential:
        """The new value: invented, or the one before the current. Raises CannotRotate when that is gone."""
        old = self.change.old.credential
        username = self.target.next_username(old.username)
        password = self._former().password if self.change.rollback else new_password(self.target.rules(old))
        return Credential(username, password, self.change.rotation_id, self.change.old.version)

    def _former(self) -> Credential:
        former = self._kv.read(self._current, self._restored) if self._restored else None
        if former is None:
            raise CannotRotate(f"{self.id} has no version before {self.change.old.version} that could be put back.")
        return former.credential

    @property
    def _restored(self) -> int:
        return self.change.old.credential.base_version

    def promote(self) -> Action:
        """The action from which there is no way back."""
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

    def probe(self) -> Action:
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
            self._wait_out_wrong_logins()
            if self.target.forgives:
                new = self.change.new()
                effects.do(step.id, "let wrong logins be forgotten", lambda: self.target.forgive(new))
            begun = {PROBING: f"{self.change.rotation_id} {datetime.now(UTC).isoformat()}"}
            effects.do(step.id, "note that wrong logins are being tried", lambda: self._kv.note(self._current, begun))
            result = effects.do(step.id, "try new, old and junk", self._try_logins)
            note = {PROBED: f"{self.change.rotation_id} {result}"}
            effects.do(step.id, "note the answers", lambda: self._kv.note(self._current, note))

        return Action(step, look, do)

    def _wait_out_wrong_logins(self) -> None:
        """Those of a proof that was interrupted must not be counted together with those of the next; nor those of
        anybody, where it takes no time to wait for that.
        """
        budget = self.target.budget
        rotation, _, began = self._kv.notes(self._current).get(PROBING, "").partition(" ")
        if budget and rotation == self.change.rotation_id:
            wait_until(datetime.fromisoformat(began) + budget.within)
        elif budget and budget.within <= NO_TIME:
            wait_until(datetime.now(UTC) + budget.within)

    def _try_logins(self) -> str:
        """The new value first: where it gets no answer, no wrong one is tried. And last: whoever is locked out by
        then is refused whatever he says, which proves nothing.
        """
        new, old = self.change.new(), self.change.old.credential
        tries = {
            "new": (new.username, new.password, Answer.ACCEPTED),
            "old": (old.username, old.password, Answer.REFUSED),
            "junk": (new.username, new_password(), Answer.REFUSED),
            "new again": (new.username, new.password, Answer.ACCEPTED),
        }
        answers = []
        for name, (username, password, wanted) in tries.items():
            login = self.target.log_in(username, password)
            said = f"{name} {login.answer.value} {login.code}".rstrip()
            if login.answer is Answer.UNREACHABLE:
                raise StepFailed(f"{self.target.where} did not answer a login: {said}.")
            if login.answer is not wanted:
                raise ProofFailed(f"{self.target.where} does not behave as it must after the rotation: {said}.")
            answers.append(said)
        return ", ".join(answers)

    def close(self) -> Action:
        """The action that ends the pending path."""
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

    def _tried(self) -> bool:
        return self.is_promoted() or self._kv.notes(self._pending).get(SETTING) == self.change.rotation_id

    def _note_try(self) -> None:
        self._kv.note(self._pending, {SETTING: self.change.rotation_id})

    def working(self) -> Login:
        """A login with a stored value that the service should take now: of the two, the one that it takes.

        The last answer, when it takes neither.
        """
        candidates = [self.current()]
        new = self.change.find_new()
        if not self.target.overlaps and new and not self.is_promoted():
            candidates.insert(0 if self._tried() else 1, new)
        for credential in candidates:
            login = self.target.log_in(credential.username, credential.password)
            if login.answer is not Answer.REFUSED:
                break
        return login

    def newest(self) -> Credential:
        """The new value, or the old one as long as no new one is stored."""
        return self.change.find_new() or self.change.old.credential

    def current(self) -> Credential:
        """What consumers are to use now: the new value from its promotion on."""
        return self.change.new() if self.is_promoted() else self.change.old.credential

    def promoted_at(self) -> datetime | None:
        """When the new value became the current one; None before."""
        current = self._kv.read(self._current)
        return current.created if current and current.credential.rotation_id == self.change.rotation_id else None

    def is_promoted(self) -> bool:
        """Whether the new value has become the current one: from here there is no way back."""
        return self.promoted_at() is not None
