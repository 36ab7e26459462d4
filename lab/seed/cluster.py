"""Reads the seed file: which namespaces, workloads and exposed secrets the lab's cluster starts with."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

SEED_FILE = Path(__file__).with_name("cluster.yaml")
KINDS = ("Deployment", "StatefulSet", "DaemonSet")


class SeedError(Exception):
    """The seed file cannot be used; the text says where and why in one sentence."""


@dataclass(frozen=True)
class Workload:
    """One workload of the roadmap's cluster.

    `port` also makes a Service of the same name; `env_from` names a Secret of the namespace; `storage` is the size of
    a volume claim.
    """

    name: str
    image: str
    kind: str = "Deployment"
    replicas: int = 1
    port: int | None = None
    env_from: str | None = None
    storage: str | None = None
    privileged: bool = False
    host_network: bool = False
    host_paths: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Namespace:
    name: str
    workloads: tuple[Workload, ...]
    secrets: dict[str, dict[str, str]]


@dataclass(frozen=True)
class ServiceAccount:
    namespace: str
    name: str


@dataclass(frozen=True)
class Cluster:
    namespaces: tuple[Namespace, ...]
    cluster_admins: tuple[ServiceAccount, ...]


def load(path: Path = SEED_FILE) -> Cluster:
    """Reads and checks the seed file. Raises SeedError with the file, the place and what is allowed there."""
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SeedError(f"The seed file {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SeedError(f"The seed file {path} is not YAML: {' '.join(str(error).split())}.") from error
    top = _mapping(document, path, "the top level", {"namespaces", "cluster_admins"})
    namespaces = _mapping(top.get("namespaces"), path, "namespaces", None)
    admins = top.get("cluster_admins", [])
    if not isinstance(admins, list):
        raise SeedError(f"{path}: cluster_admins must be a list.")
    return Cluster(
        namespaces=tuple(_namespace(path, name, body) for name, body in namespaces.items()),
        cluster_admins=tuple(_admin(path, index, entry) for index, entry in enumerate(admins)),
    )


def _namespace(path: Path, name: str, body: Any) -> Namespace:
    place = f"namespaces.{name}"
    entry = _mapping(body or {}, path, place, {"workloads", "secrets"})
    workloads = entry.get("workloads", [])
    if not isinstance(workloads, list):
        raise SeedError(f"{path}: {place}.workloads must be a list.")
    secrets = _mapping(entry.get("secrets", {}), path, f"{place}.secrets", None)
    return Namespace(
        name=name,
        workloads=tuple(_workload(path, f"{place}.workloads[{i}]", w) for i, w in enumerate(workloads)),
        secrets={
            key: {k: str(v) for k, v in _mapping(data, path, f"{place}.secrets.{key}", None).items()}
            for key, data in secrets.items()
        },
    )


def _workload(path: Path, place: str, body: Any) -> Workload:
    entry = _mapping(body, path, place, {f.name for f in fields(Workload)})
    missing = [key for key in ("name", "image") if key not in entry]
    if missing:
        raise SeedError(f"{path}: {place} lacks {' and '.join(missing)}.")
    workload = Workload(**entry)
    if workload.kind not in KINDS:
        raise SeedError(f"{path}: {place}.kind is {workload.kind!r}; allowed are {', '.join(KINDS)}.")
    return workload


def _admin(path: Path, index: int, body: Any) -> ServiceAccount:
    place = f"cluster_admins[{index}]"
    entry = _mapping(body, path, place, {"namespace", "service_account"})
    if set(entry) != {"namespace", "service_account"}:
        raise SeedError(f"{path}: {place} needs namespace and service_account.")
    return ServiceAccount(entry["namespace"], entry["service_account"])


def _mapping(value: Any, path: Path, place: str, allowed: set[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SeedError(f"{path}: {place} must be a mapping, found {type(value).__name__}.")
    unknown = set(value) - allowed if allowed is not None else set()
    if unknown:
        found, choice = sorted(map(str, unknown))[0], ", ".join(sorted(allowed or ()))
        raise SeedError(f"{path}: {place} has the unknown key {found!r}; allowed are {choice}.")
    return value
