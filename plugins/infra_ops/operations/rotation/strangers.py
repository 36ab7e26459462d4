"""Copies of a value that the inventory does not know: whoever reads one would be locked out without a word."""

from __future__ import annotations

from collections.abc import Iterable

from infra_ops.facts.copies import find_copies
from infra_ops.models.connections import in_database, in_store
from infra_ops.models.copies import Place
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.targets.target import CannotRotate


def refuse_strangers(estate: Estate, rotations: Iterable[Rotation]) -> None:
    """Raises CannotRotate when an old value stands somewhere in the cluster where no rotation would replace it."""
    by_id = {rotation.id: rotation for rotation in rotations}
    found = old_copies(estate, by_id.values())
    strangers = [
        f"{id_} in {place}" for id_, places in found.items() for place in places if place not in known(by_id[id_])
    ]
    if strangers:
        raise CannotRotate(
            f"The value stands where the inventory knows nothing of it: {'; '.join(strangers)}. List each place as a "
            "consumer or connection in include/cluster.yaml or remove the copy: its readers would be locked out."
        )


def old_copies(estate: Estate, rotations: Iterable[Rotation]) -> dict[str, list[Place]]:
    """Where the old value of each rotation stands now."""
    values = {rotation.id: rotation.change.old.credential.password for rotation in rotations}
    return find_copies(estate.cluster, estate.airflow, estate.kv, values) if values else {}


def known(rotation: Rotation) -> set[Place]:
    """Where the rotation replaces the value."""
    places = set(rotation.target.own_places())
    for id_ in rotation.spec.connections:
        places |= {in_database(id_), in_store(id_)}
    for consumer in rotation.spec.consumers:
        secret = consumer.secret
        places |= {Place("Secret", secret.namespace, secret.name, key) for key in secret.fields}
    return places
