"""What tool pods find in the lab where they run."""

from __future__ import annotations

from pathlib import Path

from lab.layout import Lab
from lab.ports import Ports
from lab.services.airflow_access import tools_mounts


def test_a_namespace_gets_what_its_tool_pods_mount_and_above_all_no_key_for_the_nodes_beside_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Ports())
    files = (lab.certs / "ca.crt", lab.ssh / "id_ed25519", lab.ssh / "known_hosts")
    for file in (*files, *(lab.include / f"{name}.yaml" for name in ("cluster", "roadmap", "checks"))):
        file.parent.mkdir(exist_ok=True)
        file.write_text("invented")
    found = sorted(f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in tools_mounts(lab))
    assert found == [
        "infra-ops-hardening/infra-ops-ca",
        "infra-ops-hardening/infra-ops-include",
        "infra-ops-hardening/node-ssh",
        "infra-ops-hardening/toolbox",
        "infra-ops-repository/infra-ops-ca",
        "infra-ops-repository/infra-ops-include",
        "infra-ops-repository/toolbox",
        "infra-ops-upkeep/infra-ops-include",
        "infra-ops-upkeep/node-ssh",
    ]
