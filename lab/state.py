"""The lab's state file: where everything is, for people and programs that use a running lab."""

import json
from pathlib import Path
from typing import Any

from lab import files
from lab.errors import LabError

State = dict[str, Any]


def path(root: Path) -> Path:
    """The state file of the lab at that root."""
    return root / "state.json"


def load(root: Path) -> State:
    """What the last start wrote; empty when there never was one. Raises LabError when the file is damaged."""
    try:
        state: State = json.loads(path(root).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LabError(f"{path(root)} is damaged ({error}): remove it, and the next start picks new ports.") from None
    return state


def save(root: Path, state: State) -> None:
    """Replace the state file."""
    files.write(path(root), json.dumps(state, indent=2) + "\n")
