"""Where things are on a node's disk, relative to its root. Standard library only: commands on the node read it too."""

from pathlib import Path

CONFIG = Path("etc/rancher/k3s/config.yaml")
DROP_INS = Path("etc/rancher/k3s/config.yaml.d")
SERVER = Path("var/lib/rancher/k3s/server")
TOKEN = SERVER / "token"
SNAPSHOTS = SERVER / "db/snapshots"

# What only the lab has.
LAB = Path("var/lib/lab")
UNITS = LAB / "units"
VERSION = LAB / "k3s-version"
JOURNAL = Path("var/log/lab")
