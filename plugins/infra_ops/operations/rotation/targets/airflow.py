"""A user of this Airflow (FAB auth manager). Its password is changed by another user, the runbooks' service login.

A token that was issued before stays valid for a day, across restarts too; nothing but a new jwt_secret ends it.
Facts: security-and-backup 2.4.
"""

from __future__ import annotations

from infra_ops.clients.airflow import AirflowApi, log_in
from infra_ops.models.credentials import Credential, Login
from infra_ops.operations.rotation.targets.swap import Swap


class AirflowTarget(Swap):
    def __init__(self, api: AirflowApi) -> None:
        self._api = api
        self.where = f"Airflow {api.url}"

    def log_in(self, username: str, password: str) -> Login:
        return log_in(self._api.url, username, password)

    def set_password(self, login: Credential, new: Credential) -> None:
        self._api.set_password(new.username, new.password)
