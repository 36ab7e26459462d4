"""What deploying needs of the API server beyond clients/kubernetes.py: dry runs, scaling, and tokens of oneself."""

from __future__ import annotations

from typing import Any

from infra_ops.clients.kubernetes import Cluster, ClusterError

MANAGER = "infra-ops"


class Deployer(Cluster):
    """The API server as somebody who applies manifests. Every write is strict: an unknown field is refused."""

    def find(self, path: str) -> dict[str, Any] | None:
        """The object at `path`; None when there is none. Raises ClusterError."""
        try:
            return self.get(path)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def apply_strictly(self, path: str, item: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply; with `dry_run` what it would lead to. Raises ClusterError."""
        params = {"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"}
        return self._apply(path, item, **params, **({"dryRun": "All"} if dry_run else {}))

    def scale(self, path: str, replicas: int) -> None:
        """Set the number of pods of the workload at `path`."""
        patch = {"spec": {"replicas": replicas}}
        self._call("PATCH", f"{path}/scale", patch, "application/merge-patch+json")

    def token_of(self, namespace: str, account: str) -> str:
        """A token of a service account, good for ten minutes, the shortest that the API gives."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        spec = {"spec": {"expirationSeconds": 600}}
        return str(self._call("POST", path, spec, "application/json")["status"]["token"])
