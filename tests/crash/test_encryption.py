"""Encryption that is killed at every effect, after every Ansible task and after everything that it does by SSH, and run
again: enabled, rotated and disabled."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra_ops.clients.effects import Effects
from infra_ops.clients.ssh import Answer, Files, Machine
from infra_ops.models.outcomes import State
from infra_ops.models.problems import Problem
from tests.lab.encryption.conftest import lab as lab
from tests.lab.encryption.conftest import stage as stage
from tests.lab.encryption.stage import Stage, bad
from tests.lab.servers_of_k3s import SERVERS
from tests.lab.store.dying import Death, Dying, Killed

CALLBACKS = Path(__file__).with_name("callbacks")
PARAMS: dict[str, dict[str, Any]] = {"enable": {}, "rotate": {"force": True}, "disable": {"disable": True}}
# Each as an undisturbed run leaves it: the lists of the servers, what Secrets are written with, the keys in the store.
ENDS: dict[str, tuple[str, str, list[str]]] = {
    "enable": ("key1, identity", "secretbox:key1", ["key1"]),
    "rotate": ("key2, identity", "secretbox:key2", ["key1", "key2"]),
    "disable": ("", "plain", ["key1"]),
}
# Tasks on a server. Enabling: 4 write, 2 restart. Rotating: the 4 that write. Disabling: those, 2 that restart and 2
# that withdraw. Whoever comes again finds the restart done and waits for nothing.
TASKS = {"enable": 6, "rotate": 4, "disable": 8}
SFTP = ("mode", "make_private_folder", "write_private", "rename")
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(params=PARAMS)
def wish(request: pytest.FixtureRequest, stage: Stage) -> str:  # noqa: F811
    """What is wished for, where everything is ready for it."""
    stage.make_secrets(10)
    if request.param != "enable":
        stage.run()
    return str(request.param)


def disturbed(stage: Stage, wish: str, effects: Callable[[], Effects | None] = lambda: None) -> int:  # noqa: F811
    """Run until a run comes to its end; how often one did not.

    Each has a plan of its own: nothing is remembered but the world. A rotation that has made its key is ended by any
    run; to wish for it again would be to wish for one more.
    """
    params, known = dict(PARAMS[wish]), len(stage.keys())
    for failed in range(200):
        try:
            plan = stage.run(effects(), **params)
            outcomes = stage.verify(plan, **params) if plan.steps else stage.operation(**params).standing()
        except (Killed, Problem) as death:
            stage.said.append(f"{type(death).__name__}: {death}")
            if len(stage.keys()) > known:
                params.pop("force", None)
            continue
        assert {outcome.state for outcome in outcomes} == {State.PASS}, bad(outcomes)
        return failed
    raise AssertionError(f"it never ends: {stage.said[-3:]}")


def assert_ended(stage: Stage, wish: str) -> None:  # noqa: F811
    listed, written, keys = ENDS[wish]
    found = stage.end_state()
    assert found["lists"] == dict.fromkeys(SERVERS, listed)
    assert set(found["raw"]) == {written}
    assert found["keys"] == keys
    assert all(found["answers"].values())
    assert stage.plan(disable=wish == "disable").steps == ()


def test_killed_at_every_effect_it_ends_as_an_undisturbed_run(stage: Stage, wish: str) -> None:  # noqa: F811
    deaths: list[Death] = []
    assert disturbed(stage, wish, lambda: Dying(stage, deaths)) == len(deaths)
    assert_ended(stage, wish)
    print(f"\n{wish}: {len(deaths)} points, 0 divergences")


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


@contextmanager
def dying_calls() -> Iterator[list[str]]:
    """The process dies after each call by SSH or SFTP where none has died; those that differ in numbers are one."""
    deaths: list[str] = []

    def die(where: str, call: str) -> None:
        if (death := f"{where}: {re.sub('[0-9]+', 'N', call)}") not in deaths:
            deaths.append(death)
            raise Killed

    ask, stream = Machine.ask, Machine.stream

    def ask_and_die(machine: Machine, *command: str, **more: Any) -> Answer:
        answer = ask(machine, *command, **more)
        die(machine.name, shlex.join(command))
        return answer

    def stream_and_die(machine: Machine, *command: str, **more: Any) -> Iterator[bytes]:
        for piece in stream(machine, *command, **more):
            yield piece
            die(f"{machine.name}, in the middle", shlex.join(command))
        die(machine.name, shlex.join(command))

    def deadly(name: str) -> Callable[..., Any]:
        call = getattr(Files, name)

        def call_and_die(files: Files, path: str, *rest: Any) -> Any:
            answer = call(files, path, *rest)
            die("SFTP", f"{name} {path}")
            return answer

        return call_and_die

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "ask", ask_and_die)
        patch.setattr(Machine, "stream", stream_and_die)
        for name in SFTP:
            patch.setattr(Files, name, deadly(name))
        yield deaths


def test_killed_after_every_call_by_ssh_it_ends_as_an_undisturbed_run(stage: Stage, wish: str) -> None:  # noqa: F811
    with dying_calls() as deaths:
        assert disturbed(stage, wish) == len(deaths)
    assert_ended(stage, wish)
    of = {name: sum(death.startswith(f"SFTP: {name} ") for death in deaths) for name in SFTP}
    assert wish == "disable" or all(of.values()), of
    print(f"\n{wish}: {len(deaths)} calls by SSH, 0 divergences ({of})")


@pytest.fixture
def dying_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    deaths = tmp_path / "deaths"
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(CALLBACKS))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "dying")
    monkeypatch.setenv("INFRA_OPS_DEATHS", str(deaths))
    return deaths


def test_killed_after_every_ansible_task_it_ends_as_an_undisturbed_run(
    stage: Stage,  # noqa: F811
    wish: str,
    dying_tasks: Path,
) -> None:
    failed = disturbed(stage, wish)
    deaths = dying_tasks.read_text().splitlines()
    assert failed <= len(deaths), stage.said  # no run failed of anything else
    assert_ended(stage, wish)
    assert len(deaths) == TASKS[wish] * len(SERVERS), deaths
    print(f"\n{wish}: {len(deaths)} Ansible tasks, 0 divergences")
