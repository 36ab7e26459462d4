"""Encryption that is killed at every effect, after every Ansible task and after every SSH command, and run again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra_ops.clients.ssh import Answer, Machine
from infra_ops.models.outcomes import State
from infra_ops.models.problems import Problem
from tests.lab.encryption.conftest import lab as lab
from tests.lab.encryption.conftest import stage as stage
from tests.lab.encryption.stage import Stage, bad
from tests.lab.servers_of_k3s import SERVERS
from tests.lab.store.dying import Death, Dying, Killed

CALLBACKS = Path(__file__).with_name("callbacks")


def run_dying(stage: Stage, **params: Any) -> list[Death]:  # noqa: F811
    """One wish that dies twice at every effect, until it comes to its end; where it died.

    Each death is followed by a new run, with a plan of its own: nothing is remembered but the world. A rotation that
    has made its key is ended by any run; to wish for it again would be to wish for one more.
    """
    deaths: list[Death] = []
    known = len(stage.keys())
    while True:
        try:
            plan = stage.run(Dying(stage, deaths), **params)
        except Killed:
            if len(stage.keys()) > known:
                params.pop("force", None)
            continue
        outcomes = stage.verify(plan, **params) if plan.steps else stage.operation(**params).standing()
        assert {outcome.state for outcome in outcomes} == {State.PASS}, bad(outcomes)
        return deaths


def expected(key: str, keys: list[str]) -> dict[str, Any]:
    return {"lists": dict.fromkeys(SERVERS, f"{key}, identity"), "keys": keys, "left to do": []}


def test_killed_at_every_effect_it_ends_as_an_undisturbed_run(stage: Stage) -> None:  # noqa: F811
    stage.make_secrets(10)
    deaths = run_dying(stage)
    found = stage.end_state()
    assert set(found["raw"]) == {"secretbox:key1"}
    assert found | expected("key1", ["key1"]) == found
    print(f"\nenable: {len(deaths)} points, 0 divergences")


def test_killed_at_every_effect_of_the_way_on_and_back(stage: Stage) -> None:  # noqa: F811
    """Rotated, then disabled, each as an undisturbed run leaves it."""
    stage.make_secrets(10)
    stage.run()
    rotating = run_dying(stage, force=True)
    found = stage.end_state()
    assert set(found["raw"]) == {"secretbox:key2"}
    assert found | expected("key2", ["key1", "key2"]) == found
    disabling = run_dying(stage, disable=True)
    assert set(stage.raw()) == {"plain"}
    assert stage.lists() == dict.fromkeys(SERVERS, "")
    assert stage.plan(disable=True).steps == ()
    print(f"\nrotate: {len(rotating)} points, disable: {len(disabling)} points, 0 divergences")


def test_killed_at_every_effect_of_taking_it_back(stage: Stage) -> None:  # noqa: F811
    """A run that failed before anything was written with the key leaves every server as it was."""
    stage.make_secrets(10)
    plan = stage.run(groups=("back_up", "introduce", "encrypt"))
    deaths: list[Death] = []
    while True:
        try:
            assert stage.undo(plan, Dying(stage, deaths))
        except Killed:
            continue
        break
    assert stage.lists() == dict.fromkeys(SERVERS, "")
    assert set(stage.raw()) == {"plain"}
    assert all(stage.k3s.answers(server) for server in SERVERS)
    print(f"\nundo: {len(deaths)} points, 0 divergences")


def test_killed_after_every_ssh_command_it_ends_as_an_undisturbed_run(stage: Stage) -> None:  # noqa: F811
    """Each process dies after the first command after which none has died; those that differ in numbers are one."""
    stage.make_secrets(10)
    deaths: list[str] = []
    ask = Machine.ask

    def ask_and_die(machine: Machine, *command: str, **more: Any) -> Answer:
        answer = ask(machine, *command, **more)
        death = f"{machine.name}: {re.sub('[0-9]+', 'N', shlex.join(command))}"
        if death not in deaths:
            deaths.append(death)
            raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "ask", ask_and_die)
        while True:
            try:
                stage.run()
            except Killed:
                continue
            break
    found = stage.end_state()
    assert set(found["raw"]) == {"secretbox:key1"}
    assert found | expected("key1", ["key1"]) == found
    print(f"\nenable: {len(deaths)} SSH commands, 0 divergences")


@pytest.fixture
def dying_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    deaths = tmp_path / "deaths"
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(CALLBACKS))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "dying")
    monkeypatch.setenv("INFRA_OPS_DEATHS", str(deaths))
    return deaths


def test_killed_after_every_ansible_task_it_ends_as_an_undisturbed_run(stage: Stage, dying_tasks: Path) -> None:  # noqa: F811
    stage.make_secrets(10)
    for _ in range(60):
        try:
            stage.run()
        except Problem as problem:
            stage.said.append(str(problem))
        else:
            break
    found = stage.end_state()
    assert set(found["raw"]) == {"secretbox:key1"}
    assert found | expected("key1", ["key1"]) == found
    deaths = dying_tasks.read_text().splitlines()
    # Writing: 4 tasks a server. Restarting: 2; whoever comes again finds the restart done and waits for nothing.
    assert len(deaths) == 6 * len(SERVERS)
    print(f"\nenable: {len(deaths)} Ansible tasks, 0 divergences")
