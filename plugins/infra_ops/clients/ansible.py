"""Runs the playbooks of include/ansible on nodes of the inventory, by the same key and host keys as clients/ssh.py.

https://docs.ansible.com/ansible/latest/cli/ansible-playbook.html
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Timer
from typing import Any

from infra_ops.clients import ssh
from infra_ops.models.inventory import Inventory
from infra_ops.models.problems import Problem, Refusal

ROOT = Path(__file__).resolve().parents[3] / "include" / "ansible"
SECONDS = 900  # for a whole playbook
TASK = re.compile(r"^TASK \[(.*)\] \*+$")
FAULT = re.compile(r"^fatal: \[([^\]]*)\]: (FAILED|UNREACHABLE)! => (\{.*\})$")
log = logging.getLogger(__name__)


class PlaybookFailed(Problem):
    """A playbook did not come to its end: which task failed where, and what it said."""


def hosts(inventory: Inventory) -> dict[str, Any]:
    """The nodes as an Ansible inventory: groups `servers` and `agents`."""
    variables = {
        node.name: {
            "ansible_host": node.address,
            "ansible_port": node.ssh_port,
            "ansible_user": ssh.NODE_USER,
            "k3s_unit": "k3s" if node.role == "server" else "k3s-agent",
        }
        for node in inventory.nodes
    }
    groups = {
        f"{role}s": {"hosts": [node.name for node in inventory.nodes if node.role == role]}
        for role in ("server", "agent")
    }
    return {"_meta": {"hostvars": variables}, "all": {"children": sorted(groups)}, **groups}


class Ansible:
    """ansible-playbook of this Python. Its output goes to the log line by line."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def play(self, playbook: str, host: str, variables: Mapping[str, Any] | None = None, *, check: bool = False) -> int:
        """Run `playbooks/<playbook>.yml` on one host; the number of tasks that changed something there.

        `variables` may hold secrets: they travel by a file that only we may read, in a folder that lives as long as the
        run. With `check` nothing is changed, and the log shows what would be (--check --diff). Raises PlaybookFailed
        with the failed task's own message, and Refusal when there is no ansible-playbook.
        """
        with tempfile.TemporaryDirectory(prefix="ansible-") as name:  # made with mode 0700
            folder = Path(name)
            lines = self._lines(folder, playbook, host, variables or {}, check)
            return _read(playbook, host, lines)

    def _lines(
        self, folder: Path, playbook: str, host: str, variables: Mapping[str, Any], check: bool
    ) -> Iterable[str]:
        listed = hosts(self._inventory)
        variables_of = listed["_meta"]["hostvars"]
        groups = {
            group: {"hosts": {node: variables_of[node] for node in listed[group]["hosts"]}}
            for group in listed["all"]["children"]
        }
        _write(folder / "hosts.json", {"all": {"children": groups}})
        _write(folder / "variables.json", dict(variables))
        # OpenSSH takes no key that others may read, and a mounted one is readable by the pod's group.
        key = folder / "id_ed25519"
        key.touch(mode=0o600)
        key.write_bytes(ssh.private_key().read_bytes())
        argv = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", str(folder / "hosts.json")),
            *("-e", f"@{folder / 'variables.json'}"),
            *("-l", host),
            *(["--check", "--diff"] if check else []),
            str(ROOT / "playbooks" / f"{playbook}.yml"),
        ]
        try:
            process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise Refusal(f"{error.filename} cannot be started: {error.strerror}; the toolbox image has it.") from None
        return _output(process)


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours but what it needs: a task's environment may hold tokens."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    # Tests name a callback plugin of theirs, which ends the run where they want it to end.
    kept |= {name: value for name, value in os.environ.items() if name.startswith(("ANSIBLE_CALLBACK", "INFRA_OPS_"))}
    options = (
        f"UserKnownHostsFile={ssh.known_hosts()}",
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "ControlMaster=auto",
        "ControlPersist=10s",
        f"ControlPath={folder}/%C",
        "ServerAliveInterval=15",
    )
    return kept | {
        "HOME": str(folder),
        "LANG": kept.get("LANG", "C.UTF-8"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_PRIVATE_KEY_FILE": str(folder / "id_ed25519"),
        "ANSIBLE_SSH_ARGS": " ".join(["-F none", *(f"-o {option}" for option in options)]),
    }


def _write(path: Path, content: Any) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))


def _output(process: subprocess.Popen[str]) -> Iterable[str]:
    """Its lines; ends it when nobody reads them to the end, or when it takes too long."""
    timer = Timer(SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.rstrip("\n")
        if process.wait() != 0:
            yield f"exit {process.returncode}"
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()


def _read(playbook: str, host: str, lines: Iterable[str]) -> int:
    task, faults, changed, status = "", [], 0, ""
    for line in lines:
        log.info("%s", line)
        if found := TASK.match(line):
            task = found[1]
        elif found := FAULT.match(line):
            faults.append(_sentence(task, found[1], found[3]))
        elif line.startswith("changed: ["):
            changed += 1
        status = line
    if not status.startswith("exit "):
        return changed
    why = faults[-1] if faults else f"it ended with status {status.removeprefix('exit ')}, see the log"
    raise PlaybookFailed(f"The playbook {playbook} failed on {host}: {why}")


def _sentence(task: str, host: str, result: str) -> str:
    """The task's own message; what Ansible hid (no_log) stays hidden."""
    try:
        said = json.loads(result)
        message = " ".join(str(said.get("msg") or said.get("stderr") or "it gave no reason").split())
    except ValueError:
        message = "its message cannot be read"
    return f"{task.rpartition(' : ')[2]}: {message[:400]}"
