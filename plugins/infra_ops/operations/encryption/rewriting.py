"""Every Secret written again as it is: the API server stores it with the key that comes first now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.clients.retries import pause
from infra_ops.operations.servers import Write

PAGE = 200  # Secrets an effect: the Lease is asked and the journal written before each
TRIES = 6
log = logging.getLogger(__name__)


def rewrite(cluster: Cluster, write: Write) -> int:
    """Write every Secret of every namespace; how many were written. Raises ClusterError.

    Unchanged values are what the API server writes without a new resourceVersion when they have the right key already,
    so it may be broken off anywhere and begun again.
    """
    done = 0
    for page in _pages(cluster):
        first = _path(page[0]).removeprefix("/api/v1/namespaces/").replace("/secrets/", "/")
        write(f"rewrite {len(page)} Secrets from {first}", partial(_rewrite, cluster, page))
        done += len(page)
        log.info("%d Secrets rewritten", done)
    return done


def _rewrite(cluster: Cluster, page: list[dict[str, Any]]) -> None:
    for item in page:
        _again(cluster, item)


def _pages(cluster: Cluster) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for item in cluster.list("/api/v1/secrets"):
        page.append(item)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _again(cluster: Cluster, item: dict[str, Any]) -> None:
    """One Secret, as it was listed; as it is now when somebody changed it since. One that is gone needs nothing."""
    path = _path(item)
    for attempt in range(1, TRIES + 1):
        try:
            cluster.replace(path, item | {"apiVersion": "v1", "kind": "Secret"})
        except ClusterError as error:
            if error.status == 404:
                return
            if not error.is_open or attempt == TRIES:
                raise
            pause(attempt)
            found = _find(cluster, path)
            if found is None:
                return
            item = found
        else:
            return


def _find(cluster: Cluster, path: str) -> dict[str, Any] | None:
    try:
        return cluster.get(path)
    except ClusterError as error:
        if error.status == 404:
            return None
        raise


def _path(item: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{item['metadata']['namespace']}/secrets/{item['metadata']['name']}"
