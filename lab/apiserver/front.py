"""One K3s server's API: a port of its own over the common store, with the keys that its configuration names.

What it reads lies on its node's disk; texts are K3s' and kube-apiserver's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.apiserver import encryptionconfig
from lab.apiserver.encryption import Encryption, Keyring
from lab.apiserver.listener import Listener
from lab.apiserver.memberport import MemberPort
from lab.apiserver.members import Members
from lab.k3s import certificates, config, managed, node
from lab.k3s.leaves import TLS
from lab.k3s.unit import Failure

FILE, RELOAD = "encryption-provider-config", "encryption-provider-config-automatic-reload"
_RELOAD_SECONDS = 0.25  # a real server looks once a minute; here nobody should have to wait for it


class Front:
    """The server `name` whose disk is `root`; a Process for its unit. `changed` is called when it is up or down."""

    def __init__(
        self,
        name: str,
        root: Path,
        listener: Callable[[Keyring], Listener],
        prefixes: Mapping[str, str],
        members: Members,
        door: Callable[[Keyring], MemberPort],
        changed: Callable[[], object],
        leads: Callable[[], bool],
        prepare_managed: Callable[[bool], None],
    ) -> None:
        self.name = name
        self.root = root
        self.keyring = Keyring(Encryption(), name)
        self.annotations: dict[str, str] = {}  # what it says about itself on its Node
        self._listener = listener(self.keyring)
        self._prefixes = prefixes
        self._members = members
        self._door = door(self.keyring)
        self._leads = leads
        self._led = leads()
        self._prepare_managed = prepare_managed
        self.member_at = 0  # the port of its member, while it is up
        self._changed = changed
        self._reloading: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        return self._listener.is_open

    async def start(self) -> None:
        """Read the configuration and serve. Raises Failure with what K3s says then."""
        try:
            given = config.read(self.root)
        except config.ConfigError as error:
            raise Failure(str(error)) from None
        certificates.renew(self.root, "server", self.root)
        serving = self.root / TLS / "serving-kube-apiserver"
        self.keyring.encryption = Encryption()
        self.keyring.reloads.clear()
        self.keyring.reloaded_at.clear()
        arguments = given.component("kube-apiserver-arg")
        if given.switch("secrets-encryption"):
            try:
                self._prepare_managed(self._led)
            except managed.Refused as refused:
                raise Failure(str(refused)) from None
            arguments |= {FILE: f"/{managed.CONFIG}", RELOAD: "true"}
        file = arguments.get(FILE, "")
        seen = _fingerprint(self._on_disk(file))
        if file:
            try:
                self.keyring.encryption = self._load(file)
            except encryptionconfig.ConfigError as error:
                raise Failure(f"apiserver exited: {error}") from None
        await self._members.open(self.name)
        self.member_at = await self._door.open()
        try:
            await self._listener.open(serving.with_suffix(".crt"), serving.with_suffix(".key"))
        except OSError as error:
            await self._end_member()
            raise Failure(f"apiserver exited: failed to create listener: {error}") from None
        self.annotations = node.annotations(given.arguments("server"))
        if given.switch("secrets-encryption"):
            self.annotations[managed.ANNOTATION] = managed.read(self.root)[1]
        if file and arguments.get(RELOAD) == "true":
            self._reloading = asyncio.create_task(self._reload(file, seen))
        self._changed()

    async def stop(self) -> None:
        """As a kill. Nothing happens if it does not run."""
        if self._reloading:
            self._reloading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reloading
            self._reloading = None
        if self._listener.is_open:
            self._led = self._leads()  # another one leads while it is away
            await self._end_member()  # first: what nobody answers for any more must not reach the member either
            await self._listener.close()
            self._changed()

    async def _end_member(self) -> None:
        self._door.close()
        self.member_at = 0
        await self._members.shut(self.name)

    def _load(self, file: str) -> Encryption:
        return encryptionconfig.load(self._on_disk(file), self._prefixes, name=file)

    def _on_disk(self, file: str) -> Path:
        return self.root / file.lstrip("/")

    async def _reload(self, file: str, seen: str) -> None:
        """Follow the file. One that cannot be used changes nothing but the count of failures."""
        while True:
            await asyncio.sleep(_RELOAD_SECONDS)
            now = _fingerprint(self._on_disk(file))
            if now == seen:
                continue
            seen = now
            try:
                self.keyring.encryption = self._load(file)
            except encryptionconfig.ConfigError:
                self.keyring.count_reload("failure")
            else:
                self.keyring.count_reload("success")


def _fingerprint(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
