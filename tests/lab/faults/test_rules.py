"""Which requests a rule strikes, and how often; and switching from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests
from pydantic import ValidationError

from lab.faults.rules import Kind, Rule, Rules
from lab.ports import Ports
from tests.unit.infra_ops.web import serve


def test_a_rule_names_methods_and_a_pattern_of_the_path() -> None:
    rule = Rule(kind=Kind.ERROR, methods=frozenset({"PUT", "POST"}), path="/secrets(/|$)")
    asked = [("PUT", "/api/secrets/a"), ("GET", "/api/secrets/a"), ("POST", "/api/secrets"), ("PUT", "/api/secretsx")]
    assert [rule.strikes(*one) for one in asked] == [True, False, True, False]
    assert rule.hits == 2


@pytest.mark.parametrize(
    ("how_often", "struck"),
    [({}, "1111"), ({"skip": 2, "times": 1}, "0010"), ({"times": 2}, "1100"), ({"skip": 1}, "0111")],
    ids=["all", "the third", "the next two", "all but one"],
)
def test_how_often(how_often: dict[str, int], struck: str) -> None:
    rule = Rule(kind=Kind.ERROR, **how_often)  # type: ignore[arg-type]
    assert "".join(str(int(rule.strikes("GET", "/"))) for _ in struck) == struck
    assert rule.hits == struck.count("1")


def test_the_first_rule_that_strikes_counts_and_the_next_one_takes_over() -> None:
    rules = Rules()
    with rules.on(Rule(kind=Kind.SLOW, times=1)), rules.on(Rule(kind=Kind.DOWN, times=1)):
        kinds = [rule and rule.kind for rule in (rules.strike("GET", "/") for _ in range(3))]
    assert kinds == [Kind.SLOW, Kind.DOWN, None]
    assert list(rules) == []


def test_a_rule_that_means_nothing_is_refused() -> None:
    for wrong in ({"path": "("}, {"times": 0}, {"nonsense": 1}, {"hits": 3}):
        with pytest.raises(ValidationError):
            Rule.model_validate({"kind": "down", **wrong})


@pytest.fixture
def running() -> Iterator[tuple[str, str]]:
    """`python -m lab.faults` in front of a server that answers 200 at /a: address of the proxy, and of its control."""
    ports = Ports()
    with serve({"/a": (200, {"fine": True})}) as upstream:
        argv = ["--upstream", upstream, "--port", str(ports.of("proxy")), "--control", str(ports.of("control"))]
        process = subprocess.Popen([sys.executable, "-m", "lab.faults", *argv])
        control = f"http://127.0.0.1:{ports.of('control')}/rules"
        try:
            deadline = time.monotonic() + 20
            while not _answers(control):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"http://127.0.0.1:{ports.of('proxy')}/a", control
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_rules_are_switched_from_outside_while_it_runs(running: tuple[str, str]) -> None:
    address, control = running
    assert requests.get(address, timeout=5).json() == {"fine": True}
    assert requests.post(control, json={"kind": "busy", "times": 1}, timeout=5).status_code == 201
    assert [requests.get(address, timeout=5).status_code for _ in range(2)] == [429, 200]
    assert [rule["hits"] for rule in requests.get(control, timeout=5).json()] == [1]
    refused = requests.post(control, json={"kind": "nonsense"}, timeout=5)
    assert (refused.status_code, refused.text.startswith("This is no rule: kind: ")) == (400, True)
    requests.post(control, json={"kind": "error"}, timeout=5)
    assert requests.get(address, timeout=5).status_code == 500
    requests.delete(control, timeout=5)
    assert requests.get(address, timeout=5).status_code == 200
