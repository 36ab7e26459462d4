"""A folder whose files all change in one step, laid out as the kubelet's own AtomicWriter does.

`..data` links to a folder named by time that holds the files; each file's name links through `..data`. Replacing that
one link replaces everything at once, and programs that watch `..data` see it, as they do on a real node.
Source: k8s.io/kubernetes/pkg/volume/util/atomic_writer.go.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class File:
    """What a file of a volume holds, and its permission bits."""

    content: bytes
    mode: int = 0o644


def write(folder: Path, files: Mapping[str, File]) -> bool:
    """Make `folder` hold exactly `files` (path below it -> file); returns whether anything changed."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "..data"
    if data.is_symlink() and _read(data) == {path: file.content for path, file in files.items()}:
        return False
    fresh = folder / datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.%f")
    for path, file in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(0o600)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    fresh.mkdir(exist_ok=True)
    former = data.resolve() if data.is_symlink() else None
    link = folder / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.replace(data)
    _link_names(folder, {PurePosixPath(path).parts[0] for path in files})
    if former:
        shutil.rmtree(former, ignore_errors=True)
    return True


def _read(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def _link_names(folder: Path, names: set[str]) -> None:
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
