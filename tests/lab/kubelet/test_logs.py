"""Logs of containers, as kubectl and the Python client read them."""

import json
import re
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.client.exceptions import ApiException

from tests.lab.kubelet.support import Pods, ended, wait_until, waits_for

pytestmark = pytest.mark.usefixtures("kubelet")

TEN_LINES = "for n in 1 2 3 4 5 6 7 8 9 10; do echo line $n; done"


def test_both_streams_come_in_the_order_in_which_they_were_written(pods: Pods) -> None:
    assert pods.run("mixed", "echo a; echo b >&2; echo c") == "a\nb\nc\n"


def test_a_last_line_without_newline_stays_without(pods: Pods) -> None:
    assert pods.run("unfinished", "printf 'one\\ntwo'") == "one\ntwo"


def test_a_very_long_line_comes_back_whole(pods: Pods) -> None:
    pods.create("long", {"command": ["python3", "-c", "print('x' * 200_000)"]})
    pods.wait("long", ended)
    assert pods.log("long") == "x" * 200_000 + "\n"
    assert pods.log("long", timestamps=True).count("Z ") == 1


def test_the_last_lines_only(pods: Pods) -> None:
    pods.run("tailed", TEN_LINES)
    assert pods.log("tailed", tail_lines=2) == "line 9\nline 10\n"
    assert pods.log("tailed", tail_lines=0) == ""
    assert len(pods.log("tailed", tail_lines=50).splitlines()) == 10


def test_a_limited_number_of_bytes(pods: Pods) -> None:
    pods.run("limited", TEN_LINES)
    assert pods.log("limited", limit_bytes=10) == "line 1\nlin"


def test_timestamps_are_rfc3339_with_nanoseconds(pods: Pods) -> None:
    pods.run("stamped", "echo hello")
    line = pods.log("stamped", timestamps=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z hello\n", line)
    assert abs(datetime.fromisoformat(line.split()[0]) - datetime.now(UTC)) < timedelta(seconds=30)


def test_what_was_written_since_a_time(pods: Pods, kubectl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`--since-time` is inclusive and `--since` counts seconds back."""
    pods.run("since", "echo early; sleep 1.2; echo late")
    late = pods.log("since", timestamps=True).splitlines()[1].split()[0]
    assert kubectl("logs", "since", f"--since-time={late}").stdout == "late\n"
    assert kubectl("logs", "since", "--since=1h").stdout == "early\nlate\n"


def test_following_ends_with_the_container(
    pods: Pods, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Lines arrive as they are written, and the stream ends when the container does."""
    share = [{"name": "share", "mountPath": "/share"}]
    waits = {"command": ["sh", "-c", "echo first; until [ -e /share/go ]; do sleep 0.05; done; echo last"]}
    releases = {"command": ["sh", "-c", "until [ -e /share/seen ]; do sleep 0.05; done; touch /share/go"]}
    pods.create(
        "followed",
        {**waits, "volumeMounts": share},
        {**releases, "volumeMounts": share},
        volumes=[{"name": "share", "emptyDir": {}}],
    )
    pods.wait_log("followed", "first", container="c0")
    answer = pods.api.read_namespaced_pod_log(
        "followed", pods.namespace, container="c0", follow=True, _preload_content=False
    )
    lines = answer.stream(1024)
    assert next(lines) == b"first\n"
    kubectl("exec", "followed", "-c", "c1", "--", "touch", "/share/seen")
    assert b"".join(lines) == b"last\n"


def test_kubectl_follows_a_log(pods: Pods, kubectl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    pods.create("kubectl", {"command": ["sh", "-c", "echo one; sleep 0.5; echo two"]})
    pods.wait_log("kubectl", "one")
    assert kubectl("logs", "--follow", "kubectl").stdout == "one\ntwo\n"


def test_many_followers_of_one_log_see_the_same(pods: Pods) -> None:
    pods.create("popular", {"command": ["sh", "-c", "echo up; sleep 0.5; " + TEN_LINES]})
    pods.wait_log("popular", "up")
    seen: list[str] = []
    followers = [threading.Thread(target=lambda: seen.append(pods.log("popular", follow=True))) for _ in range(5)]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join()
    assert len(set(seen)) == 1
    assert seen[0].endswith("line 10\n")


def test_the_previous_start_keeps_its_log(pods: Pods) -> None:
    script = "[ -e /share/again ] && { echo second; sleep 60; }; touch /share/again; echo first; exit 1"
    container = {"command": ["sh", "-c", script], "volumeMounts": [{"name": "share", "mountPath": "/share"}]}
    pods.create("twice", container, restartPolicy="Always", volumes=[{"name": "share", "emptyDir": {}}])
    pods.wait_log("twice", "second")
    assert pods.log("twice", previous=True) == "first\n"


def test_a_crash_loop_shows_its_last_log(pods: Pods) -> None:
    pods.create("looping", {"command": ["sh", "-c", "echo trouble; exit 1"]}, restartPolicy="Always")
    pods.wait("looping", lambda pod: waits_for(pod) == "CrashLoopBackOff")
    assert pods.log("looping") == "trouble\n"


def test_there_is_no_previous_log_of_a_first_start(pods: Pods) -> None:
    pods.run("once", "echo once")
    assert _refusal(pods, "once", previous=True) == (400, 'previous terminated container "c0" in pod "once" not found')


def test_a_container_that_waits_has_no_log_yet(pods: Pods) -> None:
    pods.create("absent", {"image": "example.com/no/such"})
    wait_until(lambda: waits_for(pods.get("absent")))
    status, message = _refusal(pods, "absent")
    assert status == 400
    assert message.startswith('container "c0" in pod "absent" is waiting to start: ')


def _refusal(pods: Pods, name: str, **options: object) -> tuple[int, str]:
    with pytest.raises(ApiException) as refused:
        pods.log(name, **options)
    return refused.value.status, json.loads(refused.value.body)["message"]


def test_the_last_lines_become_the_termination_message_where_that_is_asked_for(pods: Pods) -> None:
    """KubernetesPodOperator shows it as the reason of a failure. A file at terminationMessagePath is not read."""
    command = ["sh", "-c", "echo the reason >&2; exit 3"]
    for name, policy in (("asks", "FallbackToLogsOnError"), ("silent", "File")):
        pods.create(name, {"command": command, "terminationMessagePolicy": policy})
    messages = [ended(pods.wait(name, ended)).message for name in ("asks", "silent")]  # type: ignore[union-attr]
    assert messages == ["the reason\n", None]
