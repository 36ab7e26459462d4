"""From plain to encrypted to rotated and back, on three servers, while others read."""

from __future__ import annotations

import pytest

from infra_ops.models.encryption import IDENTITY, configuration
from infra_ops.models.outcomes import State
from infra_ops.operations.encryption.keys import WITHDRAWN, Keys
from tests.lab.encryption.readers import Readers
from tests.lab.encryption.stage import FILE, Stage, bad
from tests.lab.servers_of_k3s import SERVERS, wait_until


@pytest.mark.timeout(1200)
def test_from_plain_to_encrypted_to_rotated_and_back(stage: Stage) -> None:
    values = stage.make_secrets(30)
    with Readers(stage.k3s, "default", values) as readers:
        plan = stage.run()
        assert set(stage.raw()) == {"secretbox:key1"}
        assert stage.lists() == dict.fromkeys(SERVERS, "key1, identity")
        assert {outcome.state for outcome in stage.verify(plan)} == {State.PASS}, bad(stage.verify(plan))
        assert stage.plan().steps == ()

        plan = stage.run(force=True)
        assert set(stage.raw()) == {"secretbox:key2"}
        assert stage.lists() == dict.fromkeys(SERVERS, "key2, identity")
        assert {outcome.state for outcome in stage.verify(plan)} == {State.PASS}, bad(stage.verify(plan))
        assert stage.plan().steps == ()

        plan = stage.run(disable=True)
        assert set(stage.raw()) == {"plain"}
        assert stage.lists() == dict.fromkeys(SERVERS, "")
        assert {outcome.state for outcome in stage.verify(plan, disable=True)} == {State.PASS}
        assert stage.plan(disable=True).steps == ()
        assert set(Keys(stage.kv).noted().values()) == {WITHDRAWN}

        lies_about = configuration((IDENTITY, "key2"), Keys(stage.kv).all())  # a run died before it took the keys away
        stage.k3s.disk("rpi-3", FILE).write_text(lies_about)
        stage.k3s.disk("rpi-3", FILE).chmod(0o600)
        plan = stage.run(disable=True)
        assert [step.id for step in plan.steps if step.id.startswith("forget.")] == ["forget.rpi-3"]
        assert stage.lists() == dict.fromkeys(SERVERS, "")
        assert stage.plan(disable=True).steps == ()
    print(f"\n{readers}")
    assert readers.wrong == []
    assert all(readers.right[server] for server in SERVERS)


def test_readers_see_that_a_server_writes_what_others_cannot_read(stage: Stage) -> None:
    """What they look for on the whole way can be found."""
    path = "/api/v1/namespaces/default/secrets"
    values = stage.make_secrets(3)
    stage.plant_a_key("rpi-2", "b", ("key1", "identity"))
    item = stage.k3s.rest("rpi-2").get(f"{path}/made-1")
    with Readers(stage.k3s, "default", values) as readers:
        stage.k3s.rest("rpi-2").replace(f"{path}/made-1", item)
        wait_until(lambda: readers.wrong)
    assert readers.wrong[0].startswith(("rpi-1: 500", "rpi-3: 500"))
