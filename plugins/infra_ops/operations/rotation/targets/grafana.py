"""Grafana's server administrator. The chart's Secret only seeds the first start, so the API is told first.

Its side-cars keep the old password until they are restarted and may lock the user name with it, so the restart follows
in the same task. Without a volume the database is made anew from the Secret at every start: the same order is right.
Facts: security-and-backup 2.3; https://grafana.com/docs/grafana/latest/developers/http_api/admin/#password-for-user
"""

from __future__ import annotations

from datetime import timedelta

from infra_ops.clients import http
from infra_ops.models.credentials import Credential, Login
from infra_ops.models.services import Grafana
from infra_ops.operations.rotation.passwords import Rules
from infra_ops.operations.rotation.targets.swap import Swap
from infra_ops.operations.rotation.targets.target import Budget


class GrafanaTarget(Swap):
    forgives = True
    budget = Budget(wrong=5, within=timedelta(minutes=5))  # then the user name is locked, even for the right password

    def __init__(self, spec: Grafana) -> None:
        self._url = spec.url
        self.where = f"Grafana {spec.url}"

    def rules(self, login: Credential) -> Rules:
        """A special character, which the strong password policy wants where it is switched on."""
        return Rules(special="-_.")

    def forgive(self, login: Credential) -> None:
        """Side-cars were wrong until they started again, and the proof's own two might be the ones too many."""
        self.set_password(login, login)

    def log_in(self, username: str, password: str) -> Login:
        return http.log_in(f"{self._url}/api/user", username, password)

    def set_password(self, login: Credential, new: Credential) -> None:
        """By the administrators' way, though it is the caller's own password: only that ends the user's sessions, and
        forgives wrong logins.
        """
        basic = (login.username, login.password)
        what = f"{self.where}: a new password of {new.username}"
        found = http.wanted(http.call("GET", f"{self._url}/api/user", login=basic), 200, what=what)
        user = http.part(found, "id", what=what)
        path = f"{self._url}/api/admin/users/{user}/password"
        http.wanted(http.call("PUT", path, login=basic, json={"password": new.password}), 200, what=what)
