"""Old versions are destroyed by their own identity, which can read nothing, and the newest two stay."""

from __future__ import annotations

from typing import cast

import pytest

from infra_ops import include
from infra_ops.clients.openbao import Denied, OpenBao
from infra_ops.clients.vault import Vault
from infra_ops.clients.versions import Versions
from infra_ops.models.outcomes import State
from infra_ops.models.plans import Plan
from infra_ops.operations.actions import carry_out
from infra_ops.operations.operation import Request
from infra_ops.operations.store import destroying
from infra_ops.operations.store.destroying import DestroyOldVersions
from tests.lab.store.stage import Stage


class Holder:
    """What Versions needs of a Vault, with the login of an account of the lab."""

    def __init__(self, store: OpenBao) -> None:
        self._store = store

    def client(self) -> object:
        return self._store._client

    def explain(self, error: Exception) -> str:
        return str(error)


@pytest.fixture
def vault(stage: Stage, deployed: Plan) -> Vault:
    """Three credentials with five, two and one versions, as the destroyer sees them."""
    stage.as_administrator()
    rotating = stage.store("credentials")
    for credential, number in (("five", 5), ("two", 2), ("one", 1)):
        for version in range(number):
            rotating.write(f"infra/data/svc/{credential}", {"data": {"password": f"v{version}"}})
    return cast(Vault, Holder(stage.store("destroyer")))


def test_of_each_credential_the_newest_two_stay(vault: Vault, monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    monkeypatch.setattr(destroying, "Vault", lambda: vault)
    started = DestroyOldVersions(Request("destroy/1", {}, include.inventory()))
    plan = started.work().plan("destroy_old_versions")
    assert [step.target for step in plan.steps] == ["versions 1, 2, 3 of svc/five"]
    again = DestroyOldVersions(Request("destroy/1", {}, include.inventory(), plan))
    carry_out(again.work().groups["destroy"], stage.effects())
    outcomes = again.verify()
    assert {outcome.subject: outcome.state for outcome in outcomes} == dict.fromkeys(("five", "one", "two"), State.PASS)
    found = Versions(vault, "infra")
    assert {id_: found.readable(id_) for id_ in found.ids()} == {"five": [4, 5], "two": [1, 2], "one": [1]}
    assert stage.store("credentials").read("infra/data/svc/five?version=3") is None
    assert DestroyOldVersions(Request("destroy/2", {}, include.inventory())).work().actions() == []


def test_who_destroys_reads_nothing_and_who_rotates_destroys_nothing(stage: Stage, vault: Vault) -> None:
    with pytest.raises(Denied):
        stage.store("destroyer").read("infra/data/svc/two")
    with pytest.raises(Denied):
        stage.store("credentials").write("infra/destroy/svc/two", {"versions": [1]})
