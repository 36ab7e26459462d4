"""What happens to pods when the kubelet itself ends, and when it comes back."""

import psutil
import pytest

from tests.lab.kubelet.support import Kubelet, Pods, ended, wait_until

SLEEPER = {"command": ["sh", "-c", "echo up; sleep 999"]}


def test_a_stopped_kubelet_leaves_no_process(kubelet: Kubelet, pods: Pods) -> None:
    pods.create("sleeper", SLEEPER)
    wait_until(lambda: kubelet.sleepers(999))
    try:
        kubelet.stop()
        assert kubelet.processes() == []
    finally:
        kubelet.start()


@pytest.mark.parametrize("kubelet", ["namespaces", "rewriting"], indirect=True)
def test_a_killed_kubelet_leaves_no_process_after_its_next_start(kubelet: Kubelet, pods: Pods) -> None:
    """Those of its pods die with it, those that left their parents behind are swept at the next start."""
    # The second process hides from the container: another session, and no parent that would pass a signal on.
    pods.create("sleeper", {"command": ["sh", "-c", "setsid sleep 998 & sleep 999"]})
    wait_until(lambda: kubelet.sleepers(998) and kubelet.sleepers(999))
    before = {process.pid for process in kubelet.processes()}
    try:
        kubelet.kill()
    finally:
        kubelet.start()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in before))


def test_a_pod_that_never_restarts_fails_when_its_process_was_lost(kubelet: Kubelet, pods: Pods) -> None:
    pods.create("lost", SLEEPER)
    pods.wait_log("lost", "up")
    _restart(kubelet)
    end = ended(pods.wait("lost", lambda pod: pod.status.phase == "Failed"))
    assert end is not None
    assert (end.exit_code, end.reason) == (255, "Unknown")
    assert pods.log("lost") == "up\n"


def test_a_start_of_which_the_api_server_never_heard_still_counts(kubelet: Kubelet, pods: Pods) -> None:
    """Killed between the start of a process and the report of it; a pod that never restarts runs at most once."""
    pods.create("unheard", SLEEPER)
    pods.wait_log("unheard", "up")
    kubelet.kill()

    unheard = {"name": "c0", "image": "busybox", "imageID": "", "ready": False, "restartCount": 0,
               "state": {"waiting": {"reason": "ContainerCreating"}}}  # fmt: skip
    body = {"status": {"phase": "Pending", "containerStatuses": [unheard]}}
    pods.api.patch_namespaced_pod_status("unheard", pods.namespace, body)
    kubelet.start()
    end = ended(pods.wait("unheard", lambda pod: pod.status.phase == "Failed"))
    assert (end.exit_code, end.reason) == (255, "Unknown")


def test_a_pod_that_always_restarts_is_started_again(kubelet: Kubelet, pods: Pods) -> None:
    pods.create("lasting", SLEEPER, restartPolicy="Always")
    pods.wait_log("lasting", "up")
    _restart(kubelet)
    pod = pods.wait("lasting", lambda pod: pod.status.container_statuses[0].restart_count == 1)
    assert pod.status.container_statuses[0].last_state.terminated.exit_code == 255
    assert pods.log("lasting", previous=True) == "up\n"


def test_a_held_pod_does_not_notice(kubelet: Kubelet, pods: Pods) -> None:
    pods.create("held", {"image": "rancher/mirrored-pause"})
    version = pods.wait_running("held").metadata.resource_version
    _restart(kubelet)
    pods.run("witness", "true")
    assert pods.get("held").metadata.resource_version == version


def test_a_finished_pod_keeps_its_log(kubelet: Kubelet, pods: Pods) -> None:
    pods.run("finished", "echo lasting words")
    _restart(kubelet)
    assert wait_until(lambda: pods.log("finished")) == "lasting words\n"


def test_what_was_deleted_meanwhile_is_cleaned_up(kubelet: Kubelet, pods: Pods) -> None:
    pods.run("gone", "true")
    folder = kubelet.root / "pods" / pods.get("gone").metadata.uid
    assert folder.exists()
    kubelet.kill()
    pods.api.delete_namespaced_pod("gone", pods.namespace, grace_period_seconds=0)
    kubelet.start()
    wait_until(lambda: not folder.exists())


def _restart(kubelet: Kubelet) -> None:
    kubelet.kill()
    kubelet.start()
