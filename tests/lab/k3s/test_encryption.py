"""What an EncryptionConfiguration does on servers that share one store, each with keys of its own."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.apiserver.rest import status
from tests.lab.servers_of_k3s import SERVERS, K3sCluster, wait_until

FILE = "/var/lib/rancher/k3s/server/cred/infra-ops-encryption.json"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/50-encryption.yaml"
ARGUMENTS = f"""kube-apiserver-arg+:
- encryption-provider-config={FILE}
- encryption-provider-config-automatic-reload=true
"""
SECRETS = "/api/v1/namespaces/default/secrets"
IDENTITY: dict[str, Any] = {"identity": {}}


def box(name: str, letter: str) -> dict[str, Any]:
    return {"secretbox": {"keys": [{"name": name, "secret": base64.b64encode(letter.encode() * 32).decode()}]}}


def configure(k3s: K3sCluster, server: str, *providers: dict[str, Any], restart: bool = True) -> None:
    rules = [{"resources": ["secrets"], "providers": list(providers)}]
    whole = {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": rules}
    for path, text in ((FILE, json.dumps(whole)), (DROP_IN, ARGUMENTS)):
        k3s.disk(server, path).parent.mkdir(parents=True, exist_ok=True)
        k3s.disk(server, path).write_text(text)
    if restart:
        done = k3s.ssh(server, "sudo systemctl restart k3s")
        assert done.returncode == 0, done.stderr


def raw(k3s: K3sCluster, name: str) -> bytes:
    with sqlite3.connect(f"file:{k3s.api.database}?mode=ro", uri=True) as database:
        query = "SELECT value FROM kv WHERE key = ?"
        return bytes(database.execute(query, (f"/registry/secrets/default/{name}",)).fetchone()[0])


def reloads(k3s: K3sCluster, server: str, outcome: str = "success") -> int:
    name = "apiserver_encryption_config_controller_automatic_reloads_total"
    found = re.search(
        rf'^{name}{{.*status="{outcome}"}} (\d+)$', k3s.rest(server).request("GET", "/metrics").text, re.M
    )
    return int(found[1]) if found else 0


@pytest.fixture
def secrets(k3s: K3sCluster) -> Iterator[None]:
    """One Secret; afterwards it is gone and all servers are plain again."""
    k3s.rest().create(SECRETS, {"metadata": {"name": "first"}, "stringData": {"a": "b"}})
    yield
    for server in SERVERS:
        configure(k3s, server, box("one", "1"), box("two", "2"), IDENTITY)
    for item in k3s.rest("rpi-1").get(SECRETS)["items"]:
        k3s.rest("rpi-1").delete(f"{SECRETS}/{item['metadata']['name']}")
    for server in SERVERS:
        k3s.disk(server, DROP_IN).unlink()
        k3s.ssh(server, "sudo systemctl restart k3s")


@pytest.mark.usefixtures("secrets")
def test_a_key_that_is_second_is_read_and_one_that_is_first_is_written(k3s: K3sCluster) -> None:
    """The way from plain to encrypted: all can read it before anybody writes it, and no reader is ever wrong."""
    for server in SERVERS:
        configure(k3s, server, IDENTITY, box("one", "1"))
    k3s.rest("rpi-2").create(SECRETS, {"metadata": {"name": "second"}})
    assert raw(k3s, "second").startswith(b"{")
    for server in SERVERS:
        before = reloads(k3s, server)
        configure(k3s, server, box("one", "1"), IDENTITY, restart=False)
        wait_until(lambda server=server, before=before: reloads(k3s, server) == before + 1, 3)
        assert len(k3s.rest(server).get(SECRETS)["items"]) == 2
    found = k3s.rest("rpi-3").get(f"{SECRETS}/first")
    k3s.rest("rpi-3").replace(f"{SECRETS}/first", found)
    assert raw(k3s, "first").startswith(b"k8s:enc:secretbox:v1:one:")
    for server in SERVERS:
        assert k3s.rest(server).get(f"{SECRETS}/first")["data"] == found["data"]


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (box("one", "2"), "output array was not large enough for encryption"),
        (box("two", "2"), "no matching key was found for the provided Secretbox transformer"),
    ],
    ids=["same name", "another name"],
)
def test_two_servers_with_different_keys_fail_as_real_ones_do(
    k3s: K3sCluster, other: dict[str, Any], reason: str
) -> None:
    configure(k3s, "rpi-1", box("one", "1"), IDENTITY)
    configure(k3s, "rpi-2", other, IDENTITY)
    k3s.rest("rpi-1").create(SECRETS, {"metadata": {"name": "mine"}})
    there = k3s.rest("rpi-2")
    for answer in (there.request("GET", SECRETS), there.request("DELETE", f"{SECRETS}/mine")):
        code, _, message = status(answer)
        assert code == 500
        assert f'unable to transform key "/registry/secrets/default/mine": {reason}' in message
    assert k3s.answers("rpi-2")
    assert there.get(f"{SECRETS}/first")
    assert there.get("/api/v1/namespaces")
    assert len(k3s.rest("rpi-1").get(SECRETS)["items"]) == 2
    assert there.request("DELETE", f"{SECRETS}/first").ok


@pytest.mark.usefixtures("secrets")
def test_a_watch_through_a_server_without_the_key_ends_with_an_error(k3s: K3sCluster) -> None:
    configure(k3s, "rpi-1", box("one", "1"), IDENTITY)
    version = k3s.rest("rpi-2").get(SECRETS)["metadata"]["resourceVersion"]
    with k3s.rest("rpi-2").watch(SECRETS, resourceVersion=version) as watch:
        k3s.rest("rpi-1").create(SECRETS, {"metadata": {"name": "mine"}})
        kind, obj = watch.next()
    assert (kind, obj["code"]) == ("ERROR", 500)


@pytest.mark.usefixtures("secrets")
def test_a_file_that_breaks_while_it_runs_changes_nothing_but_a_count(k3s: K3sCluster) -> None:
    configure(k3s, "rpi-1", box("one", "1"), IDENTITY)
    k3s.disk("rpi-1", FILE).write_text("{")
    wait_until(lambda: reloads(k3s, "rpi-1", "failure") == 1, 3)
    k3s.rest("rpi-1").create(SECRETS, {"metadata": {"name": "mine"}})
    assert raw(k3s, "mine").startswith(b"k8s:enc:secretbox:v1:one:")


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, f'error opening encryption provider configuration file \\"{FILE}\\": open {FILE}: no such file'),
        ("", f'encryption provider configuration file \\"{FILE}\\" is empty'),
        ("kind: Pod", 'no kind \\"Pod\\" is registered'),
    ],
    ids=["missing", "empty", "another kind"],
)
def test_a_server_without_a_usable_file_does_not_start(k3s: K3sCluster, text: str | None, complaint: str) -> None:
    configure(k3s, "rpi-3", IDENTITY)
    k3s.disk("rpi-3", FILE).unlink() if text is None else k3s.disk("rpi-3", FILE).write_text(text)
    assert k3s.ssh("rpi-3", "sudo systemctl restart k3s").returncode == 1
    told = k3s.ssh("rpi-3", "sudo journalctl -u k3s -n 2 --no-pager").stdout
    assert 'level=fatal msg="apiserver exited: error while parsing file: ' in told
    assert complaint in told
    assert str(k3s.root) not in told
    assert not k3s.answers("rpi-3")
    assert k3s.answers()


@pytest.mark.usefixtures("secrets")
def test_a_node_tells_what_its_server_was_started_with(k3s: K3sCluster) -> None:
    def arguments(server: str) -> list[str]:
        annotations = k3s.rest().get(f"/api/v1/nodes/{server}")["metadata"].get("annotations") or {}
        return list(json.loads(annotations.get("k3s.io/node-args", "[]")))

    wait_until(lambda: arguments("rpi-1")[:2] == ["server", "--cluster-init"])
    configure(k3s, "rpi-1", IDENTITY)
    wait_until(lambda: f"encryption-provider-config={FILE}" in arguments("rpi-1"))
    assert "--kube-apiserver-arg" in arguments("rpi-1")
    assert f"encryption-provider-config={FILE}" not in arguments("rpi-2")
