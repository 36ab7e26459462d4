"""What the checks of certificates make of facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.checks import certificates as checks
from infra_ops.models.certificates import Certificate, Issued, NodeCertificates, Shown, Unseen
from infra_ops.models.outcomes import State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
JUDGE = checks.Judge(NOW, "test/1")


def node(days: float, started: float | None = 200, authority: float = 3000) -> NodeCertificates:
    """Its first certificate ends in so many days, K3s was started so many days ago."""
    return NodeCertificates(
        "rpi-1",
        (
            Certificate("agent/serving-kubelet.crt", NOW + 300 * DAY),
            Certificate("server/tls/etcd/client.crt", NOW + days * DAY),
        ),
        (Certificate("server/tls/server-ca.crt", NOW + authority * DAY),),
        None if started is None else NOW - started * DAY,
        "v1.32.2+k3s1",
    )


@pytest.mark.parametrize(("days", "state"), [(299, State.PASS), (80, State.PASS), (79.9, State.FAIL), (-1, State.FAIL)])
def test_the_first_certificate_to_end_counts(days: float, state: State) -> None:
    outcome = JUDGE.leaves("rpi-1", node(days))
    assert outcome.state is state
    assert "etcd/client.crt" in outcome.seen


def test_what_is_due_is_always_near_enough_to_its_end_to_be_renewed() -> None:
    """Guard: a restart above the window would renew nothing, every day."""
    assert checks.LEAST_LEFT < checks.RENEWED_WITHIN


@pytest.mark.parametrize(
    ("started", "helps"),
    [(200, True), (11.1, True), (10.9, False), (1, False), (1 / 1440, True), (None, True)],
    ids=["long ago", "just too early", "since it could", "yesterday", "a minute ago", "it does not run"],
)
def test_a_restart_helps_unless_k3s_was_started_when_it_could_have_renewed(started: float | None, helps: bool) -> None:
    """79 days are left, so for eleven days a start has renewed; one of a minute ago may still do so."""
    assert (checks.not_renewed(node(79, started), NOW) == "") == helps


def test_another_version_on_the_disk_means_an_upgrade() -> None:
    assert checks.upgraded_by_a_restart(node(79), "v1.32.2+k3s1") == ""
    assert "a restart would change that" in checks.upgraded_by_a_restart(node(79), "v1.31.9+k3s1")
    assert "an unknown version runs" in checks.upgraded_by_a_restart(node(79), "")


@pytest.mark.parametrize(("days", "state"), [(365, State.PASS), (364, State.FAIL)])
def test_an_authority_needs_a_year(days: float, state: State) -> None:
    assert JUDGE.authorities("rpi-1", node(300, authority=days)).state is state


@pytest.mark.parametrize(("days", "state"), [(14, State.PASS), (13, State.FAIL), (-2, State.FAIL)])
def test_what_is_shown_needs_two_weeks_and_trust_is_only_told(days: float, state: State) -> None:
    [outcome] = JUDGE.shown("K037", {"ingress a": Shown(NOW + days * DAY, "self-signed certificate")})
    assert outcome.state is state
    assert outcome.seen.endswith("not trusted: self-signed certificate")
    [trusted] = JUDGE.shown("K037", {"ingress a": Shown(NOW + days * DAY, "")})
    assert trusted.seen.endswith(", trusted")


@pytest.mark.parametrize(
    ("issued", "state"),
    [
        (Issued("Certificate a/b", NOW + 60 * DAY, ""), State.PASS),
        (Issued("Certificate a/b", NOW + 13 * DAY, ""), State.FAIL),
        (Issued("Certificate a/b", NOW + 60 * DAY, "the issuer refused"), State.FAIL),
        (Issued("Certificate a/b", None, ""), State.FAIL),
    ],
    ids=["good", "not renewed", "not content", "none yet"],
)
def test_cert_manager_has_to_be_content(issued: Issued, state: State) -> None:
    assert JUDGE.issued([issued])[0].state is state


def test_silence_is_neither_good_nor_bad() -> None:
    unseen = Unseen("it does not answer")
    outcomes = [JUDGE.leaves("a", unseen), JUDGE.authorities("a", unseen), *JUDGE.shown("K038", {"a": unseen})]
    assert {(outcome.state, outcome.reason) for outcome in outcomes} == {(State.UNKNOWN, "it does not answer")}


def test_where_nobody_shows_anything_nothing_is_wrong() -> None:
    outcomes = [*JUDGE.shown("K037", {}), *JUDGE.shown("K038", {}), *JUDGE.issued([])]
    assert [(each.id, each.state, each.seen) for each in outcomes] == [
        (id_, State.PASS, "there is none") for id_ in ("K037", "K038", "K039")
    ]
