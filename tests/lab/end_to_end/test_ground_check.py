"""ground_check on the whole lab: it succeeds, and when a part is gone it fails and says which."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.lab.end_to_end.conftest import Lab, wait_until

AWAY_SECONDS = 20  # the provider's own trigger gives up after three


@contextmanager
def without(lab: Lab, part: str) -> Iterator[None]:
    """The lab while a service or a node is off."""
    lab.do("stop", part)
    try:
        yield
    finally:
        lab.do("start", part)


def await_line(output: IO[str], *words: str) -> None:
    """Reads on until a line has all these words."""
    seen = []
    for line in output:
        seen.append(line)
        if all(word in line.split() for word in words):
            return
    raise AssertionError(f"no line with {words} in:\n{''.join(seen)}")


def all_ready(lab: Lab) -> bool:
    query = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {end}'
    return lab.kubectl("get", "nodes", "-o", f"jsonpath={query}").split() == ["True"] * 8


def test_it_succeeds_on_a_sound_lab(lab: Lab) -> None:
    wait_until(lambda: all_ready(lab), "eight nodes are Ready")
    output = lab.do("run", "ground_check")
    for task in ("pod_lists_nodes", "server_tells", "worker_looks", "verdict"):
        assert f"{task:<32} success" in output
    assert "ground_check: success" in output


def test_it_fails_when_the_store_is_stopped(lab: Lab) -> None:
    with without(lab, "openbao"):
        result = lab("run", "ground_check")
    assert result.returncode == 1
    assert f"saw nothing: {lab.state['addresses']['openbao']} does not answer" in result.stdout
    assert "K005 secret store: expected unsealed" in result.stdout


def test_it_fails_when_a_node_is_off(lab: Lab) -> None:
    with without(lab, "rpi-1"):
        wait_until(lambda: not all_ready(lab), "the cluster notices that rpi-1 is off")
        result = lab("run", "ground_check")
    wait_until(lambda: all_ready(lab), "rpi-1 is Ready again")
    assert result.returncode == 1
    assert "K001 node rpi-1: expected Ready, saw not Ready: NodeStatusUnknown" in result.stdout
    assert "Node rpi-1 cannot be reached by SSH" in result.stdout


def test_it_fails_when_the_api_server_is_stopped(lab: Lab) -> None:
    with without(lab, "apiserver"):
        result = lab("run", "ground_check")
    assert result.returncode == 1
    assert (
        "K001 nodes: expected Ready, saw nothing: neither the pod nor the worker could list the nodes" in result.stdout
    )
    assert f"the API server {lab.state['addresses']['apiserver']} does not answer" in result.stdout


def test_an_api_server_that_restarts_under_a_waiting_pod_costs_tries_at_most_and_not_the_run(lab: Lab) -> None:
    """Without that, a K3s restart would fail every runbook. The pod itself may meet the outage and be tried again."""
    wait_until(lambda: all_ready(lab), "eight nodes are Ready")
    with lab.started("run", "ground_check") as run:
        assert run.stdout
        await_line(run.stdout, "pod_lists_nodes", "deferred")
        with without(lab, "apiserver"):
            time.sleep(AWAY_SECONDS)
        rest = run.stdout.read()
    assert run.returncode == 0, rest
    assert "pod_lists_nodes                  success" in rest


def test_it_succeeds_again_when_all_is_back(lab: Lab) -> None:
    wait_until(lambda: all_ready(lab), "eight nodes are Ready")
    assert "ground_check: success" in lab.do("run", "ground_check")
