"""Makes the infrastructure repository as it stands before the first runbook: passwords in every place that people find.

Its files are those of `infrastructure/`, in which `@grafana_admin@` stands for a password of the lab as it is, and
`@postgres_appuser:url@` for one as a URL holds it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lab.seed.templates import Password

FILES = Path(__file__).with_name("infrastructure")
PLACEHOLDER = re.compile(r"@([a-z_]+)(?::(url))?@")
# The server's protection of the branch that people work on. Who comes by SSH is a machine with a deploy key; a person
# of this lab has the folder itself.
HOOK = """\
#!/bin/sh
[ -z "$SSH_ORIGINAL_COMMAND" ] || [ "$1" != refs/heads/@branch@ ] || {
  echo "@branch@ is protected: a deploy key may not push to it." >&2
  exit 1
}
"""


def seed(repository: Path, branch: str, passwords: Mapping[str, str]) -> None:
    """A bare repository at `repository` with one commit on `branch`, unless there is one: what was pushed stays.

    Raises KeyError with the name of a password that is missing, OSError, CalledProcessError.
    """
    if repository.exists():
        return
    repository.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and moved there when complete, so that a start killed in the middle simply does it again.
    unfinished = repository.with_name(f"{repository.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=repository.parent) as place:
        work = Path(place)
        for path, text in tree(passwords).items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        _git(work, "init", "--quiet", f"--initial-branch={branch}")
        _git(work, "add", "--all")
        _git(work, "commit", "--quiet", "--message=As it grew")
        _git(work, "clone", "--quiet", "--bare", "--no-local", str(work), str(unfinished))
    hook = unfinished / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.replace("@branch@", branch))
    hook.chmod(0o755)
    unfinished.rename(repository)


def tree(passwords: Mapping[str, str]) -> dict[str, str]:
    """The text of each file by its path. Raises KeyError with the name of a password that is missing."""
    words = {name: Password(password) for name, password in passwords.items()}
    return {
        str(path.relative_to(FILES)): PLACEHOLDER.sub(
            lambda match: format(words[match[1]], match[2] or ""), path.read_text()
        )
        for path in sorted(FILES.rglob("*"))
        if path.is_file()
    }


def _git(folder: Path, *arguments: str) -> None:
    """Without anything of the machine's own configuration."""
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    environment = {"PATH": os.environ.get("PATH", os.defpath), **settings, **who}
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)
