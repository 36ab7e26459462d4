"""Reads from the Kubernetes API as plain dicts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError

PAGE = 200


class ClusterError(Exception):
    """The API server refused or did not answer; the message says which server and why."""


class Cluster:
    """The API server that KUBECONFIG names, or, without that variable, the one whose pod this is."""

    def __init__(self) -> None:
        configuration = client.Configuration()
        if kubeconfig := os.environ.get("KUBECONFIG"):  # named, because the library reads the variable when imported
            config.load_kube_config(kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
        self.server: str = configuration.host
        self._api = client.ApiClient(configuration)

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """The JSON object at `path`, for example `/api/v1/namespaces/airflow`. Raises `ClusterError`."""
        try:
            answer: dict[str, Any] = self._api.call_api(
                path,
                "GET",
                query_params=list(params.items()),
                header_params={"Accept": "application/json"},
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=(5, 30),
            )
        except client.ApiException as error:
            raise ClusterError(f"the API server {self.server} refused {path}: {error.status} {error.reason}") from error
        except HTTPError as error:
            cause = getattr(error, "reason", None) or error
            raise ClusterError(f"the API server {self.server} does not answer: {cause}") from error
        return answer

    def list(self, path: str, **params: str | int) -> Iterator[dict[str, Any]]:
        """The items of the collection at `path`, fetched page by page. Raises `ClusterError`."""
        token = ""
        while True:
            page = self.get(path, limit=PAGE, **params, **({"continue": token} if token else {}))
            yield from page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return
