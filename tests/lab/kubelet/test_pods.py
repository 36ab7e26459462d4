"""A pod's life, as its status and events tell it."""

import subprocess
import time
from collections.abc import Callable

import pytest
from kubernetes.client.exceptions import ApiException

from tests.lab.kubelet.support import Kubelet, Pods, ended, wait_until, waits_for

pytestmark = pytest.mark.usefixtures("kubelet")


def shell(script: str, **fields: object) -> dict[str, object]:
    return {"command": ["sh", "-c", script], **fields}


def condition(pod, type_: str):
    return next(each for each in pod.status.conditions if each.type == type_)


def test_a_warm_pod_runs_within_a_second(pods: Pods) -> None:
    pods.run("warming-up", "true")
    begin = time.monotonic()
    pods.create("quick", shell("sleep 60"))
    pods.wait_running("quick")
    assert time.monotonic() - begin < 1.0


def test_a_pod_that_succeeds(pods: Pods) -> None:
    """Phase, exit code, reason and conditions are those of a real kubelet."""
    assert pods.run("good", "echo done") == "done\n"
    pod = pods.get("good")
    end = ended(pod)
    assert (pod.status.phase, end.exit_code, end.reason) == ("Succeeded", 0, "Completed")
    assert (condition(pod, "Ready").status, condition(pod, "Ready").reason) == ("False", "PodCompleted")
    assert pod.status.start_time
    assert pod.status.host_ip == "127.0.0.1"


def test_a_pod_that_fails_keeps_its_exit_code_and_log(pods: Pods) -> None:
    assert pods.run("bad", "echo trouble >&2; exit 7") == "trouble\n"
    pod = pods.get("bad")
    end = ended(pod)
    assert (pod.status.phase, end.exit_code, end.reason) == ("Failed", 7, "Error")
    assert condition(pod, "Ready").reason == "PodFailed"


def test_a_signal_n_is_reported_as_128_plus_n(pods: Pods) -> None:
    pods.create("crash", {"command": ["python3", "-c", "import ctypes; ctypes.string_at(0)"]})
    pod = pods.wait("crash", lambda pod: pod.status.phase == "Failed")
    assert ended(pod).exit_code == 139


def test_background_processes_end_with_the_container(
    pods: Pods, kubelet: Kubelet, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    pods.create("parent", shell("sleep 1234 & until [ -e /tmp/go ]; do sleep 0.05; done"))
    wait_until(lambda: kubelet.sleepers(1234))
    kubectl("exec", "parent", "--", "touch", "/tmp/go")
    pods.wait("parent", lambda pod: pod.status.phase == "Succeeded")
    wait_until(lambda: not kubelet.sleepers(1234))


def test_init_containers_run_one_after_the_other_and_first(pods: Pods) -> None:
    inits = [
        {"name": f"i{number}", "image": "busybox", "command": ["sh", "-c", f"echo i{number} >> /share/order"]}
        for number in range(2)
    ]
    mounts = [{"name": "share", "mountPath": "/share"}]
    pods.create(
        "ordered",
        shell("echo main >> /share/order; cat /share/order", volumeMounts=mounts),
        initContainers=[{**init, "volumeMounts": mounts} for init in inits],
        volumes=[{"name": "share", "emptyDir": {}}],
    )
    pods.wait("ordered", lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("ordered", container="c0") == "i0\ni1\nmain\n"
    assert [status.ready for status in pods.get("ordered").status.init_container_statuses] == [True, True]


def test_a_failing_init_container_fails_a_pod_that_never_restarts(pods: Pods) -> None:
    init = {"name": "init", "image": "busybox", "command": ["sh", "-c", "exit 4"]}
    pods.create("stuck", shell("echo never"), initContainers=[init])
    pod = pods.wait("stuck", lambda pod: pod.status.phase == "Failed")
    assert pod.status.init_container_statuses[0].state.terminated.exit_code == 4
    assert pod.status.container_statuses[0].state.waiting
    assert condition(pod, "Initialized").reason == "ContainersNotInitialized"


def test_a_side_car_starts_before_the_main_container_and_ends_after_it(pods: Pods) -> None:
    """An init container with restartPolicy Always does not hold up the pod, and ends with it."""
    mounts = [{"name": "share", "mountPath": "/share"}]
    script = "echo up > /share/up; trap 'echo down; exit 0' TERM; while true; do sleep 0.1; done"
    sidecar = {"name": "side", "image": "busybox", "restartPolicy": "Always", **shell(script, volumeMounts=mounts)}
    pods.create(
        "accompanied",
        shell("until [ -e /share/up ]; do sleep 0.1; done; echo seen", volumeMounts=mounts),
        initContainers=[sidecar],
        volumes=[{"name": "share", "emptyDir": {}}],
    )
    pod = pods.wait("accompanied", lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("accompanied", container="c0") == "seen\n"
    assert pods.log("accompanied", container="side") == "down\n"
    assert pod.status.init_container_statuses[0].state.terminated.exit_code == 0


def test_a_failed_container_restarts_at_once_and_then_backs_off(pods: Pods) -> None:
    pods.create("crashing", shell("echo start; exit 1"), restartPolicy="Always")
    pod = pods.wait("crashing", lambda pod: waits_for(pod) == "CrashLoopBackOff")
    status = pod.status.container_statuses[0]
    assert status.restart_count == 1
    assert status.last_state.terminated.exit_code == 1
    assert status.state.waiting.message.startswith("back-off 10s restarting failed container=c0 pod=crashing_")
    assert pod.status.phase == "Running"


def test_on_failure_restarts_until_success(pods: Pods) -> None:
    script = "if [ -e /share/tried ]; then exit 0; fi; touch /share/tried; exit 1"
    mounts = [{"name": "share", "mountPath": "/share"}]
    pods.create(
        "second-try",
        shell(script, volumeMounts=mounts),
        restartPolicy="OnFailure",
        volumes=[{"name": "share", "emptyDir": {}}],
    )
    pod = pods.wait("second-try", lambda pod: pod.status.phase == "Succeeded")
    assert pod.status.container_statuses[0].restart_count == 1


def test_an_unknown_image_cannot_be_pulled(pods: Pods) -> None:
    pods.create("foreign", {"image": "example.com/no/such:1.0", "command": ["true"]})
    pods.wait("foreign", lambda pod: waits_for(pod) == "ErrImagePull")
    pod = pods.wait("foreign", lambda pod: waits_for(pod) == "ImagePullBackOff")
    assert pod.status.phase == "Pending"
    events = wait_until(lambda: [text for text in pods.events("foreign") if "BackOff" in text])
    assert 'BackOff: Back-off pulling image "example.com/no/such:1.0"' in events
    assert any(
        text.startswith('Failed: Failed to pull image "example.com/no/such:1.0": rpc error: code = NotFound')
        for text in pods.events("foreign")
    )


def test_a_program_that_does_not_exist_is_a_start_error(pods: Pods) -> None:
    pods.create("typo", {"command": ["no-such-program"]})
    pod = pods.wait("typo", lambda pod: pod.status.phase == "Failed")
    end = ended(pod)
    assert (end.exit_code, end.reason) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in end.message


def test_a_missing_secret_holds_the_container_until_it_exists(pods: Pods) -> None:
    pods.create("waiting", shell("echo $WORD", env=[_from_secret("WORD", "late", "word")]))
    pod = pods.wait("waiting", lambda pod: waits_for(pod) == "CreateContainerConfigError")
    assert pod.status.container_statuses[0].state.waiting.message == 'secret "late" not found'
    pods.secret("late", word="here")
    pods.wait("waiting", lambda pod: pod.status.phase == "Succeeded")
    assert pods.log("waiting") == "here\n"


def test_an_active_deadline_fails_the_pod(pods: Pods) -> None:
    pods.create("slow", shell("sleep 60"), activeDeadlineSeconds=3, terminationGracePeriodSeconds=0)
    pod = pods.wait("slow", lambda pod: pod.status.phase == "Failed")
    assert pod.status.reason == "DeadlineExceeded"
    assert pod.status.message == "Pod was active on the node longer than the specified deadline"
    assert ended(pod).exit_code == 137


def test_deletion_sends_sigterm_and_waits_for_the_process(pods: Pods) -> None:
    script = "trap 'echo bye; sleep 0.5; exit 0' TERM; echo up; while true; do sleep 0.1; done"
    pods.create("polite", shell(script))
    pods.wait_log("polite", "up")
    begin = time.monotonic()
    pods.api.delete_namespaced_pod("polite", pods.namespace)
    pods.wait_log("polite", "bye")
    pods.wait_gone("polite")
    assert 0.4 < time.monotonic() - begin < 10


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(pods: Pods) -> None:
    """Process 1 of a container has no default handlers: without a trap SIGTERM does nothing."""
    pods.create("stubborn", shell("trap '' TERM; echo up; while true; do sleep 0.1; done"))
    pods.wait_log("stubborn", "up")
    begin = time.monotonic()
    pods.api.delete_namespaced_pod("stubborn", pods.namespace, grace_period_seconds=1)
    assert pods.get("stubborn").metadata.deletion_timestamp
    pods.wait_gone("stubborn")
    assert time.monotonic() - begin >= 1


def test_a_forced_deletion_leaves_no_process(pods: Pods, kubelet: Kubelet) -> None:
    pods.create("forced", shell("trap '' TERM; sleep 4321"))
    wait_until(lambda: kubelet.sleepers(4321))
    uid = pods.get("forced").metadata.uid
    pods.api.delete_namespaced_pod("forced", pods.namespace, grace_period_seconds=0)
    wait_until(lambda: not kubelet.sleepers(4321))
    wait_until(lambda: not (kubelet.root / "pods" / uid).exists())


def test_a_held_image_runs_without_a_process(pods: Pods, kubelet: Kubelet) -> None:
    before = len(kubelet.processes())
    pods.create("held", {"image": "rancher/mirrored-pause:3.6"})
    pod = pods.wait("held", lambda pod: pod.status.phase == "Running")
    assert condition(pod, "Ready").status == "True"
    assert len(kubelet.processes()) == before
    assert pods.log("held") == ""
    pods.api.delete_namespaced_pod("held", pods.namespace)
    pods.wait_gone("held", seconds=5)


def test_readiness_follows_its_probe(pods: Pods) -> None:
    probe = {"exec": {"command": ["test", "-e", "/share/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    pods.create(
        "probed",
        shell("sleep 60", readinessProbe=probe, volumeMounts=[{"name": "share", "mountPath": "/share"}]),
        volumes=[{"name": "share", "emptyDir": {}}],
    )
    pods.wait_running("probed")
    wait_until(lambda: any(text.startswith("Unhealthy: Readiness probe failed") for text in pods.events("probed")))
    assert condition(pods.get("probed"), "Ready").reason == "ContainersNotReady"


def test_a_failed_liveness_probe_restarts_the_container(pods: Pods) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    fields = {"livenessProbe": probe, "restartPolicy": "Always"}
    pods.create("sick", shell("sleep 60", livenessProbe=fields["livenessProbe"]), restartPolicy="Always",
                terminationGracePeriodSeconds=1)  # fmt: skip
    pods.wait("sick", lambda pod: pod.status.container_statuses and pod.status.container_statuses[0].restart_count)
    assert "Killing: Container c0 failed liveness probe, will be restarted" in pods.events("sick")


def test_a_pod_that_is_gone_has_no_log(pods: Pods) -> None:
    with pytest.raises(ApiException) as refused:
        pods.log("nobody")
    assert refused.value.status == 404


def _from_secret(variable: str, name: str, key: str) -> dict[str, object]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
