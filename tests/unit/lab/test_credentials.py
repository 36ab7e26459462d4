"""The lab's credentials and the way it writes files."""

import stat
from pathlib import Path

import pytest

from lab import credentials, files


def test_every_credential_gets_a_password_of_its_own_that_only_the_owner_reads(tmp_path: Path) -> None:
    credentials.invent(tmp_path / "credentials")
    passwords = {name: credentials.read(tmp_path / "credentials", name) for name in credentials.USERS}
    assert len(set(passwords.values())) == len(credentials.USERS)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "credentials").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "credentials").stat().st_mode) == 0o700


def test_a_password_that_is_there_is_kept(tmp_path: Path) -> None:
    credentials.store(tmp_path, "airflow_admin", "chosen")
    credentials.invent(tmp_path)
    assert credentials.read(tmp_path, "airflow_admin") == "chosen"


def test_an_unknown_credential_is_answered_with_those_there_are(tmp_path: Path) -> None:
    credentials.store(tmp_path, "valkey", "secret")
    with pytest.raises(LookupError, match=r"No credential vakley in .*; there are: valkey") as error:
        credentials.read(tmp_path, "vakley")
    assert "secret" not in str(error.value)


def test_exposed_passwords_look_different_once_quoted_yet_fit_into_an_url(tmp_path: Path) -> None:
    """A search for copies must find the quoted forms too; a DSN with the raw value must still work."""
    credentials.invent(tmp_path)
    for name in credentials.EXPOSED:
        password = credentials.read(tmp_path, name)
        assert set("&!") < set(password)
        assert not set(password) & set("@/:?#[]%,'\"\\ ")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "state.json"
    files.write(target, "old")

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left on device: .*state.json"):
        files.write(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_secret_file_is_never_readable_by_others_not_even_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode is given when the file is made, whatever the umask says."""
    modes: list[int] = []
    chmod = Path.chmod

    def watched(self: Path, mode: int) -> None:
        modes.append(stat.S_IMODE(self.stat().st_mode))
        chmod(self, mode)

    monkeypatch.setattr(Path, "chmod", watched)
    files.write(tmp_path / "secret", "x")
    assert modes == [0o600]
