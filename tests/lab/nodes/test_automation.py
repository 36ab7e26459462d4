"""Ansible and Airflow reach the nodes with host-key checking on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.nodes.conftest import PROJECT, Nodes

PLAYBOOK = """
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.file: {path: /etc/infra-ops, state: directory, mode: "0750"}
    - ansible.builtin.copy: {content: "of {{ inventory_hostname }}", dest: /etc/infra-ops/name, mode: "0600"}
    - ansible.builtin.lineinfile: {path: /etc/infra-ops/lines, line: one, create: true, mode: "0644"}
    - ansible.builtin.command: k3s etcd-snapshot ls
      changed_when: false
      when: inventory_hostname in ["rpi-1", "rpi-2"]
    - ansible.builtin.command: {cmd: hostname}
      register: hostname
      changed_when: hostname.stdout != inventory_hostname
"""


def play(nodes: Nodes, folder: Path, known_hosts: Path, names: list[str], *extra: str) -> str:
    """Runs the playbook; its recap."""
    hosts = {
        name: {"ansible_host": "127.0.0.1", "ansible_port": nodes.ports[name], "ansible_user": "pi"} for name in names
    }
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "playbook.yml").write_text(PLAYBOOK)
    (folder / ".ssh").mkdir(exist_ok=True)
    (folder / ".ssh/known_hosts").write_text(known_hosts.read_text())
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_SSH_ARGS": f"-F none -o UserKnownHostsFile={known_hosts} -o ControlMaster=no",
        "ANSIBLE_PRIVATE_KEY_FILE": str(nodes.key),
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }
    argv = ["ansible-playbook", "-i", "inventory.json", "playbook.yml", *extra]
    result = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)
    return result.stdout + result.stderr


@pytest.mark.parametrize(
    ("names", "extra"),
    [(["rpi-1", "rpi-2", "rpi-5"], []), (["rpi-3"], ["-e", "ansible_connection=paramiko_ssh"])],
    ids=["openssh, three nodes", "paramiko"],
)
def test_a_second_run_of_a_playbook_changes_nothing(
    nodes: Nodes, tmp_path: Path, names: list[str], extra: list[str]
) -> None:
    first = play(nodes, tmp_path, nodes.known_hosts(), names, *extra)
    assert first.count("changed=3 ") == len(names), first
    second = play(nodes, tmp_path, nodes.known_hosts(), names, *extra)
    assert second.count("changed=0 ") == len(names), second
    assert second.count("failed=0") == len(names)
    assert nodes.ssh(names[-1], "cat /etc/infra-ops/name").stdout == f"of {names[-1]}"


@pytest.mark.parametrize("extra", [[], ["-e", "ansible_connection=paramiko_ssh"]], ids=["openssh", "paramiko"])
def test_ansible_does_not_reach_a_node_with_another_host_key(nodes: Nodes, tmp_path: Path, extra: list[str]) -> None:
    recap = play(nodes, tmp_path, nodes.known_hosts({"rpi-1": "rpi-2"}), ["rpi-1"], *extra)
    assert "unreachable=1" in recap, recap


AIRFLOW = """
import base64, json
from airflow.providers.ssh.hooks.ssh import SSHHook
from airflow.providers.ssh.operators.ssh import SSHOperator
command = "set -o pipefail; hostname | tr r R"
output = SSHOperator(task_id="t", ssh_conn_id="right", command=command, cmd_timeout=60, do_xcom_push=True)
class Push:
    def xcom_push(self, **_): pass
print("operator", base64.b64decode(output.execute({"ti": Push(), "task_instance": Push()})).decode())
for name in ("right", "wrong"):
    try:
        with SSHHook(ssh_conn_id=name).get_conn() as client:
            print(name, "connected", client.exec_command("hostname")[1].read().decode())
    except Exception as error:
        print(name, type(error).__name__)
"""


def test_airflow_checks_the_host_key_of_its_connection(nodes: Nodes, tmp_path: Path) -> None:
    """The stock SSH provider accepts any host unless the connection's extra says otherwise."""
    connections = {}
    for name, owner in (("right", "rpi-1"), ("wrong", "rpi-2")):
        extra = {"no_host_key_check": False, "host_key": nodes.host_key(owner), "key_file": str(nodes.key)}
        connection = {"conn_type": "ssh", "host": "127.0.0.1", "port": nodes.ports["rpi-1"], "login": "pi"}
        connections[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(connection | {"extra": extra})
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path), **connections}
    result = subprocess.run(
        [sys.executable, "-c", AIRFLOW], env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=180
    )
    answers = [line for line in result.stdout.splitlines() if line.split(" ")[0] in ("operator", "right", "wrong")]
    assert answers == ["operator Rpi-1", "right connected rpi-1", "wrong BadHostKeyException"], result.stderr[-3000:]
