"""Running a part of the lab as an ordinary user when the tests themselves run as root."""

import os
import sys
from pathlib import Path

NOBODY = 65534

# Root's home, where the interpreter may live, is closed to others. In a mount namespace of its own the way there is
# opened: each closed folder above a needed path is covered by an open one that holds only the way on.
_SCRIPT = """
set -e
stage=$(mktemp -d)
while [ "$1" != -- ]; do
    closed=$1 needed=$2; shift 2
    mount --bind "$needed" "$stage"
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$needed"
    mount --move "$stage" "$needed"
done
rmdir "$stage"
shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
"""


def ordinary_user() -> list[str]:
    """The argv prefix that runs a command as user nobody; empty when the tests are not run by root."""
    if os.getuid() != 0:
        return []
    ways = []
    needed = Path(sys.base_prefix)
    closed = next((folder for folder in reversed(needed.parents) if not folder.stat().st_mode & 0o001), None)
    if closed:
        ways = [str(closed), str(needed)]
    return ["unshare", "--mount", "--", "sh", "-c", _SCRIPT, "sh", *ways, "--"]
