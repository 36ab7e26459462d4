"""New passwords are what services demand, and nothing that needs quoting unless they demand it."""

from __future__ import annotations

from infra_ops.operations.rotation.passwords import Rules, new_password


def test_a_password_is_long_and_has_letters_of_both_kinds_and_digits() -> None:
    for password in (new_password() for _ in range(200)):
        assert len(password) == 32
        assert password.isalnum()
        assert password not in (password.lower(), password.upper())
        assert any(letter.isdigit() for letter in password)


def test_what_a_service_demands_is_in_every_password() -> None:
    for password in (new_password(Rules(length=40, special="-_.")) for _ in range(200)):
        assert len(password) == 40
        assert set(password) & set("-_.")


def test_no_two_are_equal() -> None:
    assert len({new_password() for _ in range(1000)}) == 1000
