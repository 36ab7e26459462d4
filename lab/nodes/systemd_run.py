"""Stand-in for systemd-run on a node: starts a command that belongs to no session, at once or after `--on-active`.

Knows --unit, --on-active (seconds), --collect, --quiet, --no-block and --property, which has no effect.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from lab.nodes.places import JOURNAL, UNITS

_WITH_VALUE = {"--unit", "-u", "--on-active", "--property", "-p", "--description"}
_WITHOUT = {"--collect", "-G", "--quiet", "-q", "--no-block", "--no-ask-password"}
# The file that marks the unit as there is gone before the command runs, as that of a timer which has elapsed.
_SCRIPT = 'sleep "$1"; rm -f "$2"; shift 2; exec "$@"'


def main(arguments: Sequence[str]) -> int:
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            break
        if name in _WITH_VALUE:
            options[name] = value if equals else rest.pop(0)
        elif name in _WITHOUT:
            options[name] = ""
        else:
            print(f"systemd-run: the lab's stand-in does not know: {word}", file=sys.stderr)
            return 1
    if not rest:
        print("systemd-run: Command line to execute required.", file=sys.stderr)
        return 1
    if "SUDO_USER" not in os.environ:
        print("Failed to start transient timer unit: Interactive authentication required.", file=sys.stderr)
        return 1
    root = Path(os.environ.get("LAB_NODE_ROOT", "/"))
    name = (options.get("--unit") or options.get("-u") or f"run-r{uuid.uuid4().hex}").removesuffix(".service")
    kind = "timer" if "--on-active" in options else "service"
    mark = root / UNITS / f"{name}.{kind}"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        reason = f"Unit {name}.{kind} was already loaded or has a fragment file."
        print(f"Failed to start transient {kind} unit: {reason}", file=sys.stderr)
        return 1
    delay = options.get("--on-active", "0").removesuffix("s")
    journal = root / JOURNAL / f"{name}.log"
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("ab") as log:
        subprocess.Popen(
            ["sh", "-c", _SCRIPT, "sh", delay, str(mark), *rest],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    if "--quiet" not in options and "-q" not in options:
        if kind == "timer":
            print(f"Running timer as unit: {name}.timer\nWill run service as unit: {name}.service", file=sys.stderr)
        else:
            print(f"Running as unit: {name}.service", file=sys.stderr)
    return 0
