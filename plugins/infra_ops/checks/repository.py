"""Does the infrastructure repository hold passwords, and is its vault in order?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from infra_ops.models.outcomes import Outcome, State
from infra_ops.models.vaulted import Playbooks, Vaulted

VALID_FOR = timedelta(hours=26)
SHOWN = 5


def tree(
    subject: str, files: int, places: Sequence[str], suspicions: Sequence[str], *, now: datetime, run: str
) -> Outcome:
    """K030: no tracked file has a value that a credential has or had. What is only suspected fails nothing."""
    state = State.FAIL if places else State.PASS
    seen = f"{len(places)} in {files} files, {len(suspicions)} more lines that may be secrets"
    reason = _some(places) if places else ""
    return Outcome("K030", subject, state, "0 known values in the tree", seen, reason, now, VALID_FOR, run)


def history(
    subject: str, versions: int, live: Mapping[str, Sequence[str]], retired: int, *, now: datetime, run: str
) -> Outcome:
    """K031: what the history shows of passwords opens nothing any more. `live` are paths by credential."""
    state = State.FAIL if live else State.PASS
    seen = f"{len(live)} values that still open something, {retired} retired ones, in {versions} versions of files"
    places = [f"{credential} in {_some(paths)}" for credential, paths in sorted(live.items())]
    reason = f"rotate {'; '.join(places)}" if live else ""
    return Outcome(
        "K031", subject, state, "no value in the history that still works", seen, reason, now, VALID_FOR, run
    )


def vault(subject: str, kept: Literal["ignored", "committed"], found: Vaulted, *, now: datetime, run: str) -> Outcome:
    """K032: the encrypted file is where the inventory wants it, opens, and has the names of the example file."""
    faults = []
    if kept == "committed":
        if not found.tracked:
            faults.append("it is not committed")
        elif found.header != found.wanted_header:
            faults.append(f"it begins with {found.header[:40]!r}")
    else:
        if found.tracked:
            faults.append("it is tracked, so ignoring it has no effect: git rm --cached")
        if not found.ignored:
            faults.append(".gitignore does not name it")
    if not found.passwords_ignored:
        faults.append(".gitignore does not name files with its password")
    if found.unopened:
        faults.append(found.unopened)
    if found.missing:
        faults.append(f"it lacks {_some(found.missing)}")
    if found.surplus:
        faults.append(f"the example lacks {_some(found.surplus)}")
    state = State.FAIL if faults else State.PASS
    seen = "so" if not faults else f"{len(faults)} faults"
    expected = f"{kept}, opens, has the names of the example"
    return Outcome("K032", subject, state, expected, seen, "; ".join(faults), now, VALID_FOR, run)


def second_home(version: int, restored: str, *, now: datetime, run: str) -> Outcome:
    """K033: the vault's copy in the store was restored once, in the version that it has now (0: there is none)."""
    state = State.PASS if version and restored == str(version) else State.FAIL
    seen = f"version {version}, restored version {restored or 'none'}" if version else "no copy"
    reason = "" if state is State.PASS else "run ansible_vault, which restores and compares it"
    return Outcome(
        "K033", "repository", state, "a copy in the store that was restored", seen, reason, now, VALID_FOR, run
    )


def playbooks(subject: str, found: Playbooks, *, now: datetime, run: str) -> Outcome:
    """K034: playbooks load the vault, and whatever is taken from it is there.

    Whether they are good Ansible, only the runbook ansible_vault asks, which a person starts.
    """
    state = State.FAIL if found.faults or not found.with_vault else State.PASS
    seen = f"{found.number} playbooks, {found.with_vault} load the vault, {len(found.faults)} faults"
    reason = _some(found.faults) if found.faults else "" if found.with_vault else "none loads the vault"
    return Outcome("K034", subject, state, "the vault has all that is taken from it", seen, reason, now, VALID_FOR, run)


def _some(items: Sequence[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
