"""Runs commands on a node by SSH."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.exceptions import AirflowException
from airflow.sdk import BaseOperator, Context

if TYPE_CHECKING:
    from airflow.providers.ssh.hooks.ssh import SSHHook


class NodeCommands(BaseOperator):
    """Runs `commands` (name -> shell command) on `node`, one after the other; their outputs by name become the XCom.

    The connection is `node_<name>`, with _ for -, and must pin the node's host key. Each command is ended on the node
    itself after `seconds`, because nothing here would end it when the task is killed. A command that fails fails the
    task with its last words.
    """

    template_fields: Sequence[str] = ("node", "commands")

    def __init__(self, *, node: str, commands: dict[str, str], seconds: int = 60, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.node = node
        self.commands = commands
        self.seconds = seconds

    def execute(self, context: Context) -> dict[str, str]:
        from airflow.providers.ssh.hooks.ssh import SSHHook
        from paramiko.ssh_exception import SSHException

        hook = SSHHook(ssh_conn_id=f"node_{self.node.replace('-', '_')}")
        if hook.no_host_key_check:
            raise AirflowException(f"The connection {hook.ssh_conn_id} pins no host key, so nobody knows who answers")
        try:
            return self._run(hook)
        except (OSError, SSHException) as error:
            raise AirflowException(f"Node {self.node} cannot be reached by SSH: {error}") from error

    def _run(self, hook: SSHHook) -> dict[str, str]:
        with hook.get_conn() as client:
            return {name: self._answer(hook, client, command) for name, command in self.commands.items()}

    def _answer(self, hook: SSHHook, client: Any, command: str) -> str:
        status, output, errors = hook.exec_ssh_client_command(
            client,
            f"timeout {self.seconds} sh -c {shlex.quote(command)}",
            get_pty=False,
            environment=None,
            timeout=self.seconds + 10,
        )
        if status == 124:
            raise AirflowException(f"`{command}` on node {self.node} did not end within {self.seconds} s")
        if status != 0:
            words = errors.decode(errors="replace").strip() or output.decode(errors="replace").strip() or "no output"
            raise AirflowException(f"`{command}` on node {self.node} failed with exit code {status}: {words[-500:]}")
        return output.decode(errors="replace")
