"""Commands run in containers, by kubectl (protocol v5) and by the Python client (v4)."""

import subprocess
import time
from collections.abc import Callable

import pytest
from kubernetes.stream import stream

from tests.lab.kubelet.support import Kubelet, Pods, wait_until

pytestmark = pytest.mark.usefixtures("kubelet")

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pod(pods: Pods) -> str:
    """A pod to run commands in."""
    environment = [{"name": "WORD", "value": "of the container"}]
    pods.create("host", {"command": ["sleep", "60"], "env": environment, "workingDir": "/work/here"})
    pods.wait_running("host")
    return "host"


def test_kubectl_brings_output_errors_and_exit_code(pod: str, kubectl: Kubectl) -> None:
    done = kubectl("exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert done.stdout == "out\n"
    assert done.stderr.startswith("err\n")
    assert done.returncode == 3


def test_the_python_client_brings_output_errors_and_exit_code(pod: str, pods: Pods) -> None:
    done = _python_exec(pods, pod, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    done.run_forever(timeout=20)
    assert (done.read_stdout(), done.read_stderr(), done.returncode) == ("out\n", "err\n", 3)


def test_standard_input_ends_where_the_callers_ends(pod: str, kubectl: Kubectl) -> None:
    """Only protocol v5 can say that; without it `cat` would wait for ever."""
    assert kubectl("exec", "-i", pod, "--", "cat", input="to be echoed\n").stdout == "to be echoed\n"


def test_a_megabyte_passes_both_ways(pod: str, kubectl: Kubectl) -> None:
    text = "0123456789abcde\n" * 65536
    assert kubectl("exec", "-i", pod, "--", "cat", input=text).stdout == text


def test_the_python_client_talks_to_a_shell(pod: str, pods: Pods) -> None:
    shell = _python_exec(pods, pod, ["sh"], stdin=True)
    shell.write_stdin("echo hello $((1 + 1))\n")
    assert shell.readline_stdout(timeout=10) == "hello 2"
    shell.close()


def test_a_command_has_the_containers_environment_and_folder(pod: str, kubectl: Kubectl) -> None:
    done = kubectl("exec", pod, "--", "sh", "-c", "echo $WORD; pwd; hostname")
    assert done.stdout == "of the container\n/work/here\nhost\n"


def test_a_command_sees_the_containers_processes_only(pod: str, kubectl: Kubectl) -> None:
    assert kubectl("exec", pod, "--", "cat", "/proc/1/cmdline").stdout == "sleep\x0060\x00"


def test_a_command_may_have_a_terminal(pod: str, pods: Pods) -> None:
    done = _python_exec(pods, pod, ["sh", "-c", "test -t 0 && test -t 1 && tty"], tty=True)
    done.run_forever(timeout=20)
    assert done.read_stdout().startswith("/dev/pts/")
    assert done.returncode == 0


def test_a_command_ends_when_its_caller_goes_away(pod: str, pods: Pods, kubelet: Kubelet) -> None:
    shell = _python_exec(pods, pod, ["sh", "-c", "sleep 777"])
    wait_until(lambda: kubelet.sleepers(777))
    shell.close()
    wait_until(lambda: not kubelet.sleepers(777))


def test_an_unknown_command_is_an_error(pod: str, kubectl: Kubectl) -> None:
    done = kubectl("exec", pod, "--", "no-such-command")
    assert done.returncode != 0
    assert "not found" in done.stderr


def test_there_is_no_exec_in_a_container_that_has_ended(pods: Pods, kubectl: Kubectl) -> None:
    pods.run("over", "true")
    begin = time.monotonic()
    done = kubectl("exec", "over", "--", "true")
    assert done.returncode != 0
    assert time.monotonic() - begin < 10


def _python_exec(pods: Pods, name: str, command: list[str], *, stdin: bool = False, tty: bool = False):
    return stream(
        pods.api.connect_get_namespaced_pod_exec,
        name,
        pods.namespace,
        command=command,
        stdin=stdin,
        stdout=True,
        stderr=True,
        tty=tty,
        _preload_content=False,
    )
