"""Which resources the server has: the built-in table, and the rows that CustomResourceDefinitions add."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Object = dict[str, Any]

TABLE = Path(__file__).parent / "data" / "resources.json"
ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

# Where a real server keeps a built-in resource when it is not /registry/<plural>
# (k8s.io/kubernetes/pkg/kubeapiserver/default_storage_factory_builder.go).
STORED_ELSEWHERE = {
    ("", "nodes"): "minions",
    ("", "services"): "services/specs",
    ("", "endpoints"): "services/endpoints",
    ("", "replicationcontrollers"): "controllers",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
}
# Kinds whose metadata.generation counts the changes of their spec; the others have no generation in 1.32.
COUNTS_GENERATIONS = frozenset(
    {
        ("apps", "daemonsets"), ("apps", "deployments"), ("apps", "replicasets"), ("apps", "statefulsets"),
        ("batch", "cronjobs"), ("batch", "jobs"), ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"), ("networking.k8s.io", "ingressclasses"),
        ("policy", "poddisruptionbudgets"), ("", "replicationcontrollers"), ("scheduling.k8s.io", "priorityclasses"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        ("discovery.k8s.io", "endpointslices"),
    }
)  # fmt: skip
# Kinds that refuse a PUT without a resourceVersion.
NEEDS_RESOURCE_VERSION = frozenset(
    {
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("coordination.k8s.io", "leases"),
        ("policy", "poddisruptionbudgets"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    }
)


@dataclass(frozen=True)
class Subresource:
    """A part of an object with a path of its own, and the kind that travels there."""

    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Resource:
    """One row: a kind at one version, as clients address it.

    ``custom`` is the version entry of the CustomResourceDefinition that brought it (``spec.versions[i]``), None for
    built-in resources.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ALL_VERBS
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    custom: Object | None = None
    storage_version: str = ""
    converts_by_webhook: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage_api_version(self) -> str:
        """The version that its objects are stored in, whichever they are written in."""
        version = self.storage_version or self.version
        return f"{self.group}/{version}" if self.group else version

    @property
    def qualified(self) -> str:
        """``deployments.apps``, as messages name a resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def id(self) -> tuple[str, str]:
        """(group, plural): the same at every version."""
        return self.group, self.plural

    @property
    def prefix(self) -> str:
        """The start of the storage keys of its objects, with the closing slash."""
        elsewhere = STORED_ELSEWHERE.get(self.id)
        place = elsewhere or (f"{self.group}/{self.plural}" if self.custom else self.plural)
        return f"/registry/{place}/"

    @property
    def stored(self) -> bool:
        """False for the reviews and bindings, which exist only as requests."""
        return "get" in self.verbs

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @property
    def counts_generations(self) -> bool:
        return self.custom is not None or self.id in COUNTS_GENERATIONS

    @property
    def needs_resource_version(self) -> bool:
        return self.custom is not None or self.id in NEEDS_RESOURCE_VERSION

    def key(self, namespace: str, name: str) -> str:
        """The storage key of an object, or with an empty name the start of the keys of a namespace."""
        return f"{self.prefix}{namespace}/{name}" if namespace else f"{self.prefix}{name}"


class Resources:
    """The table by (group, version, plural)."""

    def __init__(self, rows: Iterable[Resource]) -> None:
        self._rows = {(row.group, row.version, row.plural): row for row in rows}
        self._served: dict[str, set[tuple[str, str, str]]] = {}
        self.changes = 0  # counts what custom resources changed, so that discovery can be cached

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._rows.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._rows.get((group, version, plural))

    def versions(self, group: str, plural: str) -> list[Resource]:
        """The rows of one resource, the newest stable version first."""
        rows = [row for row in self if row.id == (group, plural)]
        return sorted(rows, key=lambda row: version_rank(row.version))

    def serve(self, definition: str, rows: Iterable[Resource]) -> None:
        """Let the rows of the CustomResourceDefinition of that name be exactly ``rows``."""
        new = {(row.group, row.version, row.plural): row for row in rows}
        for gone in self._served.get(definition, set()) - new.keys():
            del self._rows[gone]
        self._rows.update(new)
        self._served[definition] = set(new)
        self.changes += 1


def builtin() -> Resources:
    """The resources of a Kubernetes 1.32 server, from data/resources.json."""
    return Resources(_row(entry) for entry in json.loads(TABLE.read_text()))


def _row(entry: Object) -> Resource:
    return Resource(
        group=entry["group"],
        version=entry["version"],
        plural=entry["plural"],
        kind=entry["kind"],
        namespaced=entry["namespaced"],
        verbs=tuple(entry["verbs"]),
        singular=entry["kind"].lower(),
        list_kind=entry["kind"] + "List",
        short_names=tuple(entry["shortNames"]),
        categories=tuple(entry["categories"]),
        subresources={name: _subresource(entry, sub) for name, sub in entry["subresources"].items()},
    )


def _subresource(entry: Object, sub: Object) -> Subresource:
    group, version, kind = sub["kind"] or (entry["group"], entry["version"], entry["kind"])
    return Subresource(group, version, kind, tuple(sub["verbs"]))


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes prefers them: v2, v1, v1beta2, v1beta1, v1alpha1, then other names."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not match:
        return 3, 0, 0, version
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return stage, -int(match[1]), -int(match[3] or 0), version
