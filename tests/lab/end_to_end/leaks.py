"""Looks for the bytes of secrets on every surface that people or other programs can read.

A surface yields places, each with the bytes that stand there. What passes by only for a moment (process arguments,
pods, a waiting task's trigger) is collected by `Watch` while a run goes on.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2  # type: ignore[import-untyped]
from cryptography.fernet import Fernet

from infra_ops.clients.kubernetes import Cluster

Place = tuple[str, bytes]

OBJECTS = {
    "pod spec": "/api/v1/pods",
    "ConfigMap": "/api/v1/configmaps",
    "event": "/api/v1/events",
    "Deployment": "/apis/apps/v1/deployments",
}
EVERY = 0.05  # seconds between two looks at the arguments of all processes
ASK_EVERY = 0.3  # seconds between two questions to servers


def forms(secret: str) -> dict[str, set[bytes]]:
    """The bytes by which a secret can be known, whatever stands before and after it."""
    in_json = json.dumps(secret)[1:-1]
    by_go = "".join(f"\\u{ord(character):04x}" if character in "&<>" else character for character in in_json)
    quoted = quote(secret, safe="")
    return {
        "plain": {secret.encode(), in_json.encode()},
        "base64": {_inside_base64(secret.encode(), before) for before in range(3)},
        "URL": {quoted.encode(), re.sub("%..", lambda match: match[0].lower(), quoted).encode()},
        "JSON": {by_go.encode(), by_go.replace("\\", "\\\\").encode()},  # the latter is JSON in JSON
    }


def _inside_base64(secret: bytes, before: int) -> bytes:
    """The characters that depend on nothing but the secret when `before` (mod 3) bytes precede it."""
    encoded = base64.b64encode(b"\0" * before + secret)
    first = -(-before * 8 // 6)
    return encoded[first : (before + len(secret)) * 8 // 6]


def hits(secrets: Mapping[str, str], places: Iterable[Place]) -> list[str]:
    """One line for each secret, form and place in which it stands."""
    known: dict[bytes, str] = {}
    for name, secret in secrets.items():
        for form, patterns in forms(secret).items():
            for pattern in patterns:
                known.setdefault(pattern, f"{name} ({form})")  # many look the same in several forms
    anything = re.compile(b"(?=(" + b"|".join(map(re.escape, sorted(known, key=len, reverse=True))) + b"))")
    found = {f"{known[match[1]]} in {place}" for place, text in places for match in anything.finditer(text)}
    return sorted(found)


def database(connection: Any) -> Iterator[Place]:
    """Every column of every table of Airflow's database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'"
        )
        for table, column, kind in cursor.fetchall():
            value = f'"{column}"' if kind == "bytea" else f"convert_to(\"{column}\"::text, 'UTF8')"
            cursor.execute(f'select distinct {value} from public."{table}" where "{column}" is not null')
            yield f"database {table}.{column}", b"\n".join(bytes(row[0]) for row in cursor.fetchall())


def triggers(connection: Any, fernet_key: str) -> Iterator[Place]:
    """The arguments of waiting tasks' triggers, in the clear, as the REST API shows them to who may read the DAG.

    3.0.2 encrypts only those that it makes itself; those of tasks stand there as JSON.
    """
    with connection.cursor() as cursor:
        cursor.execute("select kwargs from trigger")
        for (kwargs,) in cursor.fetchall():
            in_clear = kwargs.startswith("{")
            yield "trigger arguments", kwargs.encode() if in_clear else Fernet(fernet_key).decrypt(kwargs.encode())


def files(folder: Path, what: str) -> Iterator[Place]:
    """Every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{what} {path.relative_to(folder)}", path.read_bytes()


def logs(root: Path) -> Iterator[Place]:
    """Those of the tasks and of the components of the lab at `root`."""
    yield from files(root / "data" / "airflow" / "logs", "task log")
    yield from files(root / "log", "component log")


def objects(cluster: Cluster) -> Iterator[Place]:
    """What the API server tells about everything but Secrets."""
    for what, path in OBJECTS.items():
        for item in cluster.list(path):
            metadata = item["metadata"]
            yield f"{what} {metadata.get('namespace')}/{metadata['name']}", json.dumps(item).encode()


def arguments() -> Iterator[bytes]:
    """The command line of every process on this machine."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                yield (process / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue


class Watch:
    """Collects, until the block ends, what can be seen for a moment only.

    `looks` counts the looks at process arguments and `longest` is the longest time between two of them, in seconds.
    `asked` yields places.
    """

    def __init__(self, asked: Callable[[], Iterable[Place]]) -> None:
        self._asked = asked
        self._seen: set[Place] = set()
        self._end = threading.Event()
        self._pool = ThreadPoolExecutor()
        self.looks = 0
        self.longest = 0.0

    def __enter__(self) -> Watch:
        self._work = [self._pool.submit(work) for work in (self._arguments, self._ask)]
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for work in self._work:
            work.result()

    def places(self) -> list[Place]:
        return list(self._seen)

    def _arguments(self) -> None:
        last = time.monotonic()
        while not self._end.wait(max(0.0, last + EVERY - time.monotonic())):
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            self.looks += 1
            self._seen.update(("process arguments", line) for line in arguments())

    def _ask(self) -> None:
        while not self._end.wait(ASK_EVERY):
            self._seen.update(self._asked())


def log_in(state: Mapping[str, Any]) -> Any:
    """A superuser's connection to Airflow's database."""
    return psycopg2.connect(
        host="127.0.0.1",
        port=state["ports"]["postgres"],
        user="postgres",
        password=Path(state["credentials"]["postgres_superuser"]).read_text(),
        dbname="airflow",
    )
