"""The store is deployed by the account of its area, on a kubelet that really runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.checks import store as checks
from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import Denied
from infra_ops.clients.vault import StoreError
from infra_ops.facts import openbao as facts
from infra_ops.models.outcomes import State
from infra_ops.models.plans import Plan
from infra_ops.operations.store import certificates, proof, recovery, secrets, settings
from infra_ops.operations.store.deploy import NotPrepared
from tests.lab.kubelet.support import wait_until
from tests.lab.store.stage import Stage


def test_it_serves_and_everything_about_it_is_proved(stage: Stage, deployed: Plan) -> None:
    outcomes = stage.operation(deployed).verify()
    assert [outcome.sentence() for outcome in outcomes if outcome.state is not State.PASS] == []
    assert [outcome.id for outcome in outcomes] == ["K014", "K015", "K016", "K017"]


def test_a_second_look_finds_nothing_to_do_and_says_why(stage: Stage, deployed: Plan) -> None:
    again = stage.plan()
    assert again.steps == ()
    assert "All is as it should be." in again.nothing_to_do


def test_a_stranger_gets_no_login(stage: Stage, deployed: Plan) -> None:
    stage.as_administrator()
    with pytest.raises(Denied):
        stage.store("upkeep", role="infra-ops-credentials")
    stage.as_account("platform")


def test_every_account_logs_in_as_itself(stage: Stage, deployed: Plan) -> None:
    stage.as_administrator()
    for area in ("platform", "backups", "destroyer", "credentials", "upkeep"):
        stage.store(area)
    stage.as_account("platform")


def test_a_policy_that_was_changed_by_hand_is_planned_and_proved_again(stage: Stage, deployed: Plan) -> None:
    policy = "sys/policies/acl/infra-ops-sensors"
    stage.store("platform").write(policy, {"policy": 'path "infra/*" { capabilities = ["read", "delete"] }'})
    assert [(step.id, step.before) for step in stage.plan().steps] == [(f"openbao.{policy}", "differs")]
    stage.deploy()
    assert stage.plan().steps == ()


def test_a_policy_that_allows_too_much_is_named(stage: Stage, deployed: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof, seen red."""
    loose = {**settings.policies(), "infra-ops-sensors": 'path "infra/*" { capabilities = ["read", "delete"] }'}
    monkeypatch.setattr(settings, "policies", lambda: dict(loose))
    with pytest.raises(proof.ProofFailed, match="infra-ops-sensors may delete a pending value"):
        stage.deploy()
    monkeypatch.undo()
    stage.deploy()


def test_a_certificate_that_runs_out_soon_is_renewed_and_shown(
    stage: Stage, deployed: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts.certificate_ends(Deployer())
    monkeypatch.setattr(certificates, "CERTIFICATE_FOR", timedelta(days=400))
    monkeypatch.setattr(secrets, "RENEW_BEFORE", timedelta(days=398))
    plan = stage.plan()
    assert [step.id for step in plan.steps] == ["openbao.certificate", "openbao.statefulset.openbao"]
    stage.carry_out_once(plan, "openbao.certificate")
    monkeypatch.undo()
    stage.carry_out(stage.operation(plan), plan, "apply")
    wait_until(lambda: _ends_later(before), 90)


def test_a_store_whose_seal_key_was_deleted_gets_no_new_one(stage: Stage, deployed: Plan) -> None:
    """With another key it would serve until its next start and never again."""
    stage.as_administrator()
    cluster, path = Deployer(), f"{facts.CORE}/secrets/openbao-seal"
    held = (secrets.read(cluster, "openbao-seal") or {})["key"]
    cluster.delete(path)
    stage.as_account("platform")
    try:
        with pytest.raises(NotPrepared, match="openbao-seal is gone and the store has data"):
            stage.plan()
    finally:
        cluster.create(f"{facts.CORE}/secrets", secrets.body("openbao-seal", {"key": held}))
    assert stage.plan().steps == ()


def test_a_new_authority_signs_a_new_certificate_and_workers_trust_it(stage: Stage, deployed: Plan) -> None:
    """The old certificate is valid for a year yet, and nobody who asks the new authority trusts it."""
    stage.wait_until_it_serves()
    stage.as_administrator()
    Deployer().delete(f"{facts.CORE}/secrets/openbao-authority")
    stage.as_account("platform")
    plan = stage.deploy()
    assert [step.id for step in plan.steps] == [
        "openbao.secret.openbao-authority",
        "openbao.authority",
        "openbao.certificate",
        "openbao.statefulset.openbao",
        "openbao.trust",
        "openbao.trust.hardening",
        "openbao.trust.repository",
    ]
    assert stage.plan().steps == ()
    outcomes = stage.operation(plan).verify()
    assert [outcome.sentence() for outcome in outcomes if outcome.state is not State.PASS] == []


def _ends_later(before: datetime) -> bool:
    try:
        return facts.certificate_ends(Deployer()) > before
    except StoreError:
        return False  # its pod starts again


def test_a_note_that_was_deleted_without_its_keys_is_left_again_and_says_since_when_they_wait(
    stage: Stage, deployed: Plan
) -> None:
    """K015 goes by the note: it would pass for ever while the keys lie on the cluster."""
    stage.wait_until_it_serves()
    cluster, store = Deployer(), stage.store()
    before = facts.handover(cluster, store)
    stage.as_administrator()
    Deployer().delete(facts.WAITING)
    stage.as_account("platform")
    assert [(step.id, step.before) for step in stage.deploy().steps] == [("openbao.recovery", recovery.UNTOLD)]
    assert facts.handover(cluster, store) == before
    assert stage.plan().steps == ()


def test_the_keys_wait_for_a_day_and_are_missed_no_more_when_they_were_taken(stage: Stage, deployed: Plan) -> None:
    stage.wait_until_it_serves()
    cluster, store = Deployer(), stage.store()
    waiting = facts.handover(cluster, store)
    assert waiting.exist
    assert waiting.waiting_since
    for later, state in ((timedelta(hours=1), State.PASS), (timedelta(days=2), State.FAIL)):
        assert checks.handed_over(waiting, now=waiting.waiting_since + later, run="t").state is state
    stage.as_administrator()
    Deployer().delete(f"{facts.CORE}/secrets/openbao-recovery")
    stage.as_account("platform")
    wait_until(lambda: facts.handover(cluster, store).waiting_since is None)
    assert checks.handed_over(facts.handover(cluster, store), now=datetime.now(UTC), run="t").state is State.PASS
    assert stage.plan().steps == ()
