"""Prints of values are kept in the store, so that a value is known in a text long after it is destroyed everywhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv
from infra_ops.clients.versions import Versions
from infra_ops.facts import fingerprints as facts
from infra_ops.models.fingerprints import SHORTEST, print_of
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action


def actions(kv: Kv, versions: Versions, credentials: Iterable[str]) -> list[Action]:
    """The store remembers each readable value of these credentials."""

    def values(credential: str) -> list[str]:
        found = [kv.read(f"svc/{credential}", version) for version in versions.readable(credential)]
        return [each.credential.password for each in found if each]

    return [_action(kv, credential, partial(values, credential)) for credential in credentials]


def decided(kv: Kv, values: Mapping[str, str]) -> list[Action]:
    """The same of values that a person has called secrets, by the name of their variable."""
    return [_action(kv, name, partial(list, [value])) for name, value in values.items()]


def _action(kv: Kv, name: str, wanted: Callable[[], list[str]]) -> Action:
    step = Step(f"{name}.remember", f"store path {facts.VALUES}/{name}", "does not know all values", "knows all values")

    def look() -> str:
        key = kv.read_fields(facts.KEY)
        if key is None:
            return step.before
        return step.before if _missing(kv, name, bytes.fromhex(key.values["key"]), wanted()) else step.after

    def do(effects: Effects) -> None:
        key = kv.read_fields(facts.KEY)
        if key is None:
            fresh = {"key": secrets.token_hex(32)}
            effects.do(step.id, "make the key of the prints", lambda: kv.write_fields(facts.KEY, fresh, replaces=0))
            key = kv.read_fields(facts.KEY)
        found = kv.read_fields(f"{facts.VALUES}/{name}")
        known = dict(found.values) if found else {}
        more = _missing(kv, name, bytes.fromhex(key.values["key"] if key else ""), wanted())
        fields = {**known, **{f"v{len(known) + number}": text for number, text in enumerate(more, 1)}}
        effects.do(
            step.id,
            f"remember {len(more)} values by their prints",
            lambda: kv.write_fields(f"{facts.VALUES}/{name}", fields, replaces=found.version if found else 0),
        )

    return Action(step, look, do)


def _missing(kv: Kv, name: str, key: bytes, values: Iterable[str]) -> list[str]:
    known = set(facts.stored(kv, name))
    prints = [print_of(key, value.encode()) for value in values if len(value.encode()) >= SHORTEST]
    return [print_.text() for print_ in dict.fromkeys(prints) if print_ not in known]
