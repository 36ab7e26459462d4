from typing import Any
from unittest.mock import MagicMock

import pytest
from airflow.exceptions import AirflowException

from infra_ops.airflow.node_commands import NodeCommands

COMMANDS = {"version": "k3s --version", "when": "date | cat"}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """An SSH hook that checks host keys and whose every command succeeds with `fine`."""
    hook = MagicMock(no_host_key_check=False, ssh_conn_id="node_rpi_1")
    hook.exec_ssh_client_command.return_value = (0, b"fine\n", b"")
    monkeypatch.setattr("airflow.providers.ssh.hooks.ssh.SSHHook", MagicMock(return_value=hook))
    return hook


def run(context: dict[str, Any]) -> Any:
    return NodeCommands(task_id="t", node="rpi-1", commands=COMMANDS, seconds=5).execute(context)


def test_each_command_is_answered_by_its_decoded_output(hook: MagicMock, context: dict[str, Any]) -> None:
    assert run(context) == {"version": "fine\n", "when": "fine\n"}


def test_the_node_itself_ends_a_command_that_takes_too_long(hook: MagicMock, context: dict[str, Any]) -> None:
    """The whole command line is under the limit, pipes included."""
    run(context)
    sent = [call.args[1] for call in hook.exec_ssh_client_command.call_args_list]
    assert sent == ["timeout 5 sh -c 'k3s --version'", "timeout 5 sh -c 'date | cat'"]


def test_a_command_that_fails_fails_the_task_with_its_own_words(hook: MagicMock, context: dict[str, Any]) -> None:
    hook.exec_ssh_client_command.return_value = (1, b"", b"FATA[0000] not a server\n")
    with pytest.raises(AirflowException, match=r"`k3s --version` on node rpi-1 failed .* 1: FATA\[0000\] not a server"):
        run(context)


def test_a_command_that_was_ended_says_so(hook: MagicMock, context: dict[str, Any]) -> None:
    hook.exec_ssh_client_command.return_value = (124, b"", b"")
    with pytest.raises(AirflowException, match=r"`k3s --version` on node rpi-1 did not end within 5 s"):
        run(context)


def test_a_node_that_is_off_is_named(hook: MagicMock, context: dict[str, Any]) -> None:
    hook.get_conn.side_effect = ConnectionRefusedError(111, "Connection refused")
    with pytest.raises(AirflowException, match=r"Node rpi-1 cannot be reached by SSH: .*Connection refused"):
        run(context)


def test_a_connection_without_a_host_key_is_refused(hook: MagicMock, context: dict[str, Any]) -> None:
    """The stock SSH provider accepts any host by default."""
    hook.no_host_key_check = True
    with pytest.raises(AirflowException, match="node_rpi_1 pins no host key"):
        run(context)
    hook.get_conn.assert_not_called()
