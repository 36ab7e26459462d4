"""Which services a lab has, and how they are started."""

from pathlib import Path

import pytest

from lab import K3S_VERSION, credentials
from lab.layout import Lab
from lab.ports import Ports
from lab.services import git
from lab.services.plan import services

GIVEN = """
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


@pytest.mark.parametrize("version", [K3S_VERSION, "v1.36.2"])
def test_kubelet_and_nodes_claim_the_version_of_the_lab(tmp_path: Path, version: str) -> None:
    """On a given API server it is that server's, so that a check for mixed versions finds none."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(GIVEN)
    planned = services(Lab(tmp_path, Ports(), kubeconfig, version), with_airflow=False)
    commands = {service.name: service.command for service in planned}
    for name in ("kubelet", "nodes"):
        assert commands[name][commands[name].index("--k3s-version") + 1] == version
    assert "apiserver" not in commands


@pytest.mark.parametrize("with_airflow", [True, False])
def test_airflows_service_leads_to_the_labs_own_airflow_where_that_runs(tmp_path: Path, with_airflow: bool) -> None:
    lab = Lab(tmp_path, Ports())
    commands = {service.name: service.command for service in services(lab, with_airflow=with_airflow)}
    backends = [word for word in commands["proxy"] if word.startswith("airflow/")]
    wanted = [f"airflow/airflow-api-server:8080=127.0.0.1:{lab.ports.of('airflow')}"] if with_airflow else []
    assert backends == wanted


@pytest.mark.parametrize("installed", [True, False])
def test_without_git_or_ssh_a_lab_starts_and_has_no_git_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(git, "PROGRAMS", ("sh",) if installed else ("sh", "a-program-that-nobody-has"))
    assert ("git" in {service.name for service in services(Lab(tmp_path, Ports()))}) == installed


def test_no_password_is_on_a_command_line(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Ports())
    credentials.invent(lab.credentials)
    words = [word for service in services(lab, with_celery=True) for word in service.command]
    passwords = [credentials.read(lab.credentials, name) for name in credentials.USERS]
    assert [word for word in words if any(password in word for password in passwords)] == []
