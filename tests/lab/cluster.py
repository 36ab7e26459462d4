"""What the tests know of the Kubernetes API server that they share."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path

import kubernetes
from kubernetes.client import ApiException, CoreV1Api


@dataclass
class Cluster:
    """Where the server is and who may do everything there. ``real``: it is not the lab's double."""

    kubeconfig: Path
    url: str
    ca: Path
    real: bool
    namespaces: list[str] = field(default_factory=list)

    def client(self) -> kubernetes.client.ApiClient:
        return kubernetes.config.new_client_from_config(str(self.kubeconfig))

    def namespace(self) -> str:
        """A fresh namespace with a default service account, so that pods can be created in it."""
        name = f"test-{uuid.uuid4().hex[:10]}"
        core = CoreV1Api(self.client())
        core.create_namespace({"metadata": {"name": name}})
        self.namespaces.append(name)
        try:
            core.create_namespaced_service_account(name, {"metadata": {"name": "default"}})
        except ApiException as error:
            if error.status != 409:  # a real cluster's controller was faster
                raise
        return name
