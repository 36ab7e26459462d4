"""The copies of a credential in Airflow's own connections, in its database and in the secret store."""

from __future__ import annotations

from infra_ops.clients.airflow import AirflowApi, database_connection
from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv
from infra_ops.models.connections import login_of, store_path, with_login
from infra_ops.models.credentials import Credential
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.targets.target import Change


def sync_connection(api: AirflowApi | None, kv: Kv, change: Change, id_: str) -> Action:
    """The action that writes the new login into the connection, wherever it is kept. Tasks that start later use it;
    none is restarted.

    A copy in the database that the store's one hides gets it too: it would count again when that one is deleted.
    """
    path = store_path(id_)
    step = Step(
        f"{change.credential_id}.sync.connection.{id_}",
        f"connection {id_} of Airflow",
        before=f"holds {change.old_version}",
        after=f"holds {change.new_version}",
    )

    def look() -> str:
        held = []
        if stored := kv.read_fields(path):
            held.append(login_of(stored.values))
        if api and api.has_connection(id_):
            held.append(login_of(database_connection(id_)))
        if not held:
            return "neither in the store nor in Airflow's database"
        new, old = change.find_new(), change.old.credential
        waiting = [each for each in held if not (new and _same(each, new))]
        if not waiting:
            return step.after
        return step.before if all(_same(each, old) for each in waiting) else "holds neither of the two"

    def do(effects: Effects) -> None:
        new, old = change.new(), change.old.credential
        stored = kv.read_fields(path)
        if stored and _same(login_of(stored.values), old):
            version, values = stored.version, with_login(stored.values, new)
            effects.do(
                step.id,
                f"write {change.new_version} into store path {path}",
                lambda: kv.write_fields(path, values, replaces=version),
            )
        if api and api.has_connection(id_) and _same(login_of(database_connection(id_)), old):
            effects.do(
                step.id,
                f"write {change.new_version} into Airflow's database",
                lambda: api.set_connection(id_, new),
            )

    return Action(step, look, do)


def _same(held: Credential, wanted: Credential) -> bool:
    return (held.username, held.password) == (wanted.username, wanted.password)
