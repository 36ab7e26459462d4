"""The lab's inventory is the real one, but for the addresses of servers."""

from pathlib import Path

import pytest
import yaml

from infra_ops import include
from lab import inventory
from lab.inventory import placed

ADDRESSES = {
    "databases/postgresql:5432": "127.0.0.1:30001",
    "celery/flower:5555": "127.0.0.1:30002",
    "financial-screener/flower:5555": "127.0.0.1:30003",
    "monitoring/grafana:80": "127.0.0.1:30004",
    "airflow/airflow-api-server:8080": "127.0.0.1:30005",
    "nas.example.org:5001": "127.0.0.1:20001",
    "pihole.example.org:443": "127.0.0.1:20002",
    "pihole.example.org:80": "127.0.0.1:20003",
}
NOBODY = inventory.Ports({}, {})


def test_every_place_of_a_service_becomes_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory.write(tmp_path / "include", ADDRESSES, NOBODY)
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path / "include"))
    assert ".svc" not in yaml.safe_dump(include.inventory().model_dump(mode="json"))
    target = include.inventory().credentials["postgres_appuser"].target
    assert target is not None
    assert (target.kind, getattr(target, "host", ""), getattr(target, "port", 0)) == ("postgres", "127.0.0.1", 30001)
    assert include.roadmap()


def test_nothing_but_places_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory.write(tmp_path / "include", {}, NOBODY)
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path / "include"))
    assert include.inventory() == inventory.load()


def test_machines_are_at_their_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = {"rpi-1": 1, "rpi-4": 4, "nas": 9, "git": 5}
    inventory.write(tmp_path / "include", {}, inventory.Ports(ssh, {"rpi-1": 11}))
    monkeypatch.setenv("INFRA_OPS_INCLUDE", str(tmp_path / "include"))
    found = include.inventory()
    nodes = {node.name: (node.address, node.ssh_port, node.api_port) for node in found.nodes}
    assert nodes["rpi-1"] == ("127.0.0.1", 1, 11)
    assert nodes["rpi-4"] == ("127.0.0.1", 4, 6443)
    assert nodes["rpi-2"] == ("192.168.1.22", 22, 6443)
    assert found.off_cluster is not None
    assert (found.off_cluster.address, found.off_cluster.ssh_port) == ("127.0.0.1", 9)
    assert (found.off_cluster.user, found.off_cluster.path) == ("infra-ops", "/volume1/infra-ops")
    assert found.repository is not None
    assert found.repository.url == "ssh://git@127.0.0.1:5/stratdata/infrastructure.git"
    assert found.repository.deploy_key == "infrastructure"


def test_a_second_start_replaces_the_copy_of_the_first(tmp_path: Path) -> None:
    inventory.write(tmp_path / "include", {}, NOBODY)
    (tmp_path / "include" / "left-over.yaml").touch()
    inventory.write(tmp_path / "include", ADDRESSES, NOBODY)
    assert not (tmp_path / "include" / "left-over.yaml").exists()
    assert "127.0.0.1:30001" in (tmp_path / "include" / "cluster.yaml").read_text()


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        ("x://postgresql.databases.svc:5432/db", "x://127.0.0.1:30001/db"),
        ("postgresql.databases.svc.cluster.local:5432", "127.0.0.1:30001"),
        ({"host": "postgresql.databases.svc", "port": 5432}, {"host": "127.0.0.1", "port": 30001}),
        (["flower.celery.svc:5555", 5], ["127.0.0.1:30002", 5]),
        ("unknown.databases.svc:5432", "unknown.databases.svc:5432"),
        ("postgresql.databases.svc:54321", "postgresql.databases.svc:54321"),
        ({"host": "elsewhere", "port": 5432}, {"host": "elsewhere", "port": 5432}),
        ("https://nas.example.org:5001", "https://127.0.0.1:20001"),
        ("https://nas.example.org:5001/webapi/entry.cgi", "https://127.0.0.1:20001/webapi/entry.cgi"),
        ("nas.example.org:5001", "127.0.0.1:20001"),
        ({"host": "nas.example.org", "port": 5001}, {"host": "127.0.0.1", "port": 20001}),
        ("https://pihole.example.org", "https://127.0.0.1:20002"),
        ("http://pihole.example.org/admin", "http://127.0.0.1:20003/admin"),
        ("https://nas.example.org", "https://nas.example.org"),
        ("https://other.nas.example.org:5001", "https://other.nas.example.org:5001"),
        ("https://nas.example.org:50011", "https://nas.example.org:50011"),
        ("pihole.example.org", "pihole.example.org"),
        ("root@nas.example.org", "root@nas.example.org"),
    ],
)
def test_texts_and_pairs_of_host_and_port_are_replaced(node: object, wanted: object) -> None:
    """What the lab does not have keeps its name; a URL without a port has that of its scheme."""
    assert placed(node, ADDRESSES) == wanted
