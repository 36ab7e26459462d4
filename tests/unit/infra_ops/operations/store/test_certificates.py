"""Who signed a certificate."""

from __future__ import annotations

from datetime import UTC, datetime

from infra_ops.operations.store import certificates

NOW = datetime.now(UTC)


def test_only_the_authority_that_signed_it_counts_although_all_have_one_name() -> None:
    (authority, key), (another, _) = certificates.new_authority(NOW), certificates.new_authority(NOW)
    certificate, _ = certificates.new_certificate(authority, key, NOW)
    assert certificates.signed_by(certificate, authority)
    assert not certificates.signed_by(certificate, another)
