"""How the vault of a repository stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vaulted:
    """At one commit. `header` is the tracked file's first line, "" for none; `wanted_header` what it should be.

    `missing` and `surplus` are names that the vault lacks or has beyond the example file's, `unopened` says why the
    vault cannot be opened ("" when it can); `ignored` says whether Git's rules take in the file, `passwords_ignored`
    the same of files with its password.
    """

    tracked: bool
    header: str
    wanted_header: str
    ignored: bool
    passwords_ignored: bool
    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    unopened: str = ""


@dataclass(frozen=True)
class Playbooks:
    """`faults` are sentences: why the vault cannot be opened, or which file uses a variable that it lacks."""

    number: int
    with_vault: int
    faults: tuple[str, ...]
