"""A running kubelet on the session's cluster, and pods on it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from lab import sandbox
from tests.lab.cluster import Cluster
from tests.lab.kubelet.support import Kubelet, Pods, wait_until
from tests.lab.servers import running_controllers


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> client.CoreV1Api:
    """The official Python client, as the cluster's administrator."""
    return client.CoreV1Api(cluster.client())


@pytest.fixture(scope="package")
def controllers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """They let pods onto new nodes. Kubelets come and go in these tests, so no silence is long enough."""
    log = tmp_path_factory.mktemp("controllers") / "log"
    with running_controllers(cluster.kubeconfig, log, "--unless-managed", "--node-grace", "3600"):
        yield


@pytest.fixture(scope="module")
def kubelet(
    request: pytest.FixtureRequest, cluster: Cluster, controllers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kubelet]:
    """A kubelet for one test module; the parameter `rewriting` makes it do without namespaces."""
    mode = getattr(request, "param", "namespaces")
    if mode == "namespaces" and not sandbox.available():
        pytest.skip("this machine refuses unprivileged namespaces")
    running = Kubelet(cluster, tmp_path_factory.mktemp("lab"), namespaces=mode == "namespaces")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def pods(cluster: Cluster, api: client.CoreV1Api) -> Iterator[Pods]:
    """A fresh namespace; its pods are removed at the end."""
    pods = Pods(api, cluster.namespace())
    # On a real server its controller-manager publishes this; the tests of the kubelet do without.
    with contextlib.suppress(ApiException):
        body = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": cluster.ca.read_text()}}
        api.create_namespaced_config_map(pods.namespace, body)
    yield pods
    for pod in pods.all():
        with contextlib.suppress(ApiException):
            api.delete_namespaced_pod(pod.metadata.name, pods.namespace, grace_period_seconds=0)
    wait_until(lambda: not pods.all())


@pytest.fixture
def kubectl(cluster: Cluster, pods: Pods, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs kubectl in the namespace of `pods`."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        if cluster.real and arguments[0] == "exec":
            pytest.skip("a real server speaks SPDY to kubelets when kubectl runs a command; ours knows WebSockets only")
        command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "--namespace", pods.namespace, *arguments]
        environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, **options)

    return run
