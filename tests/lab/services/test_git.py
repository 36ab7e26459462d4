"""The infrastructure repository of a lab: seeded once, and opened by the deploy key that the store has."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess

from infra_ops.clients.git import Clone, DeployKey, File
from lab import credentials, inventory
from lab.inventory import GIT
from lab.layout import Lab
from lab.services import git, openbao, openbao_setup
from lab.supervisor.service import Service
from tests.lab.running import running

PATH = "ansible/deploy-key/infrastructure"


def services(lab: Lab) -> list[Service]:
    """The Git host, and OpenBao with what needs no API server."""

    async def finish() -> None:
        await openbao.unseal(lab)
        await asyncio.to_thread(openbao_setup.set_up_store, lab, openbao.client(lab))

    repository = inventory.load().repository
    assert repository is not None
    return [dataclasses.replace(openbao.openbao(lab), after=(), finish=finish), git.service(lab, repository)]


def clone(lab: Lab) -> tuple[Clone, int]:
    """With the key from the store, at the address that the lab's inventory has; and the version of that key."""
    content = inventory.load().model_dump(mode="json")
    url = inventory.reached(content, inventory.Ports({GIT: lab.ports.of(GIT)}, {}))["repository"]["url"]
    kv = openbao.client(lab).secrets.kv.v2
    found = kv.read_secret_version(PATH, mount_point=openbao_setup.MOUNT, raise_on_deleted_version=True)["data"]
    return Clone(url, DeployKey(**found["data"]), "infra-ops <infra-ops@test.invalid>"), found["metadata"]["version"]


def test_what_was_pushed_and_merged_outlives_a_restart_and_the_passwords_stand_in_it(lab: Lab) -> None:
    passwords = {name: credentials.read(lab.credentials, name) for name in credentials.EXPOSED}
    with running(lab, services(lab)):
        here, _ = clone(lab)
        seeded = here.commit_of("main")
        assert seeded
        text = "\n".join((file.data or b"").decode() for file in here.files(seeded).values())
        for name in passwords.keys() - {"postgres_appuser"}:  # whose password stands there as a URL holds it
            assert passwords[name] in text, name
        proposed = here.commit(seeded, {"new": File(b"x")}, "two\n")
        here.push(proposed, "proposal", replaces=None)
        merge = ["git", "-C", str(next(lab.data("git").glob("repositories/*/*.git"))), "fetch", ".", "proposal:main"]
        subprocess.run(merge, check=True, capture_output=True)
    with running(lab, services(lab)):
        here, version = clone(lab)
        assert here.commit_of("main") == here.commit_of("proposal") == proposed
        assert version == 1  # nothing that a second start would have to tell the store
    told = (lab.log / "git.log").read_text()
    assert [name for name, password in passwords.items() if password in told] == []
    assert "PRIVATE" not in told


def test_a_new_port_is_told_to_the_store(lab: Lab) -> None:
    with running(lab, services(lab)):
        pass
    moved = dataclasses.replace(lab, ports=type(lab.ports)())
    with running(moved, services(moved)):
        here, version = clone(moved)
        assert here.commit_of("main")
        assert version == 2
