"""The copies of a credential in Airflow's own connections: asked as every task gets them, changed through the API."""

from __future__ import annotations

from infra_ops.clients.airflow import AirflowApi, connection
from infra_ops.clients.effects import Effects
from infra_ops.models.credentials import Credential
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.targets.target import CannotRotate, Change


def sync_connection(api: AirflowApi | None, change: Change, id_: str) -> Action:
    """The action that writes the new login into the connection. Tasks that start later use it; none is restarted."""
    step = Step(
        f"{change.credential_id}.sync.connection.{id_}",
        f"connection {id_} of Airflow",
        before=f"holds {change.old_version}",
        after=f"holds {change.new_version}",
    )

    def look() -> str:
        held, new = connection(id_), change.find_new()
        if new and _same(held, new):
            return step.after
        return step.before if _same(held, change.old.credential) else "holds neither of the two"

    def do(effects: Effects) -> None:
        if api is None:
            raise CannotRotate(f"{step.target} cannot be changed: the inventory has no section airflow.")
        effects.do(step.id, f"write {change.new_version} into it", lambda: api.set_connection(id_, change.new()))

    return Action(step, look, do)


def _same(held: Credential, wanted: Credential) -> bool:
    return (held.username, held.password) == (wanted.username, wanted.password)
