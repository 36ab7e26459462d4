"""Starts a command of a node: `python -I -S launch.py NAME ARGUMENT…` runs `lab.nodes.NAME`.

Without packages it starts in a few hundredths of a second; such commands know the standard library only.
"""

import importlib
import sys
from os.path import dirname  # pathlib would double the time

COMMANDS = {"k3s": "k3s", "systemctl": "systemctl", "systemd-run": "systemd_run", "journalctl": "journalctl"}
ON_SERVERS = {"etcdctl": "etcdctl"}

if __name__ == "__main__":
    sys.path.insert(0, dirname(dirname(dirname(__file__))))  # noqa: PTH120
    command = importlib.import_module(f"lab.nodes.{(COMMANDS | ON_SERVERS)[sys.argv[1]]}")
    sys.exit(command.main(sys.argv[2:]))
