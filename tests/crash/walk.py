"""rotate_credentials with tasks killed on the way, on a lab of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from infra_ops.models.credentials import Stored
from tests.crash import killing
from tests.crash.killing import AFTER, MIDDLE, START
from tests.lab.end_to_end.airflow import DAG, Airflow
from tests.lab.end_to_end.conftest import Lab, running
from tests.lab.end_to_end.managed import Managed, managed

MOMENTS = (START, MIDDLE, AFTER)
# Those whose services are no doubles in the lab, and count no wrong logins: 39 rotations in a row try many.
IDS = ("postgres_appuser", "flower_celery", "flower_financial_screener", "airflow_admin")


@dataclass(frozen=True)
class Victim:
    """A task, and that one of its writes at which it dies: the `number`th of that kind (killing.WRITES)."""

    task: str
    write: str
    number: int


Kill = tuple[Victim, str]  # and a moment


INTRODUCE = Victim("introduce", "effect", 2)
UNDO = Victim("undo", "effect", 1)
# Among the effects those that hurt most: a database's transaction, a consumer's Secret, the note of the probe.
VICTIMS = (
    Victim("preflight", "Lease", 1),
    Victim("plan", "XCom", 2),
    INTRODUCE,
    UNDO,
    Victim("accepted", "XCom", 1),
    Victim("switch", "effect", 2),
    Victim("moved", "XCom", 1),
    Victim("retire", "effect", 1),
    Victim("retired", "XCom", 1),
    Victim("finish", "effect", 2),
    Victim("verify", "XCom", 1),
    Victim("record", "evidence", 1),
    Victim("verdict", "XCom", 1),
)


@dataclass(frozen=True)
class Walk:
    """The lab, and the means to kill tasks in it."""

    lab: Lab
    airflow: Airflow
    credentials: Managed

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.lab.root / "data" / "airflow"

    def rotate(self, kills: Sequence[Kill] = ()) -> dict[str, Any]:
        """One rotation in which each victim in turn dies and is cleared; the state at its end.

        On 3.0.2 a task whose process was killed is not retried: the run fails, undo and record included, and then a
        person clears the task. The kills stand in the order in which their tasks run; one may die several times.
        """
        before = self._stored()
        for kill in kills[:1]:
            self._order(kill)
        run = self._trigger(force=True)
        for number, (victim, _) in enumerate(kills, 1):
            taken_back = self._await_death(run, victim)
            for following in kills[number : number + 1]:
                self._order(following)
            self.airflow.clear(run, INTRODUCE.task if taken_back else victim.task)
        return self._end(run, before)

    def rotate_in_two_runs(self, kill: Kill) -> dict[str, Any]:
        """The same, but after the kill a new run is started. Only for kills between the first effect and the last."""
        before = self._stored()
        self._order(kill)
        self._await_death(self._trigger(force=True), kill[0])
        return self._end(self._trigger(), before)

    def _order(self, kill: Kill) -> None:
        """What is taken back has to be done first, by a task that dies right after it."""
        killing.withdraw(self.home)  # of a walk that failed
        victim, moment = kill
        if victim is UNDO:
            killing.order(self.home, INTRODUCE.task, AFTER, INTRODUCE.write, INTRODUCE.number)
        killing.order(self.home, victim.task, moment, victim.write, victim.number)

    def _trigger(self, **conf: Any) -> str:
        return self.airflow.trigger(mode="apply", credentials=IDS, **conf)

    def _await_death(self, run: str, victim: Victim) -> bool:
        """Waits until the run in which the victim was killed has failed; whether anything that it had done was taken
        back, or would have been. Undo takes back what it can, and fails when the rest has no way back.
        """
        state = self.airflow.wait(run)
        tasks = self.airflow.tasks(run)
        assert killing.carried_out(self.home), f"{victim} did not die: {tasks}"
        assert (state, tasks[victim.task]) == ("failed", "failed"), f"{victim} died, and nobody noticed: {tasks}"
        half = "there is no way back" in (self.airflow.xcom(run, UNDO.task, "problem") or "")
        return victim is UNDO or tasks[UNDO.task] == "success" or half

    def _stored(self) -> dict[str, Stored]:
        return {id_: self.credentials.stored(id_) for id_ in IDS}

    def _end(self, run: str, before: dict[str, Stored]) -> dict[str, Any]:
        return {"run": self.airflow.wait(run), **self._end_state(run, before)}

    def _end_state(self, run: str, before: dict[str, Stored]) -> dict[str, Any]:
        """What a rotation leaves behind, in words that are the same after every rotation."""
        lease = self.credentials.cluster.get("/apis/coordination.k8s.io/v1/namespaces/infra-ops/leases/change")
        query = urlencode({"source_run_id": run, "source_dag_id": DAG, "order_by": "-timestamp", "limit": 1})
        (event,) = self.airflow.call("GET", f"/assets/events?{query}")["asset_events"]
        return {
            "verdict": self.airflow.xcom(run, "verdict", "verdict"),
            "Lease": lease["spec"]["holderIdentity"],
            "evidence": sorted((one["id"], one["subject"], one["state"]) for one in event["extra"]["outcomes"]),
            **{id_: self._credential(id_, old) for id_, old in before.items()},
        }

    def _credential(self, id_: str, old: Stored) -> dict[str, Any]:
        now, target = self.credentials.stored(id_), self.credentials.target(id_)
        new = now.credential
        answers = {
            "new": target.log_in(new.username, new.password),
            "old": target.log_in(old.credential.username, old.credential.password),
            "junk": target.log_in(new.username, "junk"),
        }
        return {
            "versions on": now.version - old.version,
            "made by this rotation": new.rotation_id.startswith(f"{id_}:{old.version + 1}@"),
            "another value": new.password != old.credential.password,
            "pending": self.credentials.pending(id_),
            "copies": self.credentials.copies(id_) == self.credentials.wanted_copies(id_),
            **{name: f"{login.answer.value} {login.code}" for name, login in answers.items()},
        }


@contextmanager
def walking(root: Path) -> Iterator[Walk]:
    """A fresh lab at `root` in which tasks can be killed."""
    killing.install(root / "data" / "airflow")
    with running(root) as lab, managed(lab.root, lab.state) as credentials:
        yield Walk(lab, Airflow(lab.state), credentials)
