"""The one JSON file in which a double keeps its state, as the original does in its database."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import files

State = dict[str, Any]


class StateFile:
    """Read anew each time, because two processes may share it: the old and the new pod of a rollout do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, state: State) -> bool:
        """Write the state of a first start; False, and nothing done, when there is one already."""
        with self._locked():
            if self._path.exists():
                return False
            files.write(self._path, json.dumps(state))
        return True

    def read(self) -> State:
        """The state. Raises FileNotFoundError before `create`."""
        state: State = json.loads(self._path.read_text())
        return state

    @contextmanager
    def changing(self) -> Iterator[State]:
        """The state, to be changed in place: written when the block ends, dropped when it raises."""
        with self._locked():
            state = self.read()
            before = json.dumps(state)
            yield state
            if (after := json.dumps(state)) != before:
                files.write(self._path, after)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_name(f".{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
