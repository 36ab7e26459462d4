"""The Git host of the infrastructure repository, outside of the cluster (lab/doubles/git.py)."""

import asyncio
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import asyncssh
import hvac
from hvac.exceptions import InvalidPath, VaultError

from infra_ops.models.repository import Repository
from lab import credentials, files
from lab.inventory import GIT
from lab.layout import Lab
from lab.seed.repository import seed
from lab.services import openbao, ssh_key
from lab.services.openbao_setup import MOUNT
from lab.supervisor.service import Service, ServiceError

KEY = "git_deploy_key"  # credential id of the private key with which runbooks log in
PROGRAMS = ("git", "ssh")  # they come with no Python package


def installed() -> bool:
    """Whether this machine has what the host and its clients need."""
    return all(shutil.which(program) for program in PROGRAMS)


def service(lab: Lab, repository: Repository) -> Service:
    """Ready when it shows its host key. Then the store has the deploy key, where the owner of a real cluster puts it.

    The repository is seeded at the first start, with the passwords that the lab has invented.
    """
    data, port = lab.data("git"), lab.ports.of(GIT)
    host_key, authorized_keys = data / "ssh_host_ed25519_key", data / "authorized_keys"
    bare = data / "repositories" / urlsplit(repository.url).path.lstrip("/")

    async def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        if not host_key.exists():
            files.write(host_key, asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        files.write(authorized_keys, ssh_key.kept(lab, KEY).export_public_key())
        passwords = {name: credentials.read(lab.credentials, name) for name in credentials.EXPOSED}
        try:
            await asyncio.to_thread(seed, bare, repository.branch, passwords)
        except subprocess.CalledProcessError as error:
            raise ServiceError(f"the repository could not be seeded: {error.stderr.decode().strip()}") from error

    async def ready() -> bool:
        try:
            shown = await asyncssh.get_server_host_key("127.0.0.1", port)
        except (OSError, asyncssh.Error):
            return False
        return shown is not None and shown.public_data == asyncssh.read_private_key(host_key).public_data

    async def finish() -> None:
        public = asyncssh.read_private_key(host_key).export_public_key().decode().strip()
        fields = {
            "private_key": credentials.read(lab.credentials, KEY),
            "known_hosts": f"[127.0.0.1]:{port} {public}\n",
        }
        try:
            path = f"ansible/deploy-key/{repository.deploy_key}"
            await asyncio.to_thread(_keep, openbao.client(lab), path, fields)
        except VaultError as error:
            raise ServiceError(f"the store did not take the deploy key: {error}") from error

    return Service(
        name=GIT,
        command=(
            *(sys.executable, "-m", "lab.doubles.git", "--root", str(data / "repositories")),
            *("--port", str(port), "--host-key", str(host_key)),
            *("--authorized-keys", str(authorized_keys)),
        ),
        after=("openbao",),
        ports=(port,),
        prepare=prepare,
        ready=ready,
        finish=finish,
    )


def _keep(store: hvac.Client, path: str, fields: dict[str, str]) -> None:
    """A new version only where something else is stored: the port may have become another one. Raises VaultError."""
    kv = store.secrets.kv.v2
    try:
        stored = kv.read_secret_version(path=path, mount_point=MOUNT, raise_on_deleted_version=True)["data"]["data"]
    except InvalidPath:
        stored = None
    if stored != fields:
        kv.create_or_update_secret(path=path, secret=fields, mount_point=MOUNT)
