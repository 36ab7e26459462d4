"""No secret of a rotation stands anywhere but in the store, the services and the Secrets of its consumers."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from tests.lab.end_to_end.conftest import Lab, Rotated, fernet_key
from tests.lab.end_to_end.leaks import Place, Watch, database, forms, hits, log_in, logs, objects, triggers
from tests.lab.end_to_end.managed import Managed

CANARY = "Planted&Leak<47>11"
EVERYWHERE = {f"canary ({form})" for form in forms(CANARY)}
# A neighbour on both sides, as in "admin:secret,": base64 looks different then.
LEAKED = " ".join(
    [
        f"admin:{CANARY},",
        base64.b64encode(f"admin:{CANARY},".encode()).decode(),
        quote(f"admin:{CANARY},", safe=""),
        CANARY.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),  # JSON as Go writes it
    ]
)


def test_no_secret_of_a_rotation_is_to_be_seen(
    lab: Lab,
    rotated: Rotated,
    credentials: Managed,
    passing: Callable[[], Iterator[Place]],
) -> None:
    """The values before and after each of two rotations, so those that people chose and those that we made."""
    with Watch(passing) as watch:
        again = lab.rotate(force=True)
    secrets = {f"first {id_}": stored.credential.password for id_, stored in rotated.before.items()}
    secrets |= {f"second {id_}": stored.credential.password for id_, stored in again.before.items()}
    secrets |= {f"third {id_}": credentials.stored(id_).credential.password for id_ in credentials.ids}
    assert len(set(secrets.values())) == 3 * len(credentials.ids)
    with closing(log_in(lab.state)) as connection:
        places = [*watch.places(), *database(connection), *logs(lab.root), *objects(credentials.cluster)]
    seen = {place.split()[0] for place, _ in places}
    assert seen == {"process", "trigger", "database", "task", "component", "pod", "ConfigMap", "event", "Deployment"}
    print(f"{len(places)} places; {watch.looks} looks at process arguments, at most {watch.longest:.2f} s apart")
    assert hits(secrets, places) == []


@pytest.mark.parametrize(
    ("place", "statement"),
    [
        ("database xcom.value", "update xcom set value = to_jsonb(%s::text)"),
        (
            "database rendered_task_instance_fields.rendered_fields",
            "update rendered_task_instance_fields set rendered_fields = to_json(%s::text)",
        ),
        ("database dag_run.conf", "update dag_run set conf = to_jsonb(%s::text)"),
        ("database task_instance.executor_config", "update task_instance set executor_config = %s::bytea"),
    ],
    ids=lambda value: value.split()[1] if value.startswith("database") else "",
)
def test_a_leak_in_the_database_is_found(lab: Lab, rotated: Rotated, place: str, statement: str) -> None:
    """In a transaction that never ends well, so Airflow does not see it."""
    leaked = LEAKED.encode() if "bytea" in statement else LEAKED
    with closing(log_in(lab.state)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statement, [leaked])
        assert set(hits({"canary": CANARY}, database(connection))) == {f"{form} in {place}" for form in EVERYWHERE}


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_leak_in_the_arguments_of_a_trigger_is_found(lab: Lab, encrypted: bool) -> None:
    kwargs = json.dumps({"text": LEAKED})
    if encrypted:
        kwargs = Fernet(fernet_key(lab)).encrypt(kwargs.encode()).decode()
    with closing(log_in(lab.state)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("insert into trigger (classpath, kwargs, created_date) values ('x', %s, now())", [kwargs])
        found = set(hits({"canary": CANARY}, triggers(connection, fernet_key(lab))))
    assert found == {f"{form} in trigger arguments" for form in EVERYWHERE}


@pytest.mark.parametrize(
    ("what", "folder"), [("task log", "data/airflow/logs/dag_id=rotate_credentials"), ("component log", "log")]
)
def test_a_leak_in_a_log_is_found(lab: Lab, rotated: Rotated, what: str, folder: str) -> None:
    log = lab.root / folder / "planted.log"
    log.write_text(LEAKED)
    try:
        found = hits({"canary": CANARY}, logs(lab.root))
    finally:
        log.unlink()
    assert len(found) == len(EVERYWHERE)
    assert all(line.endswith("planted.log") and f" in {what} " in line for line in found)


def test_a_leak_in_a_pod_and_in_a_configmap_is_found(lab: Lab, credentials: Managed, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text(LEAKED)
    lab.kubectl("-n", "default", "create", "configmap", "planted", f"--from-file={text}")
    lab.kubectl("-n", "default", "run", "planted", "--image=rancher/mirrored-pause:3.6", f"--env=LEAK={LEAKED}")
    try:
        found = set(hits({"canary": CANARY}, objects(credentials.cluster)))
    finally:
        lab.kubectl("-n", "default", "delete", "configmap/planted", "pod/planted", "--wait=false")
    planted = {"pod spec default/planted", "ConfigMap default/planted"}
    assert found == {f"{form} in {place}" for form in EVERYWHERE for place in planted}


def test_a_leak_on_a_command_line_is_found_though_it_lasts_a_moment_only(
    passing: Callable[[], Iterator[Place]],
) -> None:
    with Watch(passing) as watch:
        subprocess.run(["sh", "-c", "sleep 0.3", LEAKED], check=True)
    found = set(hits({"canary": CANARY}, watch.places()))
    assert found == {f"{form} in process arguments" for form in EVERYWHERE}
