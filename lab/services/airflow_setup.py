"""Creates Airflow's tables and users: `python -m lab.services.airflow_setup CREDENTIALS_DIR`, with AIRFLOW_HOME set.

One process for all of it, because importing Airflow costs more than the work. Running it again changes nothing.
"""

import sys
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.db import initdb
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from lab import credentials

# Credential id -> role. The runner is who `python -m lab run` logs in as.
USERS = {"airflow_admin": "Admin", "airflow_runner": "Op"}


@providers_configuration_loaded
def main(directory: Path) -> None:
    initdb()
    with get_application_builder() as builder:
        for credential_id, role in USERS.items():
            name = credentials.USERS[credential_id]
            if builder.sm.find_user(name):
                continue
            password = credentials.read(directory, credential_id)
            email = f"{name}@lab.invalid"
            if not builder.sm.add_user(name, name, "lab", email, builder.sm.find_role(role), password):
                sys.exit(f"Airflow refused to create the user {name} with role {role}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
