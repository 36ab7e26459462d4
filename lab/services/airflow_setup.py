"""Creates Airflow's tables, users and a connection: `python -m lab.services.airflow_setup CREDENTIALS_DIR PORT`.

AIRFLOW_HOME has to be set; PORT is PostgreSQL's.

One process for all of it, because importing Airflow costs more than the work. Running it again changes nothing.
"""

import sys
from pathlib import Path
from typing import Any

from airflow.models import Connection
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.db import initdb
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import NEW_SESSION, provide_session

from lab import credentials

# Credential id -> role. The runner is who `python -m lab run` logs in as, the service is what runbooks use.
USERS = {"airflow_admin": "Admin", "airflow_runner": "Op", "airflow_service": "Admin"}


@providers_configuration_loaded
def main(directory: Path, port: int) -> None:
    initdb()
    _create_users(directory)
    _create_connection(credentials.read(directory, "postgres_appuser"), port)


def _create_users(directory: Path) -> None:
    with get_application_builder() as builder:
        for credential_id, role in USERS.items():
            name = credentials.USERS[credential_id]
            if builder.sm.find_user(name):
                continue
            password = credentials.read(directory, credential_id)
            email = f"{name}@lab.invalid"
            if not builder.sm.add_user(name, name, "lab", email, builder.sm.find_role(role), password):
                sys.exit(f"Airflow refused to create the user {name} with role {role}.")


@provide_session
def _create_connection(password: str, port: int, session: Any = NEW_SESSION) -> None:
    """One of the exposed passwords stands in a connection of Airflow's database, as people put them there."""
    name = "screener_db"
    if session.query(Connection).filter_by(conn_id=name).first() is None:
        connection = Connection(name, "postgres", host="127.0.0.1", port=port, schema="screener")
        connection.login, connection.password = credentials.USERS["postgres_appuser"], password
        session.add(connection)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
