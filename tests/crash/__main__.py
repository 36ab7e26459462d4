"""`make crash`: every task of a rotation, killed at every moment, a run each; ends with the table. About an hour."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.crash.polling import Poll
from tests.crash.walk import IDS, MOMENTS, VICTIMS, Kill, Walk, walking


def verdict(walk: Walk, kill: Kill, undisturbed: dict[str, Any]) -> str:
    """`equal`, or what differs from the undisturbed run's end."""
    try:
        end = walk.rotate([kill])
    except AssertionError as error:
        return str(error).splitlines()[0]
    differing = [name for name, value in end.items() if value != undisturbed[name]]
    return ", ".join(differing) or "equal"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, walking(Path(folder, "lab")) as walk:
        began = time.monotonic()
        with Poll(walk.credentials, IDS) as poll:
            undisturbed = walk.rotate()
            table = {}
            for victim in VICTIMS:
                for moment in MOMENTS:
                    table[victim, moment] = verdict(walk, (victim, moment), undisturbed)
                    print(f"{victim.task} killed {moment}: {table[victim, moment]}", flush=True)
        took = time.monotonic() - began
    print(f"\n| task | dies at | {' | '.join(MOMENTS)} |\n|---|---|{'---|' * len(MOMENTS)}")
    for victim in VICTIMS:
        cells = [table[victim, moment] for moment in MOMENTS]
        print(f"| {victim.task} | {victim.write} {victim.number} | {' | '.join(cells)} |")
    print(f"\n{len(table)} kills in {took:.0f} s. Logins every 100 ms with the stored value:\n{poll}")
    sound = undisturbed["run"] == "success" and not any(polled.refused() for polled in poll.polled.values())
    return 0 if sound and set(table.values()) == {"equal"} else 1


if __name__ == "__main__":
    sys.exit(main())
