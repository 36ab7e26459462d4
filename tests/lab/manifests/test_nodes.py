"""The connections to the nodes that step 4 of the chapter writes, as Airflow's SSH hook takes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import asyncssh
import pytest
from airflow.models.connection import Connection

from infra_ops.include import inventory
from tests.lab.manifests.chapter import block, checkout, run

pytestmark = pytest.mark.skipif(
    not shutil.which("ssh-keygen"), reason="the chapter's command needs OpenSSH's ssh-keygen"
)


def connections(folder: Path) -> dict[str, str]:
    """What was appended to worker.env."""
    lines = (folder / "include/manifests/infra-ops/worker.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("AIRFLOW_CONN_NODE_"))


def test_every_node_gets_a_connection_that_pins_the_host_key_it_was_accepted_with(tmp_path: Path) -> None:
    """And tool pods get a file with the same keys."""
    folder, keys = checkout(tmp_path), {}
    (folder / ".ssh").mkdir()
    for node in inventory().nodes:
        keys[node.name] = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        with (folder / ".ssh" / "known_hosts").open("a") as known:
            known.write(f"{node.address} {keys[node.name]}\n")
    run(block("AIRFLOW_CONN_NODE_"), folder)
    once = (folder / "include/manifests/infra-ops/worker.env").read_text()
    run(block("AIRFLOW_CONN_NODE_"), folder)
    assert (folder / "include/manifests/infra-ops/worker.env").read_text() == once
    found = connections(folder)
    assert len(found) == len(inventory().nodes)
    hosts = [f"{node.address} {keys[node.name]}" for node in inventory().nodes]
    assert (folder / "known_hosts").read_text().splitlines() == hosts
    for node in inventory().nodes:
        connection = Connection(**json.loads(found[f"AIRFLOW_CONN_NODE_{node.name.upper().replace('-', '_')}"]))
        extra = connection.extra_dejson
        assert (connection.conn_type, connection.host) == ("ssh", node.address)
        assert extra["host_key"] == keys[node.name]
        assert extra["no_host_key_check"] is False


def test_a_node_whose_host_key_was_never_accepted_is_named(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    (folder / ".ssh").mkdir()
    (folder / ".ssh" / "known_hosts").touch()
    with pytest.raises(AssertionError, match="no ed25519 host key of rpi-1"):
        run(block("AIRFLOW_CONN_NODE_"), folder)
