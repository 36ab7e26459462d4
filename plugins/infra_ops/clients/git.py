"""Git, as a program: one clone in a private folder, read by commits, written by one commit and one push.

Nothing of the machine's own configuration is used, no hook runs, and a host key is always checked. The deploy key lies
in the same folder, which only this user may enter and which goes with the object.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra_ops.models.problems import Problem, Refusal

SECONDS = 600
LINK, MODULE, PROGRAM, PLAIN = "120000", "160000", "100755", "100644"


class GitError(Problem):
    """Git failed; the sentence has the last line of what it says."""


class MovedBranch(GitError):
    """The branch on the server is no longer what this push was to replace."""


@dataclass(frozen=True)
class DeployKey:
    """A private key in OpenSSH's format, and the server's lines of known_hosts."""

    private_key: str = field(repr=False)
    known_hosts: str


@dataclass(frozen=True)
class File:
    """One tracked file; `data` None takes it out of a commit."""

    data: bytes | None = field(repr=False)
    mode: str = PLAIN


class Clone:
    """A clone of `url` with its whole history, made with the first call that needs it. Methods raise GitError."""

    def __init__(self, url: str, key: DeployKey | None, author: str) -> None:
        self._url = url
        self._author = author
        self._place = tempfile.TemporaryDirectory(prefix="infra-ops-")  # of mode 0700
        self.home = Path(self._place.name)
        self.folder = self.home / "clone"
        self._environment = self._settings(key)
        self._cloned = False

    def close(self) -> None:
        """Remove all of it."""
        self._place.cleanup()

    def commit_of(self, branch: str) -> str | None:
        """Where a branch of the server is now; None when there is none."""
        lines = self._git("ls-remote", "--heads", self._url, f"refs/heads/{branch}", at=self.home).splitlines()
        return lines[0].split("\t")[0] if lines else None

    def default_branch(self) -> str:
        """The branch that the server shows first; "" for a repository without one."""
        for line in self._git("ls-remote", "--symref", self._url, "HEAD", at=self.home).splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.removeprefix("ref: refs/heads/").split("\t")[0]
        return ""

    def fetch(self, branch: str) -> None:
        """Bring a branch of the server into the clone, where it may be newer than the clone."""
        self._in_clone("fetch", "--quiet", "--no-tags", self._url, f"+refs/heads/{branch}:refs/remotes/origin/{branch}")

    def files(self, commit: str) -> dict[str, File]:
        """All tracked files of a commit by path, links and submodules left out."""
        found = {}
        for entry in self._in_clone("ls-tree", "-r", "-z", commit).split("\0"):
            head, _, path = entry.partition("\t")
            if path and (mode := head.split(" ")[0]) not in (LINK, MODULE):
                found[path] = (mode, head.split(" ")[2])
        blobs = dict(self._blobs([blob for _, blob in found.values()]))
        return {path: File(blobs[blob], mode) for path, (mode, blob) in found.items()}

    def history(self) -> Iterator[tuple[str, bytes]]:
        """Every version of every file on any branch or tag of the server, once, by a path that it has or had."""
        paths: dict[str, str] = {}
        for line in self._in_clone("rev-list", "--objects", "--remotes", "--tags").splitlines():
            name, _, path = line.partition(" ")
            if path:
                paths.setdefault(name, path)
        for name, data in self._blobs(list(paths)):
            yield paths[name], data

    def commits_between(self, base: str, commit: str) -> list[tuple[str, str]]:
        """The commits that `commit` has and `base` has not, newest first: id and committer."""
        lines = self._in_clone("log", "--format=%H %ce", f"{base}..{commit}").splitlines()
        return [(line.split(" ")[0], line.partition(" ")[2]) for line in lines]

    def check_out(self, commit: str) -> Path:
        """The files of a commit on disk, and nothing else there."""
        self._in_clone("checkout", "--quiet", "--force", "--detach", commit)
        self._in_clone("clean", "--quiet", "-ffdx")
        return self.folder

    def is_ignored(self, path: str) -> bool:
        """Whether the ignore rules of the files on disk take in a path, tracked or not."""
        return self._run("check-ignore", "--quiet", "--no-index", path, at=self.folder).returncode == 0

    def commit(self, base: str, changes: Mapping[str, File], message: str) -> str:
        """A commit on top of `base`, in the clone only. The same base, changes and message give the same commit."""
        date = self._in_clone("show", "--no-patch", "--format=%cI", base).strip()
        index = {"GIT_INDEX_FILE": str(self.home / "index")}
        self._in_clone("read-tree", base, more=index)
        for path, file in sorted(changes.items()):
            if file.data is None:
                self._in_clone("update-index", "--force-remove", "--", path, more=index)
                continue
            blob = self._in_clone("hash-object", "-w", "--stdin", data=file.data).strip()
            self._in_clone("update-index", "--add", "--cacheinfo", f"{file.mode},{blob},{path}", more=index)
        tree = self._in_clone("write-tree", more=index).strip()
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        return self._in_clone("commit-tree", tree, "-p", base, data=message.encode(), more=dates).strip()

    def push(self, commit: str, branch: str, *, replaces: str | None) -> None:
        """Make `branch` on the server this commit if it is `replaces` now (None: there is none).

        Raises MovedBranch when it is not, and Refusal for the branch that the server shows first.
        """
        if branch == self.default_branch():
            raise Refusal(f"{branch} is the default branch of {self._url}: nothing is pushed there.")
        lease = f"--force-with-lease=refs/heads/{branch}:{replaces or ''}"
        result = self._run(
            "push", "--quiet", lease, self._url, f"{commit}:refs/heads/{branch}", at=self._cloned_folder()
        )
        if result.returncode and b"stale info" in result.stderr:
            raise MovedBranch(f"Somebody changed the branch {branch} at the same moment; look at it.")
        self._checked(result, "push")

    def _blobs(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        """The blobs among these objects, in order."""
        answer = self._checked(
            self._run("cat-file", "--batch", at=self._cloned_folder(), data="".join(f"{n}\n" for n in names).encode()),
            "cat-file",
        )
        at = 0
        for name in names:
            end = answer.index(b"\n", at)
            kind, size = answer[at:end].split(b" ")[1:]
            if kind == b"blob":
                yield name, answer[end + 1 : end + 1 + int(size)]
            at = end + int(size) + 2

    def _cloned_folder(self) -> Path:
        if not self._cloned:
            self._git("clone", "--quiet", "--no-checkout", self._url, str(self.folder), at=self.home)
            self._cloned = True
        return self.folder

    def _in_clone(self, *arguments: str, data: bytes = b"", more: Mapping[str, str] | None = None) -> str:
        return self._git(*arguments, at=self._cloned_folder(), data=data, more=more)

    def _git(self, *arguments: str, at: Path, data: bytes = b"", more: Mapping[str, str] | None = None) -> str:
        result = self._run(*arguments, at=at, data=data, more=more)
        return self._checked(result, arguments[0]).decode(errors="surrogateescape")

    def _checked(self, result: subprocess.CompletedProcess[bytes], command: str) -> bytes:
        if result.returncode:
            raise GitError(f"`git {command}` fails for {self._url}: {_told(result.stderr.decode(errors='replace'))}")
        return result.stdout

    def _run(
        self, *arguments: str, at: Path, data: bytes = b"", more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        settings = ("core.hooksPath=/dev/null", "core.autocrlf=false", "protocol.ext.allow=never", "gc.auto=0")
        argv = ["git", *(word for each in settings for word in ("-c", each)), *arguments]
        environment = {**self._environment, **(more or {})}
        try:
            return subprocess.run(argv, input=data, capture_output=True, cwd=at, env=environment, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise GitError(f"`git {arguments[0]}` took longer than {SECONDS} s for {self._url}.") from None
        except FileNotFoundError:
            raise GitError("git is not there: it is missing where this runs.") from None

    def _settings(self, key: DeployKey | None) -> dict[str, str]:
        name, _, address = self._author.partition(" <")
        who = {"NAME": name, "EMAIL": address.rstrip(">")}
        settings = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **{f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in who.items()},
        }
        if key is None:
            return settings
        private, hosts = self.home / "deploy-key", self.home / "known_hosts"
        hosts.write_text(key.known_hosts.rstrip("\n") + "\n")
        private.touch(mode=0o600)
        private.write_text(key.private_key.rstrip("\n") + "\n")
        options = {
            "IdentityFile": str(private),
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(hosts),
            "BatchMode": "yes",
        }
        words = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
        return {**settings, "GIT_SSH_COMMAND": shlex.join(["ssh", "-F", "none", *words])}


def _told(stderr: str) -> str:
    """The line that says why: Git's own, or SSH's right before Git notices that nobody answers."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["it says nothing"]
    if (unread := "fatal: Could not read from remote repository.") in lines[1:]:
        return lines[lines.index(unread) - 1]
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])
