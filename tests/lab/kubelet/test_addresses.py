"""Each pod has an address of its own, as on a real cluster."""

import pytest
from kubernetes import client

from lab.kubelet import addresses
from lab.kubelet.addresses import Addresses
from tests.lab.kubelet.support import Kubelet, Pods

LISTEN = "import os, socket, time; s = socket.create_server((os.environ['POD_IP'], 7999)); time.sleep(60)"
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def is_ready(pod: client.V1Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or [])


def test_no_two_living_pods_share_an_address() -> None:
    """Even when there are more pods than luck would allow: what two uids would both get, one of them gets."""
    many = Addresses()
    taken = {many.take(str(number)) for number in range(2000)}
    assert len(taken) == 2000


def test_an_address_is_kept_until_its_pod_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "LAST", 3)
    three = Addresses()
    first, second, third = (three.take(uid) for uid in ("a", "b", "c"))
    assert (three.take("a"), three.take("b"), three.take("c")) == (first, second, third)
    three.release("b")
    assert three.take("d") == second


@pytest.mark.usefixtures("kubelet")
def test_two_pods_listen_on_the_same_port(pods: Pods) -> None:
    """A rolling update needs it: the new pod listens before the old one ends."""
    for name in ("blue", "green"):
        script = {"command": ["python3", "-c", LISTEN], "env": [POD_IP]}
        pods.create(name, {**script, "readinessProbe": {"tcpSocket": {"port": 7999}, "periodSeconds": 1}})
    ips = set()
    for name in ("blue", "green"):
        pod = pods.wait(name, is_ready)
        ips.add(pod.status.pod_ip)
    assert len(ips) == 2


def test_the_address_outlives_a_restart_of_the_kubelet(pods: Pods, kubelet: Kubelet) -> None:
    pods.create("stays", {"command": ["sleep", "60"]}, restartPolicy="Always")
    before = pods.wait_running("stays").status.pod_ip
    kubelet.stop()
    kubelet.start()
    pods.wait("stays", lambda pod: pod.status.container_statuses[0].restart_count == 1)
    assert pods.wait_running("stays").status.pod_ip == before


@pytest.mark.usefixtures("kubelet")
def test_a_pod_on_the_hosts_network_has_the_nodes_address(pods: Pods) -> None:
    pods.create("host", {"command": ["sleep", "60"]}, hostNetwork=True)
    status = pods.wait_running("host").status
    assert (status.pod_ip, status.host_ip) == ("127.0.0.1", "127.0.0.1")
