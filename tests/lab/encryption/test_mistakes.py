"""Each planted mistake is refused in one sentence, and nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.lease import ChangeInProgress, ChangeLease
from infra_ops.models.encryption import Key, configuration
from infra_ops.models.outcomes import State
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import carry_out
from infra_ops.operations.encryption.copies import NoPlace
from infra_ops.operations.encryption.keys import PATH
from infra_ops.operations.encryption.operation import SecretsEncryption
from infra_ops.operations.operation import Request
from tests.lab.encryption.stage import DROP_IN, FILE, Stage
from tests.lab.servers_of_k3s import NAS, SERVERS, wait_until

SECRETS = "/api/v1/namespaces/default/secrets"
SNAPSHOTS = "/var/lib/rancher/k3s/server/db/snapshots"


def refusal(stage: Stage) -> str:
    """The first sentence of preflight that is no pass."""
    return next(outcome.sentence() for outcome in stage.preflight() if outcome.state is not State.PASS)


def test_each_mistake_is_refused_in_one_sentence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {outcome.state for outcome in stage.preflight()} == {State.PASS}

    shutil.move(stage.k3s.disk("rpi-1", SNAPSHOTS), stage.k3s.disk("rpi-1", f"{SNAPSHOTS}.away"))
    stage.k3s.disk("rpi-1", SNAPSHOTS).mkdir()
    assert refusal(stage).startswith("K004 etcd snapshot of rpi-1: expected younger than 6 h 30 min, saw none")
    stage.k3s.disk("rpi-1", SNAPSHOTS).rmdir()
    shutil.move(stage.k3s.disk("rpi-1", f"{SNAPSHOTS}.away"), stage.k3s.disk("rpi-1", SNAPSHOTS))

    version = stage.k3s.disk("rpi-2", "/var/lib/lab/k3s-version")
    before = version.read_text()
    version.write_text("v1.32.5+k3s1\n")
    assert refusal(stage).endswith("rpi-2 v1.32.5+k3s1, rpi-3 v1.32.2+k3s1: finish the upgrade first")
    for server in SERVERS:
        stage.k3s.disk(server, "/var/lib/lab/k3s-version").write_text("v1.25.4+k3s1\n")
    assert refusal(stage).endswith("rpi-1 still runs v1.32.2+k3s1: finish the upgrade first, by a restart of K3s")
    stage.let_run("v1.25.4+k3s1")
    assert "With v1.25.4+k3s1 the API server takes no changed key over" in refusal(stage)
    stage.let_run(before.strip())

    stage.root("rpi-3", "systemctl stop k3s")
    with monkeypatch.context() as patch:
        patch.setattr("infra_ops.operations.servers.RESTART_SECONDS", 3)  # nobody is starting it
        assert "the etcd members of rpi-3 are not healthy" in refusal(stage)
    stage.root("rpi-3", "systemctl start k3s")

    stage.plant_a_key("rpi-1", "a")
    stage.plant_a_key("rpi-2", "b")
    assert "a file of other bytes than ours (it lists identity, key1): the servers hold different keys" in refusal(
        stage
    )
    stage.root("rpi-1", f"chmod 644 {FILE}")
    assert f"{FILE} has mode 644 and belongs to root:root, not 600 and root" in refusal(stage)
    for server in ("rpi-1", "rpi-2"):
        stage.root(server, f"rm {FILE} {DROP_IN}; systemctl restart k3s")

    stage.k3s.power(NAS, on=False)
    with pytest.raises(Problem, match=r"127\.0\.0\.1 cannot be reached by SSH"):
        stage.preflight()
    stage.k3s.power(NAS, on=True)
    assert stage.lists() == {"rpi-1": "", "rpi-2": "", "rpi-3": ""}
    assert stage.journal.lines == []


@pytest.mark.timeout(600)
def test_the_ways_out_that_the_documentation_tells(stage: Stage) -> None:
    """Two servers with different keys under one name, and a store that has lost the key of all: by hand, then a run."""
    right, odd = (Key("key1", letter * 32, datetime.now(UTC)) for letter in (b"a", b"b"))
    stage.kv.write_fields(PATH, {"key1": right.as_dict()}, replaces=0)
    for server in SERVERS:
        stage.plant_a_key(server, "b" if server == "rpi-2" else "a", ("key1", "identity"))
    started(stage)
    stage.k3s.rest("rpi-2").create(SECRETS, {"metadata": {"name": "odd"}, "data": {"n": "b2Rk"}})
    assert "the servers hold different keys under one name" in refusal(stage)

    stage.plant_a_key("rpi-2", "a", ("key1", "identity"))
    started(stage)
    assert stage.k3s.rest("rpi-2").request("GET", SECRETS).status_code == 500
    ours = configuration(("key1", "identity"), {"key1": right})
    both = ours.replace("      - identity", f"{entry(odd)}      - identity")
    place(stage, both)
    for item in stage.k3s.rest().get(SECRETS)["items"]:
        stage.k3s.rest().replace(f"{SECRETS}/{item['metadata']['name']}", item)
    place(stage, ours)
    assert stage.k3s.rest("rpi-3").get(f"{SECRETS}/odd")["data"] == {"n": "b2Rk"}
    assert {outcome.state for outcome in stage.preflight()} == {State.PASS}

    stage.kv.delete(PATH)
    assert "the servers have one file, but the store does not have its key" in refusal(stage)
    stage.kv.write_fields(PATH, {"key1": right.as_dict()}, replaces=0)
    assert {outcome.state for outcome in stage.preflight()} == {State.PASS}
    plan = stage.run()
    assert set(stage.raw()) == {"secretbox:key1"}
    outcomes = stage.verify(plan)
    assert {outcome.state for outcome in outcomes} == {State.PASS}
    proofs = [outcome.seen for outcome in outcomes if outcome.id == "K024"]
    assert proofs == ["read so for key1, without a canary: no snapshot was searched"] * 3  # nothing was ever plain here
    assert stage.plan().steps == ()


def entry(key: Key) -> str:
    """A provider of its own for a key."""
    secret = key.as_dict()["secret"]
    return f"      - secretbox:\n          keys:\n            - name: {key.name}\n              secret: {secret}\n"


def place(stage: Stage, content: str) -> None:
    """Write a file on all servers and restart them."""
    for server in SERVERS:
        stage.k3s.disk(server, FILE).write_text(content)
        stage.root(server, "systemctl restart k3s")
    started(stage)


def started(stage: Stage) -> None:
    wait_until(lambda: all(stage.k3s.answers(server) for server in SERVERS))


def test_without_a_place_off_the_cluster_nothing_begins(stage: Stage) -> None:
    inventory = stage.k3s.inventory().model_copy(update={"off_cluster": None})
    with pytest.raises(NoPlace, match="names no off_cluster"):
        SecretsEncryption(Request("secrets_encryption/test", {}, inventory))


def test_a_second_operator_is_refused_before_it_writes(stage: Stage) -> None:
    """The Lease is asked before every effect, whatever the plan says."""
    ChangeLease(Cluster(), "rotate_credentials/other").acquire(lambda run: True)
    mine = ChangeLease(Cluster(), "secrets_encryption/test")
    never: Callable[[str], bool] = lambda run: False  # noqa: E731
    with pytest.raises(ChangeInProgress, match="rotate_credentials/other is changing the cluster"):
        mine.acquire(never)
    actions = stage.operation().work().groups["back_up"]
    with pytest.raises(ChangeInProgress, match="went to rotate_credentials/other"):
        carry_out(actions, Effects(stage.journal, still_allowed=mine.check))
    assert stage.kv.read_fields("k3s/secrets_encryption") is None
