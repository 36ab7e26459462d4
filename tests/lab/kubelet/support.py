"""A kubelet process, and short ways to make pods and to wait for them."""

import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from lab import pki
from lab.kubelet.processes import MARK
from tests.lab.cluster import Cluster

PROJECT = Path(__file__).parents[3]
HEARTBEAT_SECONDS = 0.5
VERSION = "v1.32.9+k3s1"  # not the usual one, so that it shows who decides
Answer = TypeVar("Answer")


def wait_until(question: Callable[[], Answer], seconds: float = 40) -> Answer:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {answer!r}"
        time.sleep(0.02)


def ended(pod: client.V1Pod, number: int = 0) -> client.V1ContainerStateTerminated | None:
    """How a main container of a pod ended, if it has."""
    statuses = pod.status.container_statuses
    return statuses[number].state.terminated if statuses else None


def waits_for(pod: client.V1Pod, number: int = 0) -> str:
    """The reason for which a main container of a pod does not run yet; empty if it does, or did."""
    statuses = pod.status.container_statuses
    return statuses[number].state.waiting.reason if statuses and statuses[number].state.waiting else ""


class Kubelet:
    """`python -m lab.kubelet` on a cluster; can be stopped, killed and started again."""

    def __init__(self, cluster: Cluster, folder: Path, *, namespaces: bool) -> None:
        self.root = folder / "kubelet"
        self.node_root = folder / "nodes"
        self.log = folder / "kubelet.log"
        self.certs = folder / "certs" if cluster.real else cluster.ca.parent
        if cluster.real:
            pki.issue(self.certs)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [
            *(sys.executable, "-m", "lab.kubelet", "--kubeconfig", str(cluster.kubeconfig)),
            *("--root", str(self.root), "--node-root", str(self.node_root), "--port", str(self.port)),
            *("--certs", str(self.certs), "--heartbeat", str(HEARTBEAT_SECONDS), "--k3s-version", VERSION),
            *("--volume-lag", "0.2"),
            *("--nodes", str(PROJECT / "lab/seed/nodes.yaml"), "--images", str(PROJECT / "lab/images.yaml")),
            *(["--anonymous"] if cluster.real else []),
            *([] if namespaces else ["--no-namespaces"]),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=PROJECT, stdout=log, stderr=log)
        wait_until(self._is_ready, seconds=60)

    def kill(self) -> None:
        """SIGKILL it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it as the supervisor does."""
        self._end(signal.SIGTERM)

    def processes(self) -> list[psutil.Process]:
        """The processes of pods."""
        return [process for process in psutil.process_iter() if _environment(process).get(MARK) == str(self.root)]

    def sleepers(self, seconds: int) -> list[psutil.Process]:
        """Those processes of pods that are `sleep SECONDS`."""
        return [each for each in self.processes() if _arguments(each)[-2:] == ["sleep", str(seconds)]]

    def switch(self, node: str, *, on: bool) -> None:
        """Work a node's power switch, and wait until the kubelet has noticed."""
        switch = self.node_root / node / "off"
        noticed = f"node {node} is switched {'on' if on else 'off'}"
        before = self.log.read_text().count(noticed)
        if on:
            switch.unlink()
        else:
            switch.parent.mkdir(parents=True, exist_ok=True)
            switch.touch()
        wait_until(lambda: self.log.read_text().count(noticed) > before)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=10)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the kubelet has ended:\n{self.log.read_text()}"
        tls = ssl.create_default_context(cafile=self.certs / "ca.crt")
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"https://127.0.0.1:{self.port}/healthz", context=tls).status == 200
        return False


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


class Pods:
    """Pods in a namespace of their own."""

    def __init__(self, api: client.CoreV1Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def create(
        self, name: str, *containers: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any
    ) -> None:
        """Create a pod; `restartPolicy` is Never unless `spec` says otherwise."""
        listed = [{"name": f"c{number}", "image": "busybox", **each} for number, each in enumerate(containers)]
        metadata = {"name": name, "annotations": annotations}
        body = {"metadata": metadata, "spec": {"restartPolicy": "Never", **spec, "containers": listed}}
        self.api.create_namespaced_pod(self.namespace, body)

    def run(self, name: str, script: str, **spec: Any) -> str:
        """Run a shell script in a pod with one container to its end; what it wrote."""
        self.create(name, {"command": ["sh", "-c", script]}, **spec)
        self.wait(name, lambda pod: pod.status.phase in ("Succeeded", "Failed"))
        return self.log(name)

    def get(self, name: str) -> client.V1Pod:
        return self.api.read_namespaced_pod(name, self.namespace)

    def wait(self, name: str, condition: Callable[[client.V1Pod], object], seconds: float = 40) -> client.V1Pod:
        """The pod, as soon as the condition holds."""

        def question() -> client.V1Pod | None:
            pod = self.get(name)
            return pod if condition(pod) else None

        return wait_until(question, seconds)

    def wait_running(self, name: str) -> client.V1Pod:
        return self.wait(name, lambda pod: pod.status.phase == "Running")

    def wait_gone(self, name: str, seconds: float = 40) -> None:
        wait_until(lambda: name not in [pod.metadata.name for pod in self.all()], seconds)

    def all(self) -> list[client.V1Pod]:
        return self.api.list_namespaced_pod(self.namespace).items

    def log(self, name: str, **options: Any) -> str:
        # With preloaded content this client gives the repr of bytes.
        answer = self.api.read_namespaced_pod_log(name, self.namespace, _preload_content=False, **options)
        return answer.data.decode()

    def wait_log(self, name: str, text: str, seconds: float = 40, **options: Any) -> str:
        """The log, as soon as it contains a text."""

        def question() -> str:
            try:
                log = self.log(name, **options)
            except ApiException as error:
                if error.status not in (400, 404):  # the container waits to start; the kubelet has not heard of it
                    raise
                return ""
            return log if text in log else ""

        return wait_until(question, seconds)

    def events(self, name: str) -> list[str]:
        """`reason: message` of a pod's events."""
        events = self.api.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}").items
        return [f"{event.reason}: {event.message}" for event in events]

    def secret(self, name: str, **data: str) -> None:
        """Create or replace a Secret."""
        self._put(self.api.replace_namespaced_secret, self.api.create_namespaced_secret, name, {"stringData": data})

    def config_map(self, name: str, **data: str) -> None:
        """Create or replace a ConfigMap."""
        self._put(self.api.replace_namespaced_config_map, self.api.create_namespaced_config_map, name, {"data": data})

    def _put(self, replace: Callable[..., Any], create: Callable[..., Any], name: str, body: dict[str, Any]) -> None:
        body = {"metadata": {"name": name}, **body}
        try:
            replace(name, self.namespace, body)
        except ApiException as error:
            if error.status != 404:
                raise
            create(self.namespace, body)
