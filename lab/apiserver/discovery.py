"""Discovery: telling clients which groups, versions and resources there are, in the old and the aggregated form."""

from __future__ import annotations

from typing import Any

from lab.apiserver.resources import Resource, Resources, Subresource, version_rank

Object = dict[str, Any]

AGGREGATED = "APIGroupDiscoveryList"


def wants_aggregated(accept: str) -> bool:
    """Does the client prefer all groups in one answer (apidiscovery.k8s.io/v2)?"""
    first = accept.split(",")[0].replace(" ", "")
    return f"as={AGGREGATED}" in first and "v=v2;" in first + ";"


def aggregated_content_type() -> str:
    return f"application/json;g=apidiscovery.k8s.io;v=v2;as={AGGREGATED}"


def groups(resources: Resources) -> dict[str, dict[str, list[Resource]]]:
    """Resources by group and version, the preferred version first; the core group is ``""``."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for resource in resources:
        found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return {
        group: {version: versions[version] for version in sorted(versions, key=version_rank)}
        for group, versions in found.items()
    }


def answer(resources: Resources, path: str, aggregated: bool) -> Object | None:
    """The document at ``path``; None when there is no such group or version."""
    parts = [part for part in path.split("/") if part]
    known = groups(resources)
    if aggregated and len(parts) == 1:
        return _aggregated({group: versions for group, versions in known.items() if bool(group) == (parts == ["apis"])})
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": list(known[""]), "serverAddressByClientCIDRs": []}
        case ["apis"]:
            named = [_group(group, versions) for group, versions in known.items() if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        case ["apis", group] if group in known:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, known[group])}
        case ["api", version] if version in known[""]:
            return _resource_list(version, known[""][version])
        case ["apis", group, version] if version in known.get(group, {}):
            return _resource_list(f"{group}/{version}", known[group][version])
    return None


def _group(group: str, versions: dict[str, list[Resource]]) -> Object:
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resource_list(group_version: str, resources: list[Resource]) -> Object:
    rows = []
    for resource in resources:
        rows.append(
            {
                "name": resource.plural,
                "singularName": resource.singular,
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": list(resource.verbs),
                **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
                **({"categories": list(resource.categories)} if resource.categories else {}),
            }
        )
        for name, sub in resource.subresources.items():
            foreign = (sub.group, sub.version) != (resource.group, resource.version)
            rows.append(
                {
                    "name": f"{resource.plural}/{name}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    **({"group": sub.group, "version": sub.version} if foreign else {}),
                    "kind": sub.kind,
                    "verbs": list(sub.verbs),
                }
            )
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def _aggregated(known: dict[str, dict[str, list[Resource]]]) -> Object:
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated_resource(resource) for resource in resources],
                    "freshness": "Current",
                }
                for version, resources in versions.items()
            ],
        }
        for group, versions in known.items()
    ]
    return {"kind": AGGREGATED, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_resource(resource: Resource) -> Object:
    subresources = [
        {"subresource": name, "responseKind": _kind(sub), "verbs": list(sub.verbs)}
        for name, sub in resource.subresources.items()
    ]
    return {
        "resource": resource.plural,
        "responseKind": _kind(resource),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
        **({"categories": list(resource.categories)} if resource.categories else {}),
        **({"subresources": subresources} if subresources else {}),
    }


def _kind(of: Resource | Subresource) -> Object:
    return {"group": of.group, "version": of.version, "kind": of.kind}
