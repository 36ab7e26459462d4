"""The keys: made once, kept in the store for ever, because old snapshots can be read with nothing else."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import partial

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import Kv
from infra_ops.models.encryption import Key, order
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action

PATH = "k3s/secrets_encryption"
BYTES = 32
WITHDRAWN = "withdrawn"  # the name of no key; the store keeps no empty note


class Keys:
    """Those of this cluster in the store, by name and in the order in which they were made. Raises StoreError."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv

    def all(self) -> dict[str, Key]:
        found = self._kv.read_fields(PATH)
        values = found.values if found else {}
        return {name: Key.from_dict(name, values[name]) for name in order(list(values))}

    def make(self, name: str) -> None:
        """A new key beside the others. Raises SomebodyWasFaster when they changed since they were looked at."""
        found = self._kv.read_fields(PATH)
        values, version = (found.values, found.version) if found else ({}, 0)
        if name not in values:
            key = Key(name, secrets.token_bytes(BYTES), datetime.now(UTC))
            self._kv.write_fields(PATH, {**values, name: key.as_dict()}, replaces=version)

    def noted(self) -> dict[str, str]:
        """For what each server was proved to hold no trace of the state before, by server."""
        notes = self._kv.notes(PATH)
        return {name.removeprefix("proved."): value for name, value in notes.items() if name.startswith("proved.")}

    def note(self, server: str, name: str) -> None:
        self._note(f"proved.{server}", name)

    def before(self) -> str:
        """By what everything was written before K3s made its newest key; "" when it made none for us."""
        return self._kv.notes(PATH).get("before", "")

    def note_before(self, name: str) -> None:
        self._note("before", name)

    def _note(self, name: str, value: str) -> None:
        """There is nothing to note it on where K3s has all the keys."""
        if self._kv.read_fields(PATH) is None:
            self._kv.write_fields(PATH, {}, replaces=0)
        self._kv.note(PATH, {name: value})


def stored(keys: Keys, name: str) -> Action:
    """The step that makes a key. It has no way back: a key that was ever used must not be lost."""
    step = Step(f"key.{name}", f"store path {PATH}", f"no {name}", f"{name} kept")

    def look() -> str:
        return step.after if name in keys.all() else step.before

    return Action(step, look, lambda effects: effects.do(step.id, f"make and keep {name}", lambda: keys.make(name)))


def unproved(keys: Keys, name: str) -> Action:
    """The step that withdraws what was proved for a key, before anything plain is written again. It is not undone."""
    step = Step(f"unproved.{name}", f"the proofs for {name}", "they stand", "withdrawn")

    def servers() -> list[str]:
        return [server for server, proved in keys.noted().items() if proved == name]

    def look() -> str:
        return step.before if servers() else step.after

    def do(effects: Effects) -> None:
        for server in servers():
            effects.do(step.id, f"withdraw the proof of {server}", partial(keys.note, server, WITHDRAWN))

    return Action(step, look, do)
