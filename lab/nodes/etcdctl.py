"""Stand-in for etcdctl 3.5 on a server: get, compact, defrag, endpoint status|health, member list.

Output is etcdctl's. It reaches a member only with TLS and a client certificate of K3s' etcd, as on a real server.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lab.nodes import hosts
from lab.nodes.member_client import Unreachable, ask

_VALUES = {"--endpoints", "--cacert", "--cert", "--key", "-w", "--write-out", "--limit", "--command-timeout"}
_VALUES |= {"--dial-timeout", "--consistency"}  # each member here answers from what it has itself
_SWITCHES = {"--prefix", "--keys-only", "--print-value-only", "--cluster", "--physical", "--count-only"}
Object = dict[str, Any]


class _Failure(Exception):
    """Ends the command with `Error: …` and code 1."""


class _Command:
    def __init__(self, arguments: Sequence[str]) -> None:
        self.root = Path(os.environ.get("LAB_NODE_ROOT", "/"))
        self.words: list[str] = []
        self.options = {
            name: os.environ[variable]
            for name in ("--endpoints", "--cacert", "--cert", "--key")
            if (variable := f"ETCDCTL_{name.lstrip('-').upper()}") in os.environ
        }
        rest = list(arguments)
        while rest:
            name, equals, value = rest.pop(0).partition("=")
            if name in _VALUES:
                self.options["-w" if name == "--write-out" else name] = value if equals else rest.pop(0)
            elif name in _SWITCHES:
                self.options[name] = "true"
            elif name.startswith("-"):
                raise _Failure(f"unknown flag: {name}")
            else:
                self.words.append(name)

    @property
    def endpoints(self) -> list[str]:
        given = self.options.get("--endpoints", "127.0.0.1:2379").split(",")
        if "--cluster" not in self.options:
            return given
        members = self.ask(given[0], {"do": "members"})["members"]
        return [_client_url(self.root, member["name"]) for member in members]

    @property
    def is_json(self) -> bool:
        return self.options.get("-w") == "json"

    def ask(self, endpoint: str, question: Object) -> Object:
        files = tuple(self._file(name) for name in ("--cacert", "--cert", "--key"))
        answer = ask(self.root, endpoint, (files[0], files[1], files[2]), question)
        if "error" in answer:
            raise _Failure(answer["error"])
        return answer

    def _file(self, name: str) -> str:
        """A path on the node as one of the machine; they differ where there are no namespaces."""
        path = self.options.get(name, "")
        if not path:
            return ""
        real = path if str(self.root) == "/" else str(self.root / path.lstrip("/"))
        try:
            with open(real):  # noqa: PTH123
                return real
        except OSError as error:
            raise _Failure(f"open {path}: {(error.strerror or '').lower()}") from None


def main(arguments: Sequence[str]) -> int:
    try:
        command = _Command(arguments)
        match command.words:
            case ["get", key, *_]:
                _get(command, key)
            case ["compact" | "compaction", revision]:
                command.ask(command.endpoints[0], {"do": "compact", "revision": int(revision)})
                print(f"compacted revision {revision}")
            case ["defrag"]:
                return _each(command, _defragment)
            case ["endpoint", "status"]:
                return _status(command)
            case ["endpoint", "health"]:
                return _health(command)
            case ["member", "list"]:
                _members(command)
            case ["version"]:
                print("etcdctl version: 3.5.18\nAPI version: 3.5")
            case other:
                raise _Failure(f'unknown command "{" ".join(other)}" for "etcdctl"')
    except Unreachable as error:
        _warn(str(error))
        print("Error: context deadline exceeded", file=sys.stderr)
        return 1
    except _Failure as failure:
        print(f"Error: {failure}", file=sys.stderr)
        return 1
    return 0


def _warn(reason: str) -> None:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    problem = f'rpc error: code = DeadlineExceeded desc = latest balancer error: last connection error: "{reason}"'
    line = {"level": "warn", "ts": moment, "logger": "etcd-client", "msg": "retrying of unary invoker failed"}
    print(json.dumps({**line, "error": problem}, separators=(",", ":")), file=sys.stderr)


def _get(command: _Command, key: str) -> None:
    end = f"{key}\U0010ffff" if "--prefix" in command.options else f"{key}\0"
    answer = command.ask(command.endpoints[0], {"do": "get", "start": key, "end": end})
    pairs = answer["kvs"]
    count, limit = len(pairs), int(command.options.get("--limit", "0"))
    more = bool(limit) and count > limit
    pairs = pairs[:limit] if limit else pairs
    if "--keys-only" in command.options:
        for pair in pairs:
            del pair["value"]
    if command.is_json:
        fields = {"kvs": pairs} if pairs and "--count-only" not in command.options else {}
        _print({"header": answer["header"], **fields, **({"more": True} if more else {}), "count": count})
        return
    for pair in pairs:
        if "--print-value-only" not in command.options:
            _raw(pair["key"])
        if "value" in pair:
            _raw(pair["value"])
        else:
            print(flush=True)


def _raw(encoded: str) -> None:
    sys.stdout.buffer.write(base64.b64decode(encoded) + b"\n")


def _print(value: Any) -> None:
    print(json.dumps(value, separators=(",", ":")))


def _each(command: _Command, do: Callable[[_Command, str], None]) -> int:
    code = 0
    for endpoint in command.endpoints:
        try:
            do(command, endpoint)
        except Unreachable as error:
            _warn(str(error))
            print(f"Failed to defragment etcd member[{endpoint}] (context deadline exceeded)", file=sys.stderr)
            code = 1
    return code


def _defragment(command: _Command, endpoint: str) -> None:
    began = time.monotonic()
    command.ask(endpoint, {"do": "defrag"})
    print(f"Finished defragmenting etcd member[{endpoint}]. took {(time.monotonic() - began) * 1000:.6f}ms")


def _status(command: _Command) -> int:
    found: list[Object] = []
    code = 0
    for endpoint in command.endpoints:
        try:
            told = command.ask(endpoint, {"do": "status"})
        except Unreachable as error:
            _warn(str(error))
            print(f"Failed to get the status of endpoint {endpoint} (context deadline exceeded)", file=sys.stderr)
            code = 1
            continue
        revision = told["header"]["revision"]
        raft = {"raftIndex": revision, "raftTerm": 2, "raftAppliedIndex": revision}
        found.append({"Endpoint": endpoint, "Status": {**told, **raft}})
    if command.is_json:
        _print(found)
        return code
    for each in found:
        status = each["Status"]
        leads = str(status["leader"] == status["header"]["member_id"]).lower()
        member = f"{status['header']['member_id']:x}"
        row = (each["Endpoint"], member, status["version"], f"{status['dbSize'] / 1e6:.1f} MB", leads, "false", "2")
        print(", ".join((*row, str(status["raftIndex"]), str(status["raftIndex"]), "")))
    return code


def _health(command: _Command) -> int:
    found: list[Object] = []
    for endpoint in command.endpoints:
        began = time.monotonic()
        try:
            command.ask(endpoint, {"do": "status"})
            found.append({"endpoint": endpoint, "health": True, "took": f"{(time.monotonic() - began) * 1000:.6f}ms"})
        except Unreachable as error:
            _warn(str(error))
            took = f"{time.monotonic() - began:.9f}s"
            found.append({"endpoint": endpoint, "health": False, "took": took, "error": "context deadline exceeded"})
    if command.is_json:
        _print(found)
    for each in found if not command.is_json else ():
        if each["health"]:
            took = each["took"]
            print(f"{each['endpoint']} is healthy: successfully committed proposal: took = {took}", file=sys.stderr)
        else:
            reason = "failed to commit proposal: context deadline exceeded"
            print(f"{each['endpoint']} is unhealthy: {reason}", file=sys.stderr)
    if all(each["health"] for each in found):
        return 0
    print("Error: unhealthy cluster", file=sys.stderr)
    return 1


def _client_url(root: Path, name: str) -> str:
    return f"https://{hosts.address_of(root, name) or name}:2379"


def _members(command: _Command) -> None:
    answer = command.ask(command.endpoints[0], {"do": "members"})
    members = []
    for each in answer["members"]:
        url = _client_url(command.root, each["name"])
        members.append({**each, "peerURLs": [url.replace(":2379", ":2380")], "clientURLs": [url]})
    if command.is_json:
        _print({"header": answer["header"], "members": members})
        return
    for each in members:
        print(", ".join((f"{each['ID']:x}", "started", each["name"], *each["peerURLs"], *each["clientURLs"], "false")))
