"""A K3s server's own interface, as far as `k3s secrets-encrypt` asks it: what `/v1-k3s/encrypt` does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.apiserver.encryption import Keyring
from lab.apiserver.registry import Registry
from lab.apiserver.values import through
from lab.k3s import managed
from lab.k3s.managed import ACTIVE, ANNOTATION, FINISHED, START, Bootstrap, Refused
from lab.nodes.places import VERSION

Object = dict[str, Any]
NODES, SECRETS = ("", "nodes"), ("", "secrets")
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_RELOAD_SECONDS = 60.0  # how long the API server may take to read the new file


class Supervisor:
    """Of the server whose disk is `root`. `annotate` writes on its Node, `say` into its journal (level, message)."""

    def __init__(
        self,
        root: Path,
        registry: Registry,
        keyring: Keyring,
        bootstrap: Bootstrap,
        annotate: Callable[[dict[str, str]], None],
        say: Callable[[str, str], None],
    ) -> None:
        self._root = root
        self._registry = registry
        self._keyring = keyring
        self._bootstrap = bootstrap
        self._annotate = annotate
        self._say = say

    async def answer(self, action: str) -> Object:
        """The answer, or `error`: the line that the client is told, while the reason goes into the journal."""
        try:
            match action:
                case "status":
                    return self._status()
                case "enable" | "disable":
                    await self._enable(on=action == "enable")
                case "rotate-keys":
                    await self._rotate()
                case other:
                    raise Refused(f"unknown stage {other} requested")
        except Refused as refused:
            identifier = f"{random.randrange(100000):05d}"  # noqa: S311
            self._say("error", f"secret-encrypt error ID {identifier}: {refused}")
            return {"error": f"secret-encrypt error ID {identifier}"}
        return {}

    def _status(self) -> Object:
        config, state = managed.read(self._root)
        if not config:
            return {"stage": "", "activekey": ""}
        names = [key["name"] for key in managed.keys_of(config)]
        answer: Object = {"stage": state.partition("-")[0], "activekey": names[0] if names else ""}
        answer["enable"] = managed.is_enabled(config)
        mismatch = self._mismatch()
        if mismatch:
            answer["hasherror"] = mismatch
        else:
            answer["hashmatch"] = True
        return answer | ({"inactivekeys": names[1:]} if names[1:] else {})

    def _mismatch(self) -> str:
        first: tuple[str, str] | None = None
        for node in self._registry.list(self._registry.resource(*NODES)):
            own = node["metadata"]
            found = (own.get("annotations") or {}).get(ANNOTATION)
            if found is None or CONTROL_PLANE not in (own.get("labels") or {}):
                continue
            first = first or (own["name"], found)
            if found != first[1]:
                return f"hash does not match between {first[0]} and {own['name']}"
        return ""

    async def _enable(self, *, on: bool) -> None:
        config, _ = managed.read(self._root)
        version = (self._root / VERSION).read_text().strip()
        if not config:
            if not on or not managed.can_enable_later(version):
                raise Refused("open : no such file or directory")
            self._say("info", "Enabling secrets encryption with identity provider, restart with secrets-encryption")
            self._save(managed.configuration([], enabled=True), START)
            return
        if managed.is_enabled(config) == on:
            self._say("info", f"Secrets encryption already {'enabled' if on else 'disabled'}")
            return
        keys = managed.keys_of(config)
        if not keys:
            raise Refused("cannot enable secrets encryption with aescbc key type, no keys found")
        await self._take_up(managed.configuration(keys, enabled=on), START)
        self._rewrite()

    async def _rotate(self) -> None:
        config, state = managed.read(self._root)
        if not config:
            raise Refused("open : no such file or directory")
        if mismatch := self._mismatch():
            raise Refused(mismatch)
        stage, _, known = state.partition("-")
        if stage not in (START, FINISHED):
            raise Refused(f"incorrect stage: {stage} found on node {self._root.name}")
        if known != managed.fingerprint(config):
            raise Refused(f"invalid hash: {known} found on node {self._root.name}")
        keys = [managed.new_key(), *managed.keys_of(config)]
        await self._take_up(managed.configuration(keys, enabled=True), ACTIVE)
        self._rewrite()
        kept = keys[:-1] if len(keys) > 1 else keys
        await self._take_up(managed.configuration(kept, enabled=True), FINISHED)

    async def _take_up(self, config: str, stage: str) -> None:
        """Write the file and wait until this server's API has read it."""
        before = self._keyring.reloads.get("success", 0)
        changed = config != managed.read(self._root)[0]
        self._save(config, stage)
        try:
            async with asyncio.timeout(_RELOAD_SECONDS):
                while changed and self._keyring.reloads.get("success", 0) == before:  # noqa: ASYNC110 (a file is polled)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Refused("timed out waiting for encryption config reload") from None

    def _save(self, config: str, stage: str) -> None:
        state = f"{stage}-{managed.fingerprint(config)}"
        managed.write(self._root, config, state)
        self._bootstrap.save(config, state)
        self._annotate({ANNOTATION: state})

    def _rewrite(self) -> None:
        """Every Secret, unchanged, with the keys of this server."""
        token = through.set(self._keyring)
        try:
            resource = self._registry.resource(*SECRETS)
            for item in self._registry.list(resource):
                own = item["metadata"]
                self._registry.update(resource, own["namespace"], own["name"], lambda present: present)
        finally:
            through.reset(token)
