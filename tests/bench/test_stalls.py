"""For how long a consumer of a service that knows one password is shut out, in a rotation and by the plain way.

Such a service refuses the old value from the moment when it takes the new one, so whoever logs in before he has got
the new one is refused, by both ways: a rotation can only let the two moments lie close together. A consumer
logs in steadily, and its stall is the longest time between two accepted logins.

It has the value as the inventory says. Grafana's side-cars have it since they started, so until somebody restarts them.
They are the lab's own and ask every five seconds; what their logs say is counted, because another client would make
another wrong login, and Grafana locks a name after five. The others read their Secret when they need it.

The plain way is at its best here: a program takes each step as soon as the former is done, people take minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from infra_ops.models.credentials import Answer, Credential
from infra_ops.operations.rotation.targets.swap import Swap
from tests.bench.logins import ACCEPTED, REFUSED, Attempt, Counted, Reader, Sidecars
from tests.lab.end_to_end.airflow import RUNS, Airflow
from tests.lab.end_to_end.conftest import Lab, wait_until
from tests.lab.end_to_end.managed import Managed
from tests.lab.end_to_end.test_no_refused_login import put, restart

PLAIN = "By-the-plain-way-1"
SIDECARS = ("grafana-sc-dashboard", "grafana-sc-datasources")
STEADY = 3  # logins
LOCKED = 330  # seconds, longer than Grafana keeps a name locked

Attempts = Callable[[], list[list[Attempt]]]


# The NAS last: it counts ten wrong logins within five minutes, those of other tests too.
@pytest.mark.parametrize("id_", ["pihole_admin", "airflow_admin", "grafana_admin", "synology_admin"])
def test_who_knows_one_password_is_refused_only_between_its_change_and_the_move_of_its_consumers(
    id_: str, lab: Lab, airflow: Airflow, credentials: Managed, tmp_path: Path
) -> None:
    """And is let in by both ways in the end. How long it took is printed; which is faster is nobody's promise."""
    with consumer(id_, lab, credentials, tmp_path / "rotation").at_work() as attempts:
        everybody_is_let_in(attempts)
        run = lab.rotate(force=True, credentials=[id_]).run
        everybody_is_let_in(attempts)
        by_rotation = attempts()
    with consumer(id_, lab, credentials, tmp_path / "plain").at_work() as attempts:
        everybody_is_let_in(attempts)
        by_plain_way = plainly(id_, credentials, attempts)
    for way, found in (("rotate_credentials", by_rotation), ("the plain way", by_plain_way)):
        for number, each in enumerate(found, 1):
            print(f"\n{id_}, consumer {number} of {len(found)}, {way}: {Counted.of(each)}", end="")

    (change,) = [entry for entry in credentials.journal(run) if entry.what == "set the new password"]
    changed = datetime.fromisoformat(change.at).timestamp()
    end = airflow.call("GET", f"{RUNS}/{run}/taskInstances/moved")["end_date"]
    moved = datetime.fromisoformat(end).timestamp()
    refused = [attempt for each in by_rotation for attempt in each if attempt.answer == REFUSED]
    assert [attempt for attempt in refused if attempt.ended < changed or attempt.began > moved] == []


def consumer(id_: str, lab: Lab, credentials: Managed, folder: Path) -> Reader | Sidecars:
    """The credential's, as the inventory describes it."""
    folder.mkdir()
    for workload, _ in credentials.consumers(id_):
        return Sidecars(lab.state["kubeconfig"], workload, SIDECARS, folder)
    (secret,) = [each.secret for each in credentials.inventory.credentials[id_].consumers]
    return Reader(credentials.target(id_), secret, credentials.stored(id_).credential.username)


def everybody_is_let_in(attempts: Attempts) -> None:
    """From now on, and a few times, so that it also shows how often they log in."""
    now = time.time()

    def last(each: list[Attempt]) -> list[str]:
        return [attempt.answer for attempt in each if attempt.began > now][-STEADY:]

    wait_until(lambda: all(last(each) == [ACCEPTED] * STEADY for each in attempts()), "every consumer is let in")


def plainly(id_: str, credentials: Managed, attempts: Attempts) -> list[list[Attempt]]:
    """First the service, then the Secret, then a restart of who reads it; what the consumers saw until all are let in.

    Then, not for the record, back to the stored value.
    """
    stored = credentials.stored(id_).credential
    plain = Credential(stored.username, PLAIN)
    target = credentials.target(id_)
    assert isinstance(target, Swap)
    target.set_password(stored, plain)
    try:
        tell(id_, credentials, plain)
        everybody_is_let_in(attempts)
        return attempts()
    finally:
        wait_until(
            lambda: credentials.log_in(id_, plain).answer is Answer.ACCEPTED, "the name is not locked", seconds=LOCKED
        )
        target.set_password(plain, stored)
        tell(id_, credentials, stored)


def tell(id_: str, credentials: Managed, value: Credential) -> None:
    """The consumers."""
    (secret,) = [each.secret for each in credentials.inventory.credentials[id_].consumers]
    (key,) = [key for key, meaning in secret.fields.items() if meaning == "{password}"]
    put(credentials, secret.namespace, secret.name, key, value.password)
    for workload, _ in credentials.consumers(id_):
        restart(credentials, workload)
