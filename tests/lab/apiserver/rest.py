"""The bare REST interface of an API server, for tests that compare codes, reasons and texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes
import requests

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Rest:
    """The bare REST interface, with the credentials of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        settings = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=settings)
        self.url = settings.host
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = settings.ssl_ca_cert
        if settings.cert_file:
            self.session.cert = (settings.cert_file, settings.key_file)
        token = settings.get_api_key_with_prefix("authorization")
        if token:
            self.session.headers["Authorization"] = token

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, **{"timeout": 30, **more})

    def get(self, path: str, **params: str) -> Object:
        return _checked(self.request("GET", path, params=params))

    def create(self, path: str, obj: Object, **params: str) -> Object:
        return _checked(self.request("POST", path, json=obj, params=params))

    def replace(self, path: str, obj: Object, **params: str) -> Object:
        return _checked(self.request("PUT", path, json=obj, params=params))

    def patch(self, path: str, body: Any, kind: str = MERGE_PATCH, **params: str) -> Object:
        return _checked(self.send_patch(path, body, kind, **params))

    def send_patch(self, path: str, body: Any, kind: str = MERGE_PATCH, **params: str) -> requests.Response:
        return self.request("PATCH", path, data=json.dumps(body), params=params, headers={"Content-Type": kind})

    def apply(self, path: str, obj: Object, manager: str, **params: str) -> requests.Response:
        return self.send_patch(path, obj, APPLY_PATCH, fieldManager=manager, **params)

    def delete(self, path: str, body: Object | None = None) -> Object:
        return _checked(self.request("DELETE", path, json=body))

    def watch(self, path: str, **params: str) -> Watch:
        return Watch(self.request("GET", path, params={"watch": "true", **params}, stream=True, timeout=20))


def _checked(response: requests.Response) -> Object:
    assert response.ok, f"{response.status_code} {response.text}"
    found: Object = response.json()
    return found


class Watch:
    """An open watch; ``next`` blocks until the next event."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self._lines = response.iter_lines(chunk_size=1)

    def next(self) -> tuple[str, Object]:
        event = json.loads(next(self._lines))
        return event["type"], event["object"]

    def names(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        found = []
        for _ in range(count):
            kind, obj = self.next()
            found.append((kind, obj["metadata"].get("name", "")))
        return found

    def close(self) -> None:
        self.response.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def status(response: requests.Response) -> tuple[int, str, str]:
    """The (code, reason, message) of a refusal."""
    body = response.json()
    return response.status_code, body.get("reason", ""), body["message"]
