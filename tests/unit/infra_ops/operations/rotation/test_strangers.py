"""Whose copies are strangers: with what is found replaced, because the search is tested on a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra_ops.models.copies import Place
from infra_ops.operations.rotation import strangers
from infra_ops.operations.rotation.strangers import refuse_strangers
from infra_ops.operations.rotation.targets.target import CannotRotate

LISTS = {
    "flower_celery": Place("Secret", "celery", "flower-auth", "FLOWER_BASIC_AUTH"),
    "flower_screener": Place("Secret", "screener", "flower-auth", "FLOWER_BASIC_AUTH"),
}
SPEC = SimpleNamespace(consumers=[], connections=[])


def target(id_: str) -> Any:
    return SimpleNamespace(own_places=lambda: [LISTS[id_]])


def refuse(monkeypatch: pytest.MonkeyPatch, ids: list[str], found: dict[str, list[Place]]) -> None:
    """Rotate `ids`, whose old values are found in these places."""
    estate: Any = SimpleNamespace(target=target, inventory=SimpleNamespace(rotated=lambda: dict.fromkeys(LISTS, SPEC)))
    rotations: Any = [SimpleNamespace(id=id_, target=target(id_), spec=SPEC) for id_ in ids]
    monkeypatch.setattr(strangers, "old_copies", lambda estate, rotations: found)
    refuse_strangers(estate, rotations)


def test_credentials_that_share_a_value_are_rotated_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As both Flowers of the roadmap do: each finds its value in the other's list, too."""
    both = {id_: list(LISTS.values()) for id_ in LISTS}
    refuse(monkeypatch, list(LISTS), both)
    with pytest.raises(CannotRotate, match=r"flower_celery has the same value as flower_screener .*: rotate both"):
        refuse(monkeypatch, ["flower_celery"], {"flower_celery": both["flower_celery"]})


def test_a_place_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Place("ConfigMap", "default", "notes", "todo")
    with pytest.raises(CannotRotate, match="flower_celery in ConfigMap default/notes, todo"):
        refuse(monkeypatch, ["flower_celery"], {"flower_celery": [LISTS["flower_celery"], stranger]})
