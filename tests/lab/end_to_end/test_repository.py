"""The runbooks of the infrastructure repository, on the whole lab: from passwords in Git to a merged branch."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.credentials import EXPOSED
from tests.lab.end_to_end.airflow import Airflow
from tests.lab.end_to_end.conftest import Lab, Rotated
from tests.lab.end_to_end.leaks import Place, Watch, database, hits, log_in, logs, objects
from tests.lab.end_to_end.managed import Managed

BRANCH = "infra-ops/ansible-vault"


@dataclass(frozen=True)
class Repository:
    """As a person has it who sits at its Git server."""

    folder: Path

    def git(self, *arguments: str) -> str:
        argv = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def heads(self) -> dict[str, str]:
        """The commit of each branch."""
        lines = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
        return {name: commit for name, _, commit in (line.partition(" ") for line in lines)}

    def text(self, branch: str) -> bytes:
        """All files of a branch in one."""
        return self.git("grep", "-I", "--no-color", "", branch).encode()


@pytest.fixture(scope="module")
def repository(lab: Lab) -> Repository:
    return Repository(lab.root / "data/git/repositories/stratdata/infrastructure.git")


@pytest.fixture(scope="module")
def planted(lab: Lab, rotated: Rotated) -> dict[str, str]:
    """What stands in the repository: the values that the lab invented. They are retired by now, and no less a find."""
    return {name: (lab.root / "credentials" / name).read_text() for name in EXPOSED}


def outcomes(airflow: Airflow, run: str) -> dict[str, str]:
    """The state of each check that the run measured."""
    return {outcome["id"]: outcome["state"] for outcome in airflow.xcom(run, "verify", "outcomes")}


@pytest.mark.timeout(1800)
def test_passwords_move_from_git_into_the_vault_by_a_branch_that_a_person_merges(
    lab: Lab,
    repository: Repository,
    planted: dict[str, str],
    credentials: Managed,
    passing: Callable[[], Iterator[Place]],
) -> None:
    scan, vault = Airflow(lab.state, "scan_secrets"), Airflow(lab.state, "ansible_vault")
    seeded = repository.heads()
    assert seeded.keys() == {"main"}
    assert {hit.partition(" ")[0] for hit in hits(planted, [("main", repository.text("main"))])} == EXPOSED.keys()

    with Watch(passing) as watch:
        # Side by side, as neither changes anything. Who looks by hand is told what fails, and does not fail by it.
        looked, planned = scan.trigger(), vault.trigger()
        assert scan.wait(looked) == "success", scan.tasks(looked)
        assert vault.wait(planned) == "success", vault.tasks(planned)
        assert outcomes(scan, looked) == {
            "K030": "fail",
            "K031": "pass",
            "K032": "fail",
            "K033": "fail",
            "K034": "fail",
        }
        assert repository.heads() == seeded

        applied = vault.trigger(mode="apply", plan_id=vault.xcom(planned, "plan", "plan")["id"])
        assert vault.wait(applied) == "success", vault.tasks(applied)
        assert set(outcomes(vault, applied).values()) == {"pass"}
        proposed = repository.heads()
        assert proposed == {**seeded, BRANCH: proposed[BRANCH]}
        assert repository.git("rev-list", "--count", f"main..{BRANCH}").strip() == "1"
        assert hits(planted, [(BRANCH, repository.text(BRANCH))]) == []

        again = vault.trigger(mode="apply")
        assert vault.wait(again) == "success", vault.tasks(again)
        assert vault.xcom(again, "plan", "plan")["steps"] == []
        assert "proposes it already" in vault.xcom(again, "plan", "plan")["nothing_to_do"][0]
        assert repository.heads() == proposed

        repository.git("fetch", ".", f"{BRANCH}:main")
        good = scan.trigger(mode="apply")
        assert scan.wait(good) == "success", scan.tasks(good)
        assert set(outcomes(scan, good).values()) == {"pass"}

    password, key = (
        credentials.kv.read_fields(f"ansible/{path}") for path in ("password/lab", "deploy-key/infrastructure")
    )
    assert password is not None
    assert key is not None
    line = key.values["private_key"].splitlines()[2]  # the first ones are the same in all keys
    current = {f"current {name}": credentials.stored(name).credential.password for name in EXPOSED}
    secrets = {**planted, **current, "vault's password": password.values["password"], "deploy key": line}
    with closing(log_in(lab.state)) as connection:
        places = [*watch.places(), *database(connection), *logs(lab.root), *objects(credentials.cluster)]
    assert hits(secrets, places) == []
