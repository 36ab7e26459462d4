"""From plain to encrypted to rotated by K3s' own tool, on three servers, while others read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra_ops.clients.ansible import Ansible
from infra_ops.clients.effects import Effects
from infra_ops.models.outcomes import State
from infra_ops.models.problems import Refusal
from infra_ops.operations.encryption.estate import Unsafe
from tests.lab.encryption.managed import DROP_IN, MANAGES, Managed
from tests.lab.encryption.readers import Readers
from tests.lab.encryption.stage import FILE, bad
from tests.lab.encryption.test_mistakes import refusal
from tests.lab.servers_of_k3s import SERVERS, K3sCluster

SECRETS = "/api/v1/namespaces/default/secrets"


class WritingMeanwhile(Effects):
    """When K3s has rotated on one server, somebody creates a Secret on another, which still has the old key."""

    def __init__(self, managed: Managed) -> None:
        super().__init__(managed.stage.journal, still_allowed=lambda: None)
        self.k3s: K3sCluster = managed.stage.k3s
        self.leader = ""

    def do(self, step: str, what: str, write: Callable[[], Any]) -> Any:
        answer = super().do(step, what, write)
        if what.startswith("rotate K3s' keys"):
            self.k3s.rest(self.leader).create(SECRETS, {"metadata": {"name": "meanwhile"}, "data": {"n": "bWU="}})
        return answer


@pytest.mark.timeout(1800)
def test_from_plain_to_encrypted_to_rotated(managed: Managed) -> None:
    stage, k3s = managed.stage, managed.stage.k3s
    values = stage.make_secrets(30)
    k3s.disk("rpi-3", FILE).write_text("")
    assert "our own file encrypts here already" in stage.preflight()[0].seen
    assert stage.operation()._chosen().name == "file"
    k3s.disk("rpi-3", FILE).unlink()

    leader = managed.leader()
    with Readers(k3s, "default", values) as readers:
        plan = stage.run(groups=("back_up", "introduce"))
    print(f"\nintroduce: {readers}")
    assert readers.wrong == []
    assert all(readers.right[server] for server in SERVERS)
    assert "route managed, because" in stage.preflight()[0].seen
    assert managed.lists() == dict.fromkeys(SERVERS, ("identity",))
    assert managed.restarts()[0] == leader
    leader = managed.leader()
    with Readers(k3s, "default", values) as readers:
        stage.carry_out(plan, "encrypt")
    print(f"\nencrypt: {readers}; {len(readers.wrong)} wrong, first {readers.wrong[:1]}")
    assert managed.restarts()[3] == leader
    told = next(line.split()[-1] for line in stage.journal.lines if "rotate K3s' keys" in line)
    assert told != leader
    assert readers.right[told]
    assert {line.partition(":")[0] for line in readers.wrong} == set(SERVERS) - {told}
    assert all(": 500 " in line for line in readers.wrong)
    with Readers(k3s, "default", values) as readers:
        for group in ("rewrite", "prove", "forget"):
            stage.carry_out(plan, group)
    assert readers.wrong == []
    assert all(readers.right[server] for server in SERVERS)
    assert {outcome.state for outcome in stage.verify(plan)} == {State.PASS}, bad(stage.verify(plan))
    found = managed.end_state()
    assert found["lists"] == {("key", "identity")}
    assert (found["raw"], found["hashes"], found["keys"]) == ({"aescbc:aescbckey"}, 1, [])
    assert (found["switched"], found["token"], found["left to do"]) == (set(SERVERS), True, [])

    first = managed.key()
    plan = stage.run(groups=("back_up",), force=True)
    effects = WritingMeanwhile(managed)
    effects.leader = managed.leader()
    with pytest.raises(Unsafe, match=rf"is not restarted: 1 Secrets are written with {first}, which it could read no"):
        stage.carry_out(plan, "encrypt", effects, force=True)
    told = [line.split()[-1] for line in stage.journal.lines if "rotate K3s' keys" in line][-1]
    item = k3s.rest(effects.leader).get(f"{SECRETS}/meanwhile")  # as the sentence says
    k3s.rest(effects.leader).delete(f"{SECRETS}/meanwhile")
    k3s.rest(told).create(SECRETS, {"metadata": {"name": "meanwhile"}, "data": item["data"]})
    plan = stage.run()
    assert plan.arguments["keys"] == [first]
    assert managed.key() != first
    assert {outcome.state for outcome in stage.verify(plan)} == {State.PASS}, bad(stage.verify(plan))
    assert stage.plan().steps == ()
    assert k3s.rest().get(f"{SECRETS}/meanwhile")["data"] == {"n": "bWU="}

    with pytest.raises(Refusal, match="its way back to plain values is not carried out"):
        stage.plan(disable=True)
    drop_in = k3s.disk("rpi-2", DROP_IN)
    drop_in.rename(drop_in.with_suffix(".away"))
    assert "K021 rpi-2: " in refusal(stage)
    assert "its next start would read no Secret" in refusal(stage)
    drop_in.with_suffix(".away").rename(drop_in)
    stage.let_run("v1.34.3+k3s3")
    assert "a rotation of keys that a crash interrupts leaves the cluster beyond repair" in refusal(stage)
    assert "k3s-io/k3s#13763" in refusal(stage)


@pytest.mark.timeout(1200)
def test_taken_back_before_anything_is_written_with_a_key(managed: Managed) -> None:
    stage = managed.stage
    plan = stage.run(groups=("back_up", "introduce"))
    ansible = Ansible(stage.k3s.inventory())
    assert ansible.play("switch_managed_encryption", "rpi-1", {"state": "present"}) == 0  # it is there already
    assert stage.k3s.disk("rpi-1", DROP_IN).stat().st_mode & 0o777 == 0o600
    assert stage.undo(plan)
    assert ansible.play("switch_managed_encryption", "rpi-1", {"state": "absent"}) == 0
    assert managed.lists() == dict.fromkeys(SERVERS, ())
    assert not any(stage.k3s.disk(server, DROP_IN).exists() for server in SERVERS)
    assert all(stage.k3s.answers(server) for server in SERVERS)
    assert MANAGES in stage.preflight()[0].seen
