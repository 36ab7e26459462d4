"""Keys by which clients log in by SSH, made at the first start of a lab."""

import asyncssh

from lab import credentials
from lab.layout import Lab


def kept(lab: Lab, name: str) -> asyncssh.SSHKey:
    """The private key that is kept as the credential of that name."""
    file = lab.credentials / name
    if not file.exists():
        fresh = asyncssh.generate_private_key("ssh-ed25519")
        credentials.store(lab.credentials, name, fresh.export_private_key().decode())
    return asyncssh.read_private_key(file)
