"""The Kubernetes API in plain dicts. What it bears by itself is in retries.py."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from infra_ops.clients.retries import Patience
from infra_ops.models.problems import Problem

PAGE = 200
SECONDS = 30  # for an answer, or a part of it
LISTS = 3  # how often a list may begin
APPLY = "application/apply-patch+yaml; charset=utf-8"


class ClusterError(Problem):
    """The API server refused or did not answer; the message says which server and why.

    `status` is the HTTP status of a refusal, 0 when there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_open(self) -> bool:
        """Whether a write may have been carried out (no answer, 5xx), or may be decided anew (409, 429): look again."""
        return self.status in (0, 409, 429) or self.status >= 500


class Cluster:
    """The API server that KUBECONFIG names, or, without that variable, the one whose pod this is.

    `server` is for one server's own address, such as https://192.168.1.21:6443, instead of the one that all share.
    `patience` says what is borne before a call fails (retries.py).
    """

    def __init__(self, server: str = "", *, patience: Patience | None = None) -> None:
        configuration = client.Configuration()
        kubeconfig = os.environ.get("KUBECONFIG")  # named, because the library reads the variable when imported
        try:
            if kubeconfig:
                config.load_kube_config(kubeconfig, client_configuration=configuration)
            else:
                config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException as error:
            where = f"KUBECONFIG names {kubeconfig}" if kubeconfig else "KUBECONFIG is not set, and this is no pod"
            raise ClusterError(f"no cluster is to be found: {where}: {error}") from None
        configuration.retries = patience or Patience.with_reads()
        self.server: str = server or configuration.host
        self._api = client.ApiClient(configuration)

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """The JSON object at `path`, for example `/api/v1/namespaces/airflow`. Raises `ClusterError`."""
        found: dict[str, Any] = self._call("GET", path, None, "", "object", **params)
        return found

    def text(self, path: str) -> str:
        """The plain text at `path`, such as `/metrics`. Raises `ClusterError`."""
        return str(self._call("GET", path, None, "", "str"))

    def list(self, path: str, **params: str | int) -> Iterator[dict[str, Any]]:
        """The items of the collection at `path`, fetched page by page, each name once. Raises `ClusterError`.

        A list that takes longer than the server keeps its token begins anew; what is deleted meanwhile may be in it.
        """
        yielded: set[tuple[str, str]] = set()
        token, begun = "", 1
        while True:
            try:
                page = self.get(path, limit=PAGE, **params, **({"continue": token} if token else {}))
            except ClusterError as error:
                if error.status != 410 or not token or begun == LISTS:
                    raise
                token, begun = "", begun + 1
                continue
            for item in page["items"]:
                name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
                if name not in yielded:
                    yielded.add(name)
                    yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def create(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        """Create an object in the collection at `path`. Raises `ClusterError` (409 when it exists)."""
        answer: dict[str, Any] = self._call("POST", path, item, "application/json")
        return answer

    def replace(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        """Replace an object. With its resourceVersion in it, 409 says that somebody was faster."""
        answer: dict[str, Any] = self._call("PUT", path, item, "application/json")
        return answer

    def merge(self, path: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Merge `patch` into the object at `path` (RFC 7386)."""
        answer: dict[str, Any] = self._call("PATCH", path, patch, "application/merge-patch+json")
        return answer

    def apply(self, path: str, item: dict[str, Any], *, manager: str, force: bool = False) -> dict[str, Any]:
        """Server-side apply as field manager `manager`; 409 names the fields that belong to somebody else."""
        return self._apply(path, item, fieldManager=manager, **({"force": "true"} if force else {}))

    def delete(self, path: str) -> None:
        """Delete the object at `path`; one that is gone already is fine."""
        try:
            self._call("DELETE", path)
        except ClusterError as error:
            if error.status != 404:
                raise

    def _apply(self, path: str, item: dict[str, Any], **params: str) -> dict[str, Any]:
        """The library's own JSON is in ASCII, but what is applied is read as YAML, which has no surrogate pairs."""
        answer: dict[str, Any] = self._call(
            "PATCH", path, json.dumps(item, ensure_ascii=False).encode(), APPLY, "object", **params
        )
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | bytes | None = None,
        content_type: str = "",
        response_type: str = "object",
        /,
        **params: str | int,
    ) -> Any:
        try:
            answer = self._api.call_api(
                path,
                method,
                query_params=list(params.items()),
                header_params={
                    "Accept": "application/json" if response_type == "object" else "*/*",
                    **({"Content-Type": content_type} if content_type else {}),
                },
                body=body,
                response_type=response_type,
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _host=self.server,  # the library takes the kubeconfig's again whenever it looks at its token
                _request_timeout=(5, SECONDS),
            )
        except client.ApiException as error:
            text = f"the API server {self.server} refused {method} {path}: {error.status} {_reason(path, error)}"
            raise ClusterError(text, error.status) from None  # its body may quote what was sent
        except HTTPError as error:
            raise ClusterError(f"the API server {self.server} does not answer: {_cause(error)}") from None
        return answer


def _cause(error: HTTPError) -> str:
    """In words where urllib3 has only the name of an exception, or a tuple."""
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, ProtocolError):
        return "the connection was lost before the end of its answer"
    if isinstance(cause, ReadTimeoutError):
        return f"nothing came within {SECONDS} s"
    return str(cause)


def _reason(path: str, error: client.ApiException) -> str:
    """The server's own sentence, where it sent a Status; but about Secrets only its reason, which is one word: all else
    may quote a value.
    """
    try:
        status = json.loads(error.body)
        if "/secrets" not in path:
            return str(status["message"])
        if (reason := str(status["reason"])).isalpha():
            return reason
    except (TypeError, ValueError, KeyError):
        pass
    return str(error.reason)
