"""Writing files that a killed process never leaves half-written."""

import os
from pathlib import Path


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``content`` in one step; readers see the old file or the new one.

    The default mode suits secrets: only the owner may read. Raises OSError (a full disk, a missing folder); the old
    file is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        fresh.chmod(mode)  # not subject to the umask, and right for a left-over file too
        fresh.replace(path)
    except BaseException as error:
        fresh.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # "No space left on device" alone does not say where
        raise
