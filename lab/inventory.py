"""The lab's own inventory: include/ as it is, but for the addresses, because Services have no names on this machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra_ops.models.documents import parse
from infra_ops.models.inventory import Inventory
from lab.layout import PROJECT

SOURCE = PROJECT / "include"
NAME = r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?"
_WITH_PORT = re.compile(rf"\b{NAME}:(\d+)\b")
_ALONE = re.compile(NAME)


def load() -> Inventory:
    """The inventory as its owner wrote it. Raises DocumentError."""
    path = SOURCE / "cluster.yaml"
    return parse(path.read_text(), Inventory, str(path))


def write(folder: Path, addresses: Mapping[str, str]) -> None:
    """Replace `folder` by a copy of include/ in which Services are named by their addresses (`host:port`)."""
    fresh = folder.with_name(f"{folder.name}.new")
    for old in (fresh, folder):
        if old.exists():
            shutil.rmtree(old)
    shutil.copytree(SOURCE, fresh)
    content = placed(load().model_dump(mode="json"), addresses)
    (fresh / "cluster.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    fresh.rename(folder)


def placed(node: Any, addresses: Mapping[str, str]) -> Any:
    """The same document with `name.namespace.svc` and its port replaced, in texts and in pairs of `host` and `port`.

    A Service that the lab does not have keeps its name, and whoever calls it gets no answer.
    """
    match node:
        case {"host": str(host), "port": int(port)} if alone := _ALONE.fullmatch(host):
            place = addresses.get(f"{alone[2]}/{alone[1]}:{port}", f"{host}:{port}")
            there, _, number = place.rpartition(":")
            rest = {key: placed(value, addresses) for key, value in node.items() if key not in ("host", "port")}
            return {**rest, "host": there, "port": int(number)}
        case dict():
            return {key: placed(value, addresses) for key, value in node.items()}
        case list():
            return [placed(value, addresses) for value in node]
        case str():
            return _WITH_PORT.sub(lambda match: addresses.get(f"{match[2]}/{match[1]}:{match[3]}", match[0]), node)
    return node
