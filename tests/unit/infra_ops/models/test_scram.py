"""SCRAM verifiers as PostgreSQL makes and reads them."""

from hypothesis import given
from hypothesis import strategies as st

from infra_ops.models import scram


@given(st.text(min_size=1, max_size=40))
def test_a_verifier_matches_its_own_password_and_no_other(password: str) -> None:
    made = scram.verifier(password)
    assert scram.matches(password, made)
    assert not scram.matches(password + "x", made)


def test_equal_passwords_get_different_salts() -> None:
    assert scram.verifier("pencil") != scram.verifier("pencil")


def test_no_password_and_foreign_formats_match_nothing() -> None:
    for stored in (None, "", "md5aabbcc", "SCRAM-SHA-1$1:AA==$x:y", "SCRAM-SHA-256$nonsense"):
        assert not scram.matches("pencil", stored)


def test_a_password_is_not_in_its_verifier() -> None:
    assert "pencil" not in scram.verifier("pencil")
