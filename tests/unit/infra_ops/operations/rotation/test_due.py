"""When a credential is rotated by its age: pure, so told here as a table; tests/lab/rotation has the whole of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra_ops.models.credentials import ROLLBACK, Credential, Stored
from infra_ops.models.inventory import CredentialSpec
from infra_ops.models.services import AirflowUser
from infra_ops.operations.rotation.due import JITTER, Due, due, due_at
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.targets.target import CannotRotate

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ID = "airflow_admin"


def spec(days: int = 90) -> CredentialSpec:
    return CredentialSpec(title="t", target=AirflowUser(kind="airflow"), rotate_every_days=days)


def stored(version: int = 2, rotation_id: str = "airflow_admin:2") -> Stored:
    return Stored(version, CREATED, Credential("admin", "word", rotation_id, version - 1))


def early(id_: str, version: int, days: int) -> timedelta:
    """How long before it is overdue a value is due."""
    return CREATED + timedelta(days=days) - due_at(id_, stored(version), spec(days))


@pytest.mark.parametrize(("days", "longest"), [(1, 0.25), (28, 7), (55, 13.75), (56, 14), (90, 14), (366, 14)])
def test_a_value_is_due_up_to_two_weeks_early_and_never_after_three_quarters_of_its_age(
    days: int, longest: float
) -> None:
    found = [early(ID, version, days) for version in range(1, 3000)]
    assert max(found) == timedelta(days=longest)  # some version has the digest's highest first byte
    assert min(found) == timedelta(0)


def test_it_is_never_due_after_the_check_calls_it_overdue() -> None:
    """Or K012 would fail on a cluster whose schedule does all it can."""
    assert timedelta(0) < JITTER < timedelta(days=90)
    assert all(early(ID, version, 90) >= timedelta(0) for version in range(1, 300))


def test_one_value_is_due_at_one_time_and_two_are_not_due_at_once() -> None:
    assert due_at(ID, stored(), spec()) == due_at(ID, stored(), spec())
    ids = ["synology_admin", "pihole_admin", "grafana_admin", "airflow_admin", "flower_celery", "postgres_appuser"]
    assert len({early(id_, 2, 90) for id_ in ids}) > len(ids) / 2
    assert len({early(ID, version, 90) for version in range(1, 50)}) > 25


def test_twice_the_days_are_due_later_by_as_many() -> None:
    assert due_at(ID, stored(), spec(180)) - due_at(ID, stored(), spec(90)) == timedelta(days=90)


@dataclass
class Begun:
    """What `due` makes of a credential that is due: here only that it did."""

    id: str

    def refuse_if_impossible(self) -> None:
        return


@dataclass
class Kv:
    """A store in which no rotation is under way."""

    def read(self, path: str, version: int | None = None) -> Stored | None:
        return None


@dataclass
class OneCredential:
    """An estate of one credential."""

    days: int
    current: Stored
    kv: Kv

    def spec(self, id_: str) -> CredentialSpec:
        return spec(self.days)

    def adopted(self, id_: str) -> Stored:
        return self.current

    def rotation(self, id_: str, old: Stored, **_: Any) -> Begun:
        return Begun(id_)


def asked(current: Stored, now: datetime, *, days: int = 90, force: bool = False) -> Due:
    return due(cast(Estate, OneCredential(days, current, Kv())), [ID], now=now, force=force)


AT = due_at(ID, stored(), spec())


@pytest.mark.parametrize(
    ("current", "now", "force", "is_due"),
    [
        (stored(), AT - SECOND, False, False),
        (stored(), AT, False, True),
        (stored(), AT + SECOND, False, True),
        (stored(), CREATED, True, True),
        (stored(rotation_id=""), CREATED, False, True),  # adopted: exposed
        (stored(rotation_id=f"{ID}:2{ROLLBACK}"), AT + timedelta(days=365), False, False),
        (stored(rotation_id=f"{ID}:2{ROLLBACK}"), CREATED, True, True),
    ],
)
def test_what_is_due(current: Stored, now: datetime, force: bool, is_due: bool) -> None:
    found = asked(current, now, force=force)
    assert ([each.id for each in found.rotations], len(found.reasons)) == (([ID], 0) if is_due else ([], 1))


def test_the_reason_names_the_day() -> None:
    (reason,) = asked(stored(), CREATED).reasons
    assert reason == f"{ID}: version 2 was set on 2026-01-01 00:00 UTC, due on {AT:%Y-%m-%d}."


def test_a_value_that_was_put_back_waits_for_a_person() -> None:
    (reason,) = asked(stored(rotation_id=f"{ID}:2{ROLLBACK}"), CREATED + timedelta(days=400)).reasons
    assert "is an older value that was put back on 2026-01-01; rotate it with force" in reason


def test_the_inventory_decides_how_often() -> None:
    now = CREATED + timedelta(days=30)
    assert asked(stored(), now, days=30).rotations
    assert not asked(stored(), now, days=60).rotations
    assert not asked(replace(stored(), created=now), now, days=30).rotations


class Forgotten(OneCredential):
    """An estate whose only credential was never adopted."""

    inventory = SimpleNamespace(rotated=lambda: {ID: None})

    def adopted(self, id_: str) -> Stored:
        raise CannotRotate("It was never adopted.")


def test_who_cannot_follow_stops_the_others_only_when_somebody_named_him() -> None:
    estate = cast(Estate, Forgotten(90, stored(), Kv()))
    assert due(estate, [], now=CREATED) == Due((), (f"{ID} cannot be rotated: It was never adopted.",))
    with pytest.raises(CannotRotate):
        due(estate, [ID], now=CREATED)
