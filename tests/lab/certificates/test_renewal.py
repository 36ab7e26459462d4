"""Certificates of K3s are renewed by restarts, one node at a time, when a restart renews them and not before."""

from __future__ import annotations

import pytest

from infra_ops.models.outcomes import State
from infra_ops.operations.servers import QuorumAtRisk
from tests.lab.certificates.stage import NODES, Dying, Killed, Stage, watched
from tests.lab.servers_of_k3s import SERVERS


def test_with_100_days_left_nothing_is_due_and_the_plan_says_so(stage: Stage) -> None:
    stage.age(100, *NODES)
    before = stage.processes()
    plan = stage.run()
    assert plan.steps == ()
    assert plan.nothing_to_do[0].startswith("Nothing is restarted: the first certificate of K3s to end is ")
    assert stage.processes() == before
    assert stage.states("K035") == dict.fromkeys(NODES, State.PASS)


def test_with_79_days_left_servers_and_then_agents_are_restarted_and_have_a_year_again(stage: Stage) -> None:
    stage.age(79, *NODES)
    assert stage.states("K035") == dict.fromkeys(NODES, State.FAIL)
    with watched(stage.k3s) as looks:
        plan = stage.run()
    assert [step.id for step in plan.steps] == [f"renew.{name}" for name in NODES]
    assert [line.split(":")[0] for line in stage.journal.lines] == [f"renew.{name}" for name in NODES]
    away = [names for names in looks if names]
    assert set().union(*away) == set(SERVERS), "the restarts were not seen"
    assert max(map(len, away)) == 1, "two servers were away at once"
    assert set(stage.days_left().values()) <= {364, 365}
    assert stage.states("K035") == dict.fromkeys(NODES, State.PASS)
    assert stage.states("K036") == dict.fromkeys(SERVERS, State.PASS)
    assert stage.plan().steps == ()


def test_only_who_is_due_is_restarted(stage: Stage) -> None:
    stage.age(79, "rpi-2", "rpi-5")
    before = stage.processes()
    stage.run()
    after = stage.processes()
    assert [name for name in NODES if after[name] != before[name]] == ["rpi-2", "rpi-5"]


def test_a_lost_answer_restarts_nobody_again(stage: Stage) -> None:
    stage.age(79, "rpi-2", "rpi-4")
    starts = {name: stage.starts(name) for name in ("rpi-2", "rpi-4")}
    deaths = [(f"renew.{name}", way) for name in starts for way in ("before", "asked")]
    for _ in starts:
        with pytest.raises(Killed):
            stage.run(Dying(stage, deaths, lambda name: None))
    stage.run()
    assert {name: stage.starts(name) - before for name, before in starts.items()} == {"rpi-2": 1, "rpi-4": 1}


def test_a_server_that_is_down_has_everything_refused_before_anything(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.age(79, *NODES)
    assert stage.k3s.ssh("rpi-3", "sudo systemctl stop k3s").returncode == 0
    monkeypatch.setattr("infra_ops.operations.servers.RESTART_SECONDS", 3)  # nobody is starting it
    before = stage.processes()
    try:
        with pytest.raises(QuorumAtRisk, match="because the etcd members of rpi-3 are not healthy"):
            stage.run()
        assert stage.journal.lines == []
        assert stage.processes() == before
        assert stage.states("K035")["rpi-3"] is State.UNKNOWN
    finally:
        stage.k3s.ssh("rpi-3", "sudo systemctl start k3s")


def test_a_restart_that_renewed_nothing_is_not_repeated_every_day(stage: Stage) -> None:
    stage.age(79, "rpi-4")
    stage.k3s.let_run_since("rpi-4", 1)
    plan = stage.plan()
    assert plan.steps == ()
    assert plan.nothing_to_do[0].startswith("rpi-4 is left out: K3s was started on ")
    outcome = stage.verify()["K035", "rpi-4"]
    assert (outcome.state, "did not renew" in outcome.reason) == (State.FAIL, True)


def test_a_restart_that_would_upgrade_k3s_is_left_to_people(stage: Stage) -> None:
    stage.age(79, "rpi-2", "rpi-5")
    version = stage.k3s.disk("rpi-2", "/var/lib/lab/k3s-version")
    old = version.read_text()
    version.write_text("v1.33.1+k3s1\n")
    try:
        plan = stage.plan()
    finally:
        version.write_text(old)
    assert [step.id for step in plan.steps] == ["renew.rpi-5"]
    assert plan.nothing_to_do == (
        "rpi-2 is left out: K3s v1.33.1+k3s1 is installed there and v1.32.2+k3s1 runs: a restart would change that.",
    )


def test_an_agent_without_power_is_unknown_and_stops_nobody(stage: Stage) -> None:
    stage.age(79, "rpi-1")
    stage.k3s.power("rpi-5", on=False)
    plan = stage.run()
    assert [step.id for step in plan.steps] == ["renew.rpi-1"]
    assert plan.nothing_to_do[0].startswith("rpi-5 is left out: rpi-5 cannot be reached by SSH")
    assert stage.states("K035") == {**dict.fromkeys(NODES, State.PASS), "rpi-5": State.UNKNOWN}


def test_without_a_fresh_snapshot_no_server_is_restarted(stage: Stage) -> None:
    stage.age(79, "rpi-2", "rpi-4")
    assert [(each.id, each.state) for each in stage.operation().preflight()] == [("K004", State.PASS)]
    folder = stage.k3s.disk("rpi-2", "/var/lib/rancher/k3s/server/db/snapshots")
    aside = folder.rename(folder.with_name("aside"))
    folder.mkdir()
    try:
        assert [(each.id, each.state) for each in stage.operation().preflight()] == [("K004", State.FAIL)]
    finally:
        folder.rmdir()
        aside.rename(folder)
