"""Where a member answers etcdctl and `k3s etcd-snapshot`: TLS on a port, for holders of a client certificate of etcd.

One question and one answer, a JSON object and a line each. A lab's own protocol: etcd's is gRPC, and only the two
stand-ins speak to it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab.apiserver.members import CompactionError, Members
from lab.apiserver.supervisor import Supervisor
from lab.k3s.leaves import TLS
from lab.k3s.member import Member

Object = dict[str, Any]
VERSION = "3.5.18"  # of the etcd in K3s v1.32.2


def identity(name: str) -> int:
    """A member's ID: a number that is always the same for a name."""
    return (zlib.crc32(name.encode()) << 31) | zlib.crc32(name[::-1].encode())


class MemberPort:
    """Of the server `name` whose disk is `root`. `leader` tells who leads; `names` are all members'.

    What K3s itself is asked on a node, it passes on to the server's `supervisor`.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        members: Members,
        leader: Callable[[], str],
        names: Callable[[], Iterable[str]],
        supervisor: Supervisor,
    ) -> None:
        self._name = name
        self._root = root
        self._members = members
        self._leader = leader
        self._names = names
        self._supervisor = supervisor
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """The port on 127.0.0.1 that it took."""
        tls = self._root / TLS / "etcd"
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls / "server-ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(tls / "server-client.crt", tls / "server-client.key")
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = json.loads(await reader.readline() or b"{}")
            writer.write(json.dumps(await self._answer(question)).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError, ssl.SSLError):
            pass  # whoever asked has gone, or never was a client of ours
        finally:
            writer.close()

    async def _answer(self, question: Object) -> Object:
        header = {"cluster_id": identity("cluster"), "member_id": identity(self._name), "raft_term": 2}
        header["revision"] = self._members.revision
        match question:
            case {"do": "get", "start": str(start), "end": str(end)}:
                rows = await self._members.ask(self._name, lambda member: member.get(start, end))
                return {"header": header, "kvs": [_pair(*row) for row in rows]}
            case {"do": "compact", "revision": int(revision)}:
                try:
                    await self._members.compact(revision)
                except CompactionError as error:
                    return {"error": str(error)}
                return {"header": header}
            case {"do": "defrag"}:
                await self._members.ask(self._name, Member.defragment)
                return {"header": header}
            case {"do": "status"}:
                size, used = await self._members.ask(self._name, Member.sizes)
                leader = identity(self._leader())
                return {"header": header, "version": VERSION, "dbSize": size, "dbSizeInUse": used, "leader": leader}
            case {"do": "members"}:
                members = [{"ID": identity(name), "name": name} for name in self._names()]
                return {"header": header, "members": members}
            case {"do": "snapshot", "path": str(path)}:
                target = self._root / path.lstrip("/")
                await self._members.ask(self._name, lambda member: member.copy(target))
                return {"header": header}
            case {"do": "encrypt", "action": str(action)}:
                return await self._supervisor.answer(action)
        return {"error": "unknown question"}


def _pair(key: str, value: bytes, created: int, revision: int) -> Object:
    encoded = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value).decode()}
    return {**encoded, "create_revision": created, "mod_revision": revision, "version": 1}
