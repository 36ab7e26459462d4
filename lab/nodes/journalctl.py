"""Stand-in for journalctl on a node: what the unit that runs K3s wrote. Knows -u, -n, -o cat, --no-pager and -x, -e."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.nodes.places import JOURNAL


def main(arguments: Sequence[str]) -> int:
    unit, count, bare = "", None, False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in ("-u", "--unit", "-xeu", "-eu"):
            unit = value if equals else rest.pop(0)
        elif name in ("-n", "--lines"):
            count = int(value if equals else rest.pop(0))
        elif name in ("-o", "--output"):
            bare = (value if equals else rest.pop(0)) == "cat"
        elif name not in ("--no-pager", "-x", "-e", "-q", "--quiet"):
            print(f"journalctl: the lab's stand-in does not know: {word}", file=sys.stderr)
            return 1
    file = Path(os.environ.get("LAB_NODE_ROOT", "/")) / JOURNAL / f"{unit.removesuffix('.service')}.log"
    lines = file.read_text().splitlines() if file.exists() else []
    if not lines:
        print("-- No entries --")
    for line in lines[-count:] if count else lines:
        print(line.partition("]: ")[2] if bare else line)
    return 0
