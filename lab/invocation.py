"""The lab's command line as a person in the current folder would type it: what messages tell people to do next."""

import shlex
import sys
from pathlib import Path


def relative(path: Path) -> Path:
    """The path as a person in the current folder would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def program() -> str:
    """This interpreter running the lab, for instance `.venv/bin/python -m lab`."""
    return f"{shlex.quote(str(relative(Path(sys.executable))))} -m lab"


def command(root: Path, *arguments: str) -> str:
    """One command for the lab at `root` (absolute)."""
    place = () if root == Path.cwd() / ".lab" else ("--root", str(relative(root)))
    return f"{program()} {shlex.join((*arguments, *place))}"
