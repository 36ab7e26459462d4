"""Copies of a value that the inventory does not know: whoever reads one would be locked out without a word."""

from __future__ import annotations

from collections.abc import Sequence

from infra_ops.facts.copies import find_copies
from infra_ops.models.connections import in_database, in_store
from infra_ops.models.copies import LAST_APPLIED, Place
from infra_ops.models.inventory import CredentialSpec
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.targets.target import CannotRotate, Target


def refuse_strangers(estate: Estate, rotations: Sequence[Rotation]) -> None:
    """Raises CannotRotate when an old value stands somewhere in the cluster where no rotation would replace it.

    Credentials may share a value: then what one replaces is no stranger to the other, if both are rotated together.
    """
    replaced = set().union(*(known(rotation.target, rotation.spec) for rotation in rotations))
    found = old_copies(estate, rotations)
    strangers = [(id_, place) for id_, places in found.items() for place in places if place not in replaced]
    if not strangers:
        return
    others = {id_: known(estate.target(id_), spec) for id_, spec in estate.inventory.rotated().items()}
    for id_, place in strangers:
        for other, places in others.items():
            if place in places:
                raise CannotRotate(f"{id_} has the same value as {other} ({place}): rotate both in one run.")
    raise CannotRotate(
        "The value stands where the inventory knows nothing of it: "
        f"{'; '.join(f'{id_} in {place}' for id_, place in strangers)}. List each place as a consumer or connection in "
        "include/cluster.yaml or remove the copy: its readers would be locked out."
    )


def old_copies(estate: Estate, rotations: Sequence[Rotation]) -> dict[str, list[Place]]:
    """Where the old value of each rotation stands now."""
    values = {rotation.id: rotation.change.old.credential.password for rotation in rotations}
    return find_copies(estate.cluster, estate.airflow, estate.kv, values) if values else {}


def known(target: Target, spec: CredentialSpec) -> set[Place]:
    """Where a rotation replaces the value."""
    secrets = [(place.namespace, place.name, place.key) for place in target.own_places()]
    secrets += [(each.secret.namespace, each.secret.name, key) for each in spec.consumers for key in each.secret.fields]
    places = {place for id_ in spec.connections for place in (in_database(id_), in_store(id_))}
    for namespace, name, key in secrets:
        places |= {Place("Secret", namespace, name, key), Place("Secret", namespace, name, LAST_APPLIED)}
    return places
