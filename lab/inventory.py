"""The lab's own inventory: include/ as it is, but for the addresses, because its servers have no names here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra_ops.models.documents import parse
from infra_ops.models.inventory import Inventory
from lab.layout import PROJECT
from lab.nodes.machine import NAS

GIT = "git"  # the Git host among the machines that are reached by SSH, and the user who may log in there
SOURCE = PROJECT / "include"
NAME = r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?"
_WITH_PORT = re.compile(rf"\b{NAME}:(\d+)\b")
_ALONE = re.compile(NAME)
# A host name with a dot in it, alone with its port or in a URL, where a port that is missing is that of the scheme.
_OUTSIDE = re.compile(r"(?:\b(https?)://|^)([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::(\d+))?(?=/|$)")
_BY_SSH = re.compile(r"^ssh://[^/]+")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def load() -> Inventory:
    """The inventory as its owner wrote it. Raises DocumentError."""
    path = SOURCE / "cluster.yaml"
    return parse(path.read_text(), Inventory, str(path))


@dataclass(frozen=True)
class Ports:
    """Where machines are on 127.0.0.1: SSH of each node, of the NAS and of the Git host, and the servers' own APIs."""

    ssh: Mapping[str, int]
    api: Mapping[str, int]


def write(folder: Path, addresses: Mapping[str, str], ports: Ports, *, with_airflow: bool = True) -> None:
    """Replace `folder` by a copy of include/ in which servers are named by their addresses (see `placed`, `reached`).

    In a lab without Airflow nothing is left of what needs its API.
    """
    fresh = folder.with_name(f"{folder.name}.new")
    for old in (fresh, folder):
        if old.exists():
            shutil.rmtree(old)
    shutil.copytree(SOURCE, fresh)
    content = reached(placed(load().model_dump(mode="json"), addresses), ports)
    if not with_airflow:
        _forget_airflow(content)
    (fresh / "cluster.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    fresh.rename(folder)


def reached(content: dict[str, Any], ports: Ports) -> dict[str, Any]:
    """The same document with the machines at their ports on 127.0.0.1. A port that nobody told stays as it is."""
    for node in content["nodes"]:
        if node["name"] in ports.ssh:
            node |= {"address": "127.0.0.1", "ssh_port": ports.ssh[node["name"]]}
        node["api_port"] = ports.api.get(node["name"], node["api_port"])
    if content.get("off_cluster") and NAS in ports.ssh:
        content["off_cluster"] |= {"address": "127.0.0.1", "ssh_port": ports.ssh[NAS]}
    if content.get("repository") and GIT in ports.ssh:
        url = _BY_SSH.sub(f"ssh://{GIT}@127.0.0.1:{ports.ssh[GIT]}", content["repository"]["url"])
        content["repository"] |= {"url": url}
    return content


def _forget_airflow(content: dict[str, Any]) -> None:
    login = content.pop("airflow", {}).get("login")
    credentials = content["credentials"]
    kept = {
        id_: {**each, "connections": []}
        for id_, each in credentials.items()
        if id_ != login and (each["target"] or {}).get("kind") != "airflow"
    }
    content["credentials"] = kept


def placed(node: Any, addresses: Mapping[str, str]) -> Any:
    """The same document with names of servers replaced, in texts and in pairs of `host` and `port`.

    `addresses` tells where they are (`host:port`): Services by `namespace/name:port`, which the document calls
    `name.namespace.svc:port`, and those outside of the cluster by `host:port`. What is not in it keeps its name, and
    whoever calls it gets no answer.
    """
    match node:
        case {"host": str(host), "port": int(port)}:
            alone = _ALONE.fullmatch(host)
            name = f"{alone[2]}/{alone[1]}:{port}" if alone else f"{host}:{port}"
            place = addresses.get(name, f"{host}:{port}")
            there, _, number = place.rpartition(":")
            rest = {key: placed(value, addresses) for key, value in node.items() if key not in ("host", "port")}
            return {**rest, "host": there, "port": int(number)}
        case dict():
            return {key: placed(value, addresses) for key, value in node.items()}
        case list():
            return [placed(value, addresses) for value in node]
        case str():
            text = _WITH_PORT.sub(lambda match: addresses.get(f"{match[2]}/{match[1]}:{match[3]}", match[0]), node)
            return _OUTSIDE.sub(lambda match: _outside(match, addresses), text)
    return node


def _outside(match: re.Match[str], addresses: Mapping[str, str]) -> str:
    scheme, host, port = match.groups()
    place = addresses.get(f"{host}:{port or _DEFAULT_PORTS.get(scheme)}")
    if place is None:
        return match[0]
    return f"{scheme}://{place}" if scheme else place
