"""The nodes as the API server knows them, their heartbeats and their power."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from kubernetes import client

from tests.lab.cluster import Cluster
from tests.lab.kubelet.support import HEARTBEAT_SECONDS, PROJECT, VERSION, Kubelet, Pods, ended, wait_until


@pytest.fixture
def leases(api: client.CoreV1Api, kubelet: Kubelet) -> client.CoordinationV1Api:
    return client.CoordinationV1Api(api.api_client)


def ready(node: client.V1Node) -> client.V1NodeCondition:
    return next(each for each in node.status.conditions if each.type == "Ready")


def test_a_broken_seed_file_is_named(cluster: Cluster, tmp_path: Path) -> None:
    seed = tmp_path / "nodes.yaml"
    seed.write_text("- {name: rpi-1}\n")
    argv = [sys.executable, "-m", "lab.kubelet", "--kubeconfig", str(cluster.kubeconfig), "--root", str(tmp_path)]
    argv += [
        "--port",
        "1",
        "--certs",
        str(tmp_path),
        "--nodes",
        str(seed),
        "--images",
        str(PROJECT / "lab/images.yaml"),
    ]
    result = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert f"lab.kubelet: {seed} is not a list of nodes with name, role, address and capacity" in result.stderr


def test_the_eight_nodes_of_the_seed_are_registered(api: client.CoreV1Api, kubelet: Kubelet) -> None:
    nodes = {node.metadata.name: node for node in api.list_node(label_selector="infra-ops.lab/node=true").items}
    assert sorted(nodes) == [f"rpi-{number}" for number in range(1, 9)]
    server, agent = nodes["rpi-1"], nodes["rpi-8"]
    assert server.metadata.labels["node-role.kubernetes.io/control-plane"] == "true"
    assert "node-role.kubernetes.io/control-plane" not in agent.metadata.labels
    assert server.metadata.annotations["k3s.io/internal-ip"] == "192.168.1.21"
    info = server.status.node_info
    assert (info.architecture, info.kubelet_version) == ("arm64", VERSION)
    assert server.status.allocatable == {"cpu": "4", "memory": "8Gi", "pods": "110"}
    assert server.status.daemon_endpoints.kubelet_endpoint.port == kubelet.port
    addresses = {each.type: each.address for each in server.status.addresses}
    assert addresses == {"InternalIP": "127.0.0.1", "Hostname": "rpi-1"}
    assert ready(server).status == "True"


def test_a_heartbeat_renews_the_lease(leases: client.CoordinationV1Api) -> None:
    first = leases.read_namespaced_lease("rpi-3", "kube-node-lease").spec.renew_time
    wait_until(lambda: leases.read_namespaced_lease("rpi-3", "kube-node-lease").spec.renew_time > first)


def test_a_node_that_somebody_called_not_ready_corrects_it(api: client.CoreV1Api, kubelet: Kubelet) -> None:
    """So a node that was only silent for a while is ready again as soon as it speaks."""
    unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "silence"}
    api.patch_node_status("rpi-5", {"status": {"conditions": [unknown]}})
    wait_until(lambda: ready(api.read_node("rpi-5")).status == "True")


def test_a_node_without_power_falls_silent_and_its_processes_die(
    kubelet: Kubelet, pods: Pods, leases: client.CoordinationV1Api
) -> None:
    """Nobody is told: the API server still believes that the pod runs. With power the pod starts again."""
    container = {"command": ["sleep", "888"]}
    pods.create("victim", container, nodeName="rpi-4", restartPolicy="Always")
    wait_until(lambda: kubelet.sleepers(888))
    pods.wait_running("victim")
    try:
        kubelet.switch("rpi-4", on=False)
        wait_until(lambda: not kubelet.sleepers(888))
        assert pods.get("victim").status.phase == "Running"
        silent_since = leases.read_namespaced_lease("rpi-4", "kube-node-lease").spec.renew_time
        time.sleep(4 * HEARTBEAT_SECONDS)  # nothing to await: the proof is that nothing happens
        assert leases.read_namespaced_lease("rpi-4", "kube-node-lease").spec.renew_time == silent_since
        boot = pods.api.read_node("rpi-4").status.node_info.boot_id
    finally:
        kubelet.switch("rpi-4", on=True)
    wait_until(lambda: leases.read_namespaced_lease("rpi-4", "kube-node-lease").spec.renew_time > silent_since)
    pod = pods.wait("victim", lambda pod: pod.status.container_statuses[0].restart_count == 1)
    assert pod.status.container_statuses[0].last_state.terminated.reason == "Unknown"
    assert pods.api.read_node("rpi-4").status.node_info.boot_id != boot


def test_a_pod_on_a_node_without_power_can_only_be_removed_by_force(kubelet: Kubelet, pods: Pods) -> None:
    kubelet.switch("rpi-5", on=False)
    try:
        pods.create("stranded", {"command": ["true"]}, nodeName="rpi-5")
        pods.create("witness", {"command": ["true"]})
        pods.wait("witness", ended)
        assert pods.get("stranded").status.phase == "Pending"
        pods.api.delete_namespaced_pod("stranded", pods.namespace, grace_period_seconds=5)
        assert pods.get("stranded").metadata.deletion_timestamp
        pods.api.delete_namespaced_pod("stranded", pods.namespace, grace_period_seconds=0)
        pods.wait_gone("stranded")
    finally:
        kubelet.switch("rpi-5", on=True)
