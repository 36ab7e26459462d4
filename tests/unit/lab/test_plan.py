"""Which services a lab has, and how they are started."""

from pathlib import Path

import pytest

from lab import K3S_VERSION
from lab.layout import Lab
from lab.ports import Ports
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
