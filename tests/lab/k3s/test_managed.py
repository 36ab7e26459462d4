"""Secrets encryption as K3s manages it, and the defects of its versions. Each test has a cluster of its own."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab.servers_of_k3s import SERVERS, K3sCluster, running, wait_until

SECRETS = "/api/v1/namespaces/default/secrets"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/50-encryption.yaml"
OLD, NEW = "v1.32.2+k3s1", "v1.32.11+k3s1"
Start = Callable[..., K3sCluster]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda version, seconds=0.5: stack.enter_context(running(tmp_path, version, seconds))


def switch_on(k3s: K3sCluster, *servers: str) -> None:
    for server in servers:
        file = k3s.disk(server, DROP_IN)
        file.parent.mkdir(exist_ok=True)
        file.write_text("secrets-encryption: true\n")


def leader(k3s: K3sCluster) -> str:
    tls = "/var/lib/rancher/k3s/server/tls/etcd"
    etcdctl = f"sudo etcdctl --cacert {tls}/server-ca.crt --cert {tls}/client.crt --key {tls}/client.key "
    etcdctl += "--endpoints https://127.0.0.1:2379 -w json "
    [found] = json.loads(k3s.ssh("rpi-1", f"{etcdctl} endpoint status").stdout)
    members = json.loads(k3s.ssh("rpi-1", f"{etcdctl} member list").stdout)["members"]
    return next(str(member["name"]) for member in members if member["ID"] == found["Status"]["leader"])


def restart(k3s: K3sCluster, server: str) -> int:
    return k3s.ssh(server, "sudo systemctl restart k3s").returncode


def status(k3s: K3sCluster, server: str) -> dict[str, Any]:
    told = k3s.ssh(server, "sudo k3s secrets-encrypt status -o json")
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def raw(k3s: K3sCluster) -> dict[str, bytes]:
    with sqlite3.connect(f"file:{k3s.api.database}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT key, value FROM kv WHERE key LIKE '/registry/secrets/%'")
        return {key: bytes(value) for key, value in rows}


def test_the_managed_way_on_a_version_that_has_it(start: Start) -> None:
    k3s = start(NEW)
    for number in range(3):
        k3s.rest().create(SECRETS, {"metadata": {"name": f"s{number}"}})
    assert "Disabled, no configuration file found" in k3s.ssh("rpi-1", "sudo k3s secrets-encrypt status").stdout
    assert k3s.ssh("rpi-1", "sudo k3s secrets-encrypt enable").stdout == "secrets-encryption enabled\n"
    switch_on(k3s, *SERVERS)
    first = leader(k3s)
    followers = [server for server in SERVERS if server != first]
    assert restart(k3s, followers[0]) == 1, "a follower started before the leader"
    journal = k3s.ssh(followers[0], "sudo journalctl -u k3s -n 1 --no-pager").stdout
    assert "newer than datastore and could cause a cluster outage" in journal
    assert restart(k3s, first) == 0
    assert [restart(k3s, server) for server in followers] == [0, 0]
    wait_until(lambda: status(k3s, "rpi-2").get("hashmatch"))
    assert status(k3s, "rpi-2") == {"stage": "start", "activekey": "", "enable": False, "hashmatch": True}
    assert k3s.ssh("rpi-1", "sudo k3s secrets-encrypt rotate-keys").returncode == 0
    assert all(value.startswith(b"k8s:enc:aescbc:v1:aescbckey-") for value in raw(k3s).values())
    assert status(k3s, "rpi-1")["hasherror"].startswith("hash does not match between rpi-1 and rpi-")
    for server in (leader(k3s), *SERVERS):
        assert restart(k3s, server) == 0
    wait_until(lambda: status(k3s, "rpi-3").get("hashmatch"))
    found = status(k3s, "rpi-3")
    assert (found["stage"], found["enable"]) == ("reencrypt_finished", True)
    assert all(len(k3s.rest(server).get(SECRETS)["items"]) == 3 for server in SERVERS)
    nodes = k3s.rest().get("/api/v1/nodes")["items"]
    hashes = {node["metadata"].get("annotations", {}).get("k3s.io/encryption-config-hash") for node in nodes[:3]}
    [annotation] = hashes
    assert annotation.startswith("reencrypt_finished-")


def test_the_version_of_the_roadmap_cannot_go_that_way(start: Start) -> None:
    """v1.32.2: no `enable`, a key of its own on each server, and a server that dies of being asked too early."""
    k3s = start(OLD, 4)
    k3s.rest().create(SECRETS, {"metadata": {"name": "plain"}})
    refused = k3s.ssh("rpi-1", "sudo k3s secrets-encrypt enable")
    assert refused.returncode == 1
    assert "secret-encrypt error ID" in refused.stderr
    assert ": open : no such file or directory" in k3s.ssh("rpi-1", "journalctl -u k3s -n 1 --no-pager").stdout
    switch_on(k3s, *SERVERS)
    for server in SERVERS:
        assert restart(k3s, server) == 0
    k3s.rest("rpi-1").create(SECRETS, {"metadata": {"name": "by-one"}})
    assert k3s.rest("rpi-2").request("GET", SECRETS).status_code == 500
    wait_until(lambda: "hasherror" in status(k3s, "rpi-1"))
    early = threading.Thread(target=restart, args=(k3s, "rpi-3"))
    early.start()
    wait_until(lambda: '"SubState": "start"' in k3s.disk("rpi-3", "/var/lib/lab/units/k3s.json").read_text())
    asked = k3s.ssh("rpi-3", "sudo k3s secrets-encrypt status")
    early.join()
    assert "EOF" in asked.stderr
    assert "panic: runtime error" in k3s.ssh("rpi-3", "journalctl -u k3s -n 5 --no-pager").stdout


def test_a_rotation_that_reports_a_failure_may_have_succeeded(start: Start) -> None:
    k3s = start(OLD)
    switch_on(k3s, "rpi-1")
    assert restart(k3s, "rpi-1") == 0
    k3s.rest("rpi-1").create(SECRETS, {"metadata": {"name": "s"}})
    wait_until(lambda: status(k3s, "rpi-1").get("hashmatch"))
    before = status(k3s, "rpi-1")["activekey"]
    told = k3s.ssh("rpi-1", "sudo k3s secrets-encrypt rotate-keys")
    assert (told.returncode, "Client.Timeout exceeded" in told.stderr) == (1, True)
    after = status(k3s, "rpi-1")
    assert after["stage"] == "reencrypt_finished"
    assert after["activekey"] != before
    assert raw(k3s)["/registry/secrets/default/s"].startswith(f"k8s:enc:aescbc:v1:{after['activekey']}:".encode())
