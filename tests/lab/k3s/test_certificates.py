"""The certificates of K3s: real ones, renewed by a start within their window and by nothing else."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509

from tests.lab.servers_of_k3s import K3sCluster

CHECK = "sudo k3s certificate check --output table"


def shown(k3s: K3sCluster, server: str) -> x509.Certificate:
    """What the server shows on its own port, checked by the lab's authority."""
    pem = ssl.get_server_certificate(("127.0.0.1", k3s.api_ports[server]), ca_certs=str(k3s.ca), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode())


def days_left(k3s: K3sCluster, server: str) -> float:
    return (shown(k3s, server).not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86400


def table(k3s: K3sCluster, name: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(file, subject) -> (status, end)."""
    lines = k3s.ssh(name, CHECK).stdout.splitlines()
    assert lines[1].split() == ["CERTIFICATE", "SUBJECT", "STATUS", "EXPIRES"]
    rows = [re.split(r"  +", line) for line in lines[3:]]
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def test_a_server_shows_a_leaf_of_its_own_for_a_year(k3s: K3sCluster) -> None:
    assert 364 < days_left(k3s, "rpi-1") < 366
    assert shown(k3s, "rpi-1").serial_number != shown(k3s, "rpi-2").serial_number


def test_the_table_lists_every_leaf_of_a_server_and_of_an_agent(k3s: K3sCluster) -> None:
    server, agent = table(k3s, "rpi-1"), table(k3s, "rpi-4")
    assert ("client-admin.crt", "CN=system:admin,O=system:masters") in server
    assert ("serving-kube-apiserver.crt", "CN=kube-apiserver") in server
    assert ("client-kubelet.crt", "CN=system:node:rpi-4,O=system:nodes") in agent
    assert len({file for file, _ in server}) == 15
    assert len({file for file, _ in agent}) == 4
    assert {status for status, _ in (*server.values(), *agent.values())} == {"OK"}


@pytest.mark.parametrize(("name", "unit"), [("rpi-2", "k3s"), ("rpi-5", "k3s-agent")])
def test_only_a_start_within_90_days_of_the_end_renews(k3s: K3sCluster, name: str, unit: str) -> None:
    for days, statuses in ((95, {"OK"}), (85, {"WARNING", "OK"})):
        k3s.age_certificates(name, days)
        before = table(k3s, name)
        assert {status for status, _ in before.values()} == statuses
        assert k3s.ssh(name, f"sudo systemctl restart {unit}").returncode == 0
        after = table(k3s, name)
        assert (after == before) == (days > 90)
    assert {status for status, _ in after.values()} == {"OK"}
    if unit == "k3s":
        assert days_left(k3s, name) > 360


def test_a_renewal_keeps_the_key(k3s: K3sCluster) -> None:
    before = shown(k3s, "rpi-3").public_key()
    k3s.age_certificates("rpi-3", 10)
    k3s.ssh("rpi-3", "sudo systemctl restart k3s")
    assert shown(k3s, "rpi-3").public_key() == before


def test_a_newer_version_has_another_table_and_a_longer_window(k3s: K3sCluster) -> None:
    version = k3s.disk("rpi-6", "/var/lib/lab/k3s-version")
    old = version.read_text()
    version.write_text("v1.32.6+k3s1\n")
    try:
        k3s.age_certificates("rpi-6", 100)
        lines = k3s.ssh("rpi-6", CHECK).stdout.splitlines()
        assert lines[1].split() == ["FILENAME", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL", "TIME", "STATUS"]
        [kubelet] = [line for line in lines if line.startswith("client-kubelet.crt") and "ClientAuth" in line]
        assert "system:node:rpi-6" in kubelet
        assert kubelet.split()[-3:] == ["3", "months", "WARNING"]
        k3s.ssh("rpi-6", "sudo systemctl restart k3s-agent")
        assert "WARNING" not in k3s.ssh("rpi-6", CHECK).stdout
    finally:
        version.write_text(old)
