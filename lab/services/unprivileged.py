"""Running a program that refuses uid 0 (PostgreSQL) when the lab itself runs as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.supervisor.service import ServiceError

USER = "nobody"
OWN_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@dataclass(frozen=True)
class Account:
    """How to run as somebody who is not root: ``prefix`` goes before the command, files belong to ``uid``."""

    prefix: tuple[str, ...]
    uid: int

    def give(self, path: Path) -> None:
        """Make a file or a whole folder the account's own."""
        if path.stat().st_uid == self.uid:
            return
        for folder, _, names in os.walk(path):
            for entry in (Path(folder), *(Path(folder, name) for name in names)):
                os.chown(entry, self.uid, -1, follow_symlinks=False)
        os.chown(path, self.uid, -1)

    def open_way(self, root: Path, path: Path) -> None:
        """Let the account pass through the folders from the lab's root down to ``path``, without listing them."""
        if self.uid == os.geteuid():
            return
        for folder in (root, *(parent for parent in path.parents if root in parent.parents)):
            folder.chmod(0o711)


def account() -> Account:
    """The account for this machine.

    An ordinary user stays what he is. Root gets a user namespace, where it looks like an ordinary user and keeps its
    files; where the machine refuses that, the system's account ``nobody``, who must be able to reach the files.
    """
    if os.geteuid() != 0:
        return Account((), os.geteuid())
    if shutil.which("unshare") and subprocess.run((*OWN_NAMESPACE, "true"), capture_output=True).returncode == 0:
        return Account(OWN_NAMESPACE, 0)
    if not shutil.which("setpriv"):
        raise ServiceError("PostgreSQL refuses to run as root, and this machine has no setpriv: start as another user")
    found = pwd.getpwnam(USER)
    prefix = ("setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups", "--")
    return Account(prefix, found.pw_uid)
