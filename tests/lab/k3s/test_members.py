"""The datastore's members: real bytes on each server's disk, and what etcdctl and snapshots show of them."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

from tests.lab.servers_of_k3s import SERVERS, K3sCluster, wait_until

TLS = "/var/lib/rancher/k3s/server/tls/etcd"
ETCDCTL = f"sudo ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert {TLS}/server-ca.crt "
ETCDCTL += f"--cert {TLS}/client.crt --key {TLS}/client.key"
MEMBER = "/var/lib/rancher/k3s/server/db/etcd/member/snap/db"
SECRETS = "/api/v1/namespaces/default/secrets"


def ask(k3s: K3sCluster, server: str, command: str) -> Any:
    told = k3s.ssh(server, f"{ETCDCTL} {command} -w json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def canary(k3s: K3sCluster, name: str) -> bytes:
    """Makes a Secret with a random marker; the marker as it lies in the store."""
    marker = secrets.token_hex(16)
    k3s.rest().create(SECRETS, {"metadata": {"name": name}, "stringData": {"marker": marker}})
    return base64.b64encode(marker.encode())


def test_every_member_has_the_stored_bytes_of_every_key(k3s: K3sCluster) -> None:
    marker = canary(k3s, "everywhere")
    for server in SERVERS:
        [pair] = ask(k3s, server, "get /registry/secrets/default/everywhere --prefix")["kvs"]
        assert base64.b64decode(pair["key"]) == b"/registry/secrets/default/everywhere"
        assert base64.b64decode(pair["value"]).startswith(b'{"kind":"Secret"')
        assert marker in base64.b64decode(pair["value"])
        assert marker in k3s.disk(server, MEMBER).read_bytes()
    found = ask(k3s, "rpi-1", "get /registry/ --prefix --keys-only")
    assert found["count"] == len(found["kvs"]) > 50
    assert "value" not in found["kvs"][0]


def test_old_bytes_stay_until_they_are_compacted_and_the_member_is_defragmented(k3s: K3sCluster) -> None:
    marker = canary(k3s, "overwritten")
    old = ask(k3s, "rpi-1", "get /registry/secrets/default/overwritten")["kvs"][0]["mod_revision"]
    k3s.rest().patch(f"{SECRETS}/overwritten", {"data": {"marker": "eA=="}})
    revision = ask(k3s, "rpi-1", "get /registry/secrets/default/overwritten")["header"]["revision"]
    assert revision > old

    def holders() -> list[str]:
        return [server for server in SERVERS if marker in k3s.disk(server, MEMBER).read_bytes()]

    for server in SERVERS:  # a defrag alone frees nothing that history still holds
        assert k3s.ssh(server, f"{ETCDCTL} defrag").returncode == 0
    assert holders() == SERVERS
    assert k3s.ssh("rpi-2", f"{ETCDCTL} compact {revision}").stdout == f"compacted revision {revision}\n"
    again = k3s.ssh("rpi-2", f"{ETCDCTL} compact {revision}")
    assert again.stderr == "Error: etcdserver: mvcc: required revision has been compacted\n"
    assert holders() == SERVERS
    told = k3s.ssh("rpi-1", f"{ETCDCTL} defrag")
    assert told.stdout.startswith("Finished defragmenting etcd member[https://127.0.0.1:2379]")
    assert holders() == ["rpi-2", "rpi-3"]
    k3s.ssh("rpi-3", f"{ETCDCTL} defrag")
    assert holders() == ["rpi-2"]
    assert k3s.rest().get(f"{SECRETS}/overwritten")["data"] == {"marker": "eA=="}


def test_a_deleted_key_is_gone_and_stays_gone_after_compaction(k3s: K3sCluster) -> None:
    canary(k3s, "deleted")
    k3s.rest().delete(f"{SECRETS}/deleted")
    found = ask(k3s, "rpi-1", "get /registry/secrets/default/deleted")
    assert found["count"] == 0
    k3s.ssh("rpi-1", f"{ETCDCTL} compact {found['header']['revision']}")
    assert ask(k3s, "rpi-1", "get /registry/secrets/default/deleted")["count"] == 0


def test_a_snapshot_holds_the_members_bytes_old_ones_too(k3s: K3sCluster) -> None:
    marker = canary(k3s, "in-snapshot")
    k3s.rest().delete(f"{SECRETS}/in-snapshot")
    result = k3s.ssh("rpi-2", "sudo k3s etcd-snapshot save --name before")
    assert result.returncode == 0, result.stderr
    listed = [line for line in k3s.ssh("rpi-2", "sudo k3s etcd-snapshot ls").stdout.splitlines() if "before-" in line]
    file = k3s.disk("rpi-2", listed[0].split()[1].removeprefix("file://"))
    assert file.read_bytes().startswith(b"SQLite format 3\0")
    assert marker in file.read_bytes()
    assert file.stat().st_size > 20_000_000
    assert file.stat().st_mode & 0o077 == 0


def test_a_member_that_was_away_catches_up(k3s: K3sCluster) -> None:
    canary(k3s, "seen-before")
    k3s.power("rpi-3", on=False)
    wait_until(lambda: not k3s.answers("rpi-3"))
    marker = canary(k3s, "made-meanwhile")
    k3s.rest().delete(f"{SECRETS}/seen-before")
    assert marker in _bytes_soon(k3s, "rpi-1", marker)
    assert marker not in k3s.disk("rpi-3", MEMBER).read_bytes()
    sick = k3s.ssh("rpi-1", f"{ETCDCTL} endpoint health --cluster -w json")
    assert sick.returncode == 1
    assert [each["health"] for each in json.loads(sick.stdout)] == [True, True, False]
    k3s.power("rpi-3", on=True)
    wait_until(lambda: k3s.answers("rpi-3"))
    wait_until(lambda: k3s.ssh("rpi-3", "true").returncode == 0)
    keys = ask(k3s, "rpi-3", "get /registry/secrets/default/ --prefix --keys-only")["kvs"]
    names = {base64.b64decode(pair["key"]).decode().rpartition("/")[2] for pair in keys}
    assert "made-meanwhile" in names
    assert "seen-before" not in names


def _bytes_soon(k3s: K3sCluster, server: str, marker: bytes) -> bytes:
    wait_until(lambda: marker in k3s.disk(server, MEMBER).read_bytes())
    return k3s.disk(server, MEMBER).read_bytes()


def test_the_members_know_each_other_and_who_leads(k3s: K3sCluster) -> None:
    members = ask(k3s, "rpi-2", "member list")["members"]
    assert [member["name"] for member in members] == SERVERS
    assert members[1]["clientURLs"] == ["https://192.168.1.22:2379"]
    status = [each["Status"] for each in ask(k3s, "rpi-2", "endpoint status --cluster")]
    assert len({each["leader"] for each in status}) == 1
    assert status[0]["leader"] in {member["ID"] for member in members}
    assert len({each["header"]["revision"] for each in status}) == 1
    assert all(0 < each["dbSizeInUse"] <= each["dbSize"] for each in status)


def test_only_a_holder_of_etcds_client_certificate_is_answered(k3s: K3sCluster) -> None:
    bare = k3s.ssh("rpi-1", "sudo etcdctl get / --prefix")
    without = k3s.ssh(
        "rpi-1", f"sudo etcdctl --endpoints https://127.0.0.1:2379 --cacert {TLS}/server-ca.crt get / --prefix"
    )
    wrong = k3s.ssh("rpi-1", f"{ETCDCTL} --cacert {TLS}/peer-ca.crt get / --prefix")
    for refused in (bare, without, wrong):
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.endswith("Error: context deadline exceeded\n")
