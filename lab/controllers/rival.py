"""Is a real controller manager at work on this API server?"""

from __future__ import annotations

import asyncio

from lab.kube import ApiError, Kube

PATIENCE_SECONDS = 5.0


async def is_managed(kube: Kube, patience: float = PATIENCE_SECONDS) -> bool:
    """Makes a namespace and looks whether anybody gives it its default service account within `patience` seconds."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "lab-looks-for-controllers-"}}
    namespace = (await kube.request("POST", "/api/v1/namespaces", body=body))["metadata"]["name"]
    path = f"/api/v1/namespaces/{namespace}"
    try:
        return await _appears(kube, f"{path}/serviceaccounts/default", patience)
    finally:
        await kube.request("DELETE", path)


async def _appears(kube: Kube, path: str, patience: float) -> bool:
    deadline = asyncio.get_running_loop().time() + patience
    while asyncio.get_running_loop().time() < deadline:
        if await _exists(kube, path):
            return True
        await asyncio.sleep(0.2)
    return False


async def _exists(kube: Kube, path: str) -> bool:
    try:
        await kube.request("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True
