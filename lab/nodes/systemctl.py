"""Stand-in for systemctl on a node, for the unit that runs K3s (lab/k3s/unit.py holds its state and does the work).

Texts are those of systemd 252. Without sudo nothing is started or stopped.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.nodes.places import UNITS

_PATIENCE = 120.0  # seconds that a job may take
_JOBS = {"start", "stop", "restart"}
_FLAGS = {"-q", "--quiet", "--no-pager", "--no-block", "--value", "--no-ask-password", "-l", "--full"}


class _Units:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exists(self, name: str) -> bool:
        return (self._folder / name).exists()

    def state(self, name: str) -> str:
        return (self._folder / name).read_text().strip() if self.exists(name) else "inactive"

    def properties(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._folder / f"{name}.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def ask(self, name: str, verb: str) -> str:
        """Leaves a job; its id."""
        job = {"id": uuid.uuid4().hex, "verb": verb}
        fresh = self._folder / f".{name}.{job['id']}"
        fresh.write_text(json.dumps(job))
        fresh.replace(self._folder / f"{name}.job")
        return job["id"]

    def wait(self, name: str, job: str) -> str:
        """How it ended: success or failed; timeout if nobody did it."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found = self.properties(name)
            if found.get("job") == job:
                return str(found["JobResult"])
            time.sleep(0.05)
        return "timeout"


def main(arguments: Sequence[str]) -> int:
    units = _Units(Path(os.environ.get("LAB_NODE_ROOT", "/")) / UNITS)
    flags, wanted, words = set(), [], []
    form, rest = "utc", list(arguments)
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            flags.add(word)
        elif word in ("-p", "--property"):
            wanted += rest.pop(0).split(",")
        elif word in ("--timestamp=unix", "--timestamp=us+utc"):
            form = word.partition("=")[2]
        elif word.startswith(("--property=", "-p")):
            wanted += word.removeprefix("--property=").removeprefix("-p").split(",")
        else:
            words.append(word)
    verb, names = (words[0] if words else ""), [word.removesuffix(".service") for word in words[1:]]
    if verb == "daemon-reload":
        return 0
    if verb == "is-active":
        return _is_active(units, names, quiet=bool(flags & {"-q", "--quiet"}))
    if verb == "show":
        return _show(units, names, wanted, bare="--value" in flags, form=form)
    if verb in _JOBS and names:
        return max(_carry_out(units, verb, name, wait="--no-block" not in flags) for name in names)
    print(f"systemctl: the lab's stand-in does not know: systemctl {' '.join(arguments)}", file=sys.stderr)
    return 1


def _is_active(units: _Units, names: list[str], *, quiet: bool) -> int:
    states = [units.state(name) for name in names]
    if not quiet:
        print("\n".join(states))
    return 0 if "active" in states else 3


def _carry_out(units: _Units, verb: str, name: str, *, wait: bool) -> int:
    unit = f"{name}.service"
    if not units.exists(name):
        print(f"Failed to {verb} {unit}: Unit {unit} not found.", file=sys.stderr)
        return 5
    if "SUDO_USER" not in os.environ:
        print(f"Failed to {verb} {unit}: Interactive authentication required.", file=sys.stderr)
        return 1
    job = units.ask(name, verb)
    result = units.wait(name, job) if wait else "success"
    if result == "failed":
        print(f"Job for {unit} failed because the control process exited with error code.", file=sys.stderr)
        print(f'See "systemctl status {unit}" and "journalctl -xeu {unit}" for details.', file=sys.stderr)
    elif result == "timeout":
        print(f"Failed to {verb} {unit}: Connection timed out", file=sys.stderr)
    return 0 if result == "success" else 1


def _show(units: _Units, names: list[str], wanted: list[str], *, bare: bool, form: str) -> int:
    for name in names:
        found = units.properties(name)
        values = {
            "Type": "notify" if name == "k3s" else "exec",
            "Restart": "always",
            "MainPID": found.get("MainPID", 0),
            "NRestarts": found.get("NRestarts", 0),
            "Id": f"{name}.service",
            "LoadState": "loaded" if units.exists(name) else "not-found",
            "ActiveState": units.state(name),
            "SubState": found.get("SubState", "running" if units.state(name) == "active" else "dead"),
            "ExecMainStartTimestamp": _shown(found.get("ExecMainStartTimestamp"), form),
            "ActiveEnterTimestamp": _shown(found.get("ActiveEnterTimestamp"), form),
        }
        for key, value in values.items():
            if not wanted or key in wanted:
                print(value if bare else f"{key}={value}")
    return 0


def _shown(seconds: float | None, form: str) -> str:
    """A time of systemd's, `unix`, `utc` or `us+utc`; "" for never. Only the last tells more than whole seconds."""
    if not seconds:
        return ""
    if form == "unix":
        return f"@{int(seconds)}"
    day = time.strftime("%a %Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    return f"{day}.{int(seconds % 1 * 1e6):06d} UTC" if form == "us+utc" else f"{day} UTC"
