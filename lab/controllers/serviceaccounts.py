"""Gives each namespace its service account `default` and the ConfigMap `kube-root-ca.crt`.

kube-controller-manager's serviceaccount and root-ca-cert-publisher controllers. What is there is left as it is: beside
a real controller that publishes another certificate, two that correct each other would never end.
"""

from typing import Any

from lab.controllers.cache import Cache
from lab.controllers.writing import attempt
from lab.kube import Kube

Object = dict[str, Any]

NAMESPACES, ACCOUNTS, MAPS = "/api/v1/namespaces", "/api/v1/serviceaccounts", "/api/v1/configmaps"
ROOT_CA = "kube-root-ca.crt"


async def run(kube: Kube, authority: str) -> None:
    """Runs until cancelled. `authority`: the certificates (PEM) that vouch for the API server."""
    cache = Cache(kube, NAMESPACES, ACCOUNTS, MAPS)

    async def look() -> bool:
        done = True
        for path, wanted in _missing(cache, authority):
            done = await attempt(kube.request("POST", path, body=wanted)) and done
        return done

    await cache.follow(look)


def _missing(cache: Cache, authority: str) -> list[tuple[str, Object]]:
    """Path and object of everything that an active namespace lacks."""
    missing: list[tuple[str, Object]] = []
    for namespace in cache.all(NAMESPACES):
        name = namespace["metadata"]["name"]
        if namespace["metadata"].get("deletionTimestamp"):
            continue
        if not cache.get(ACCOUNTS, name, "default"):
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            missing.append((f"/api/v1/namespaces/{name}/serviceaccounts", account))
        if not cache.get(MAPS, name, ROOT_CA):
            published = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ROOT_CA}}
            missing.append((f"/api/v1/namespaces/{name}/configmaps", published | {"data": {"ca.crt": authority}}))
    return missing
