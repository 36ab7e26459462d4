"""What a container finds in its environment and file tree, with namespaces and without."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from tests.lab.kubelet.support import Kubelet, Pods, ended, wait_until

pytestmark = pytest.mark.parametrize("kubelet", ["namespaces", "rewriting"], indirect=True)

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(autouse=True)
def _kubelet(kubelet: Kubelet) -> None:
    """Every test here runs in both modes."""


def mounted(script: str, **paths: str) -> dict[str, object]:
    """A container that runs a shell script, with volumes mounted by name."""
    mounts = [{"name": name, "mountPath": path} for name, path in paths.items()]
    return {"command": ["sh", "-c", script], "volumeMounts": mounts}


def test_variables_come_from_secrets_config_maps_fields_and_each_other(pods: Pods) -> None:
    pods.secret("login", user="alice", password="pass word")
    pods.config_map("settings", level="debug")
    environment = [
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "NOTE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['note']"}}},
        {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "no-such", "key": "x", "optional": True}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "GREETING", "value": "hello $(DB_user) $$(DB_user) $(UNKNOWN)"},
    ]
    container = {
        "command": ["python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))"],
        "envFrom": [{"secretRef": {"name": "login"}, "prefix": "DB_"}],
        "env": environment,
        "resources": {"limits": {"memory": "64Mi"}},
    }
    pods.create("env", container, annotations={"note": "mind the gap"})
    pod = pods.wait("env", lambda pod: pod.status.phase == "Succeeded")
    seen = json.loads(pods.log("env"))
    assert (seen["DB_user"], seen["DB_password"], seen["LEVEL"]) == ("alice", "pass word", "debug")
    assert (seen["NODE"], seen["NOTE"], seen["MEMORY"]) == (pod.spec.node_name, "mind the gap", "64")
    assert seen["GREETING"] == "hello alice $(DB_user) $(UNKNOWN)"
    assert "GONE" not in seen
    assert seen["HOSTNAME"] == "env"


def test_nothing_of_the_kubelets_own_environment_leaks_in(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    pods.create("bare", {"command": ["env"]})
    pods.wait("bare", lambda pod: pod.status.phase == "Succeeded")
    names = {line.partition("=")[0] for line in pods.log("bare").splitlines()}
    allowed = {"PATH", "LANG", "HOSTNAME", "HOME", "PWD", "LAB_KUBELET_ROOT", "KUBECONFIG"}
    assert {name for name in names if not name.startswith("KUBERNETES_")} <= allowed


def test_secrets_config_maps_and_fields_are_files_at_their_mount_paths(pods: Pods) -> None:
    pods.secret("login", user="alice", password="secret")
    pods.config_map("settings", **{"a.conf": "one", "b.conf": "two"})
    volumes = [
        {"name": "login", "secret": {"secretName": "login", "defaultMode": 0o400}},
        {"name": "one", "configMap": {"name": "settings", "items": [{"key": "b.conf", "path": "deep/er.conf"}]}},
        {"name": "pod", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    script = "cat /run/login/user /etc/one/deep/er.conf /pod-info/name; stat -Lc %a /run/login/user; ls /etc/one"
    pods.create("files", mounted(script, login="/run/login", one="/etc/one", pod="/pod-info"), volumes=volumes)
    pods.wait("files", lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("files") == "alicetwofiles400\ndeep\n"


def test_containers_share_an_empty_dir_that_ends_with_the_pod(pods: Pods, kubelet: Kubelet) -> None:
    pods.create(
        "shared",
        mounted("until [ -s /in/word ]; do sleep 0.05; done; cat /in/word", share="/in"),
        mounted("echo passed > /out/word", share="/out"),
        volumes=[{"name": "share", "emptyDir": {}}],
    )
    pod = pods.wait("shared", lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("shared", container="c0") == "passed\n"
    pods.api.delete_namespaced_pod("shared", pods.namespace)
    wait_until(lambda: not (kubelet.root / "pods" / pod.metadata.uid).exists())


def test_a_persistent_volume_claim_outlives_its_pods(pods: Pods) -> None:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "keep"}}]
    claim = {
        "metadata": {"name": "keep"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    pods.api.create_namespaced_persistent_volume_claim(pods.namespace, claim)
    for name, script in (("first", "echo kept > /data/file"), ("second", "cat /data/file")):
        pods.create(name, mounted(script, data="/data"), volumes=volumes)
        pods.wait(name, lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("second") == "kept\n"


def test_a_host_path_is_in_the_folder_of_the_pods_own_node(pods: Pods, kubelet: Kubelet) -> None:
    volumes = [{"name": "host", "hostPath": {"path": "/var/lib/thing"}}]
    pods.create("local", mounted("echo here > /host/file", host="/host"), volumes=volumes, nodeName="rpi-4")
    pods.wait("local", lambda pod: pod.status.phase == "Succeeded")
    assert (kubelet.node_root / "rpi-4/var/lib/thing/file").read_text() == "here\n"


def test_a_secret_volume_follows_its_secret_but_a_sub_path_never_does(pods: Pods) -> None:
    """The whole folder changes in one step, by the `..data` link; what is mounted by subPath stays as it was."""
    pods.secret("word", now="before")
    script = (
        "until [ \"$(cat /all/now)\" = after ]; do sleep 0.05; done; "
        "cat /one; echo; readlink /all/now; echo $(readlink /all/..data | cut -c1-4)"
    )  # fmt: skip
    container = mounted(script, word="/all")
    container["volumeMounts"].append({"name": "word", "mountPath": "/one", "subPath": "now"})
    pods.create("watcher", container, volumes=[{"name": "word", "secret": {"secretName": "word"}}])
    pods.wait_running("watcher")
    pods.secret("word", now="after")
    pods.wait("watcher", lambda pod: pod.status.phase == "Succeeded")
    before, link, data = pods.log("watcher").splitlines()
    assert before == "before"
    assert link.endswith("..data/now")
    assert data.startswith("..20")


def test_a_missing_secret_holds_the_volume_until_it_exists(pods: Pods) -> None:
    volumes = [{"name": "late", "secret": {"secretName": "late"}}]
    pods.create("patient", mounted("cat /late/word", late="/late"), volumes=volumes)
    wait_until(lambda: pods.events("patient"))
    expected = 'FailedMount: MountVolume.SetUp failed for volume "late" : secret "late" not found'
    wait_until(lambda: expected in pods.events("patient"))
    pods.secret("late", word="at last")
    pods.wait("patient", lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("patient") == "at last"


def test_the_service_account_opens_the_api_server(pods: Pods, request: pytest.FixtureRequest) -> None:
    """In-cluster configuration works unchanged with namespaces; without them KUBECONFIG stands in for it."""
    load = "load_incluster_config" if "namespaces" in request.node.name else "load_kube_config"
    script = (
        f"from kubernetes import client, config; config.{load}(); "
        "print(client.AuthenticationV1Api().create_self_subject_review({}).status.user_info.username)"
    )
    pods.create("caller", {"command": [sys.executable, "-c", script]})
    pods.wait("caller", lambda pod: pod.status.phase in ("Succeeded", "Failed"))
    assert pods.log("caller") == f"system:serviceaccount:{pods.namespace}:default\n"


def test_a_container_finds_its_own_processes_only(
    pods: Pods, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        pods.create("alone", {"command": ["sleep", "60"]})
        pods.wait_running("alone")
        assert kubectl("exec", "alone", "--", "pgrep", "--exact", "--count", "sleep").stdout == "1\n"
    finally:
        bystander.kill()
        bystander.wait()


def test_the_side_car_that_holds_xcom_is_ended_as_the_pod_operator_does_it(
    pods: Pods, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """`kill -2 $(pgrep -f sh)` inside the side-car ends it, and no other shell of this machine."""
    bystander = subprocess.Popen(["sh", "-c", "sleep 60; true"])
    try:
        pods.create(
            "xcom",
            mounted("mkdir -p /airflow/xcom; echo '{\"a\": 1}' > /airflow/xcom/return.json", xcom="/airflow/xcom"),
            {"image": "alpine", **mounted('trap "exit 0" INT; while true; do sleep 1; done;', xcom="/airflow/xcom")},
            volumes=[{"name": "xcom", "emptyDir": {}}],
        )
        pods.wait("xcom", lambda pod: ended(pod))
        read = kubectl("exec", "xcom", "-c", "c1", "--", "/bin/sh", "-c", "cat /airflow/xcom/return.json")
        assert json.loads(read.stdout) == {"a": 1}
        kubectl("exec", "-i", "xcom", "-c", "c1", "--", "/bin/sh", input="kill -2 $(pgrep -u $(id -u) -f 'sh')\n")
        pod = pods.wait("xcom", lambda pod: pod.status.phase == "Succeeded")
        assert pod.status.container_statuses[1].state.terminated.exit_code == 0
        assert bystander.poll() is None
        assert psutil.pid_exists(os.getppid())
    finally:
        bystander.kill()
        bystander.wait()
