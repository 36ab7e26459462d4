"""A small asynchronous client of the Kubernetes REST API, shared by the lab's kubelet, controllers and seed.

It speaks only what every Kubernetes API server speaks, so its users run against a real one unchanged.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

Object = dict[str, Any]
Objects = list[Object]

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
RETRY_SECONDS = (0.1, 0.3, 1.0, 3.0)
LONGEST_LINE = 4 * 1024 * 1024  # a watch event is one line; an object may be 1.5 MiB, more once written as JSON


class ApiError(Exception):
    """The API server's refusal: the `code`, `reason` and `message` of its Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Kube:
    """One session with the server and user of a kubeconfig's current context.

    Use it as an async context manager. Every call raises `ApiError` when the server refuses, and the built-in
    `ConnectionError` when it does not answer.
    """

    def __init__(self, kubeconfig: Path) -> None:
        cluster, user = _current_context(kubeconfig)
        self.server: str = cluster["server"].rstrip("/")
        self._tls = _tls(cluster, user, kubeconfig.parent) if self.server.startswith("https:") else None
        self._headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls if self._tls else True, limit=0),
            headers=self._headers,
            read_bufsize=LONGEST_LINE,
            timeout=aiohttp.ClientTimeout(total=60),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | list[Any] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request and return the JSON object that answers it (`{}` for an empty or plain-text answer)."""
        # Not as \uXXXX: servers read what is applied as YAML, which knows no surrogate pairs.
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if data is not None else {})
        try:
            async with self._open.request(
                method, self.server + path, params=params, data=data, headers=headers
            ) as answer:
                text = await answer.text()
                if answer.status >= 400:
                    raise _api_error(answer.status, text)
                return _object(text)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(f"the API server {self.server} does not answer: {error!r}") from error

    async def list(self, path: str, **params: str) -> Objects:
        """All objects of a collection, fetched in pages; each carries `apiVersion` and `kind`."""
        return (await self._list(path, params))[0]

    async def apply(self, obj: Object, *, manager: str, force: bool = False, subresource: str = "") -> Object:
        """Server-side apply `obj` as field manager `manager`; a conflict without `force` is an `ApiError` 409.

        The path comes from discovery, so a custom resource can be applied as soon as its definition is served.
        """
        path = await self._path(obj) + (f"/{subresource}" if subresource else "")
        params = {"fieldManager": manager} | ({"force": "true"} if force else {})
        return await self.request("PATCH", path, params=params, body=obj, content_type="application/apply-patch+yaml")

    async def events(self, path: str, **params: str) -> AsyncIterator[tuple[str, Object]]:
        """List a collection, then watch it for ever.

        Yields `("ADDED", object)` for all that exists, `("SYNCED", {})` once, and then ADDED, MODIFIED and DELETED as
        they happen. When the server's history no longer reaches back (410) or the connection breaks, it lists anew:
        what changed or vanished meanwhile is yielded as if it had been watched, followed by SYNCED again.

        A refusal of the very first list is raised; later ones are waited out, because a server that has just
        restarted may refuse until its own caches are filled.
        """
        known: dict[tuple[str, str], Object] = {}
        synced = False
        failures = 0
        while True:
            try:
                items, version = await self._list(path, params)
                for event in _difference(known, items):
                    yield event
                yield "SYNCED", {}
                synced, failures = True, 0
                while True:
                    async for kind, obj in self._watch(path, params | {"resourceVersion": version}):
                        version = obj["metadata"]["resourceVersion"]
                        if kind == "BOOKMARK":
                            continue
                        if kind == "DELETED":
                            known.pop(_key(obj), None)
                        else:
                            known[_key(obj)] = obj
                        yield kind, obj
                    await asyncio.sleep(RETRY_SECONDS[0])
            except ConnectionError as error:
                log.debug("watch of %s broke: %s", path, error)
            except ApiError as error:
                if not synced and error.status not in (410, 429) and error.status < 500:
                    raise
                log.debug("watch of %s was refused: %s", path, error)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Kube is used outside its `async with` block")
        return self._session

    async def _list(self, path: str, params: Mapping[str, str]) -> tuple[Objects, str]:
        """The objects of a collection and the resource version to watch from."""
        items: Objects = []
        page = {"limit": "500", **params}
        while True:
            answer = await self.request("GET", path, params=page)
            named = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
            items += [named | item for item in answer.get("items") or []]
            if not answer["metadata"].get("continue"):
                return items, answer["metadata"]["resourceVersion"]
            page["continue"] = answer["metadata"]["continue"]

    async def _watch(self, path: str, params: Mapping[str, str]) -> AsyncIterator[tuple[str, Object]]:
        """One watch request until the server ends it."""
        query = {**params, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30)
        try:
            async with self._open.get(self.server + path, params=query, timeout=timeout) as answer:
                if answer.status >= 400:
                    raise _api_error(answer.status, await answer.text())
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _api_error(event["object"].get("code", 500), json.dumps(event["object"]))
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, OSError, json.JSONDecodeError) as error:  # a cut line is no JSON
            raise ConnectionError(f"the watch of {path} on {self.server} broke: {error!r}") from error

    async def _path(self, obj: Object) -> str:
        """The path of one object, with the plural name taken from the server's discovery."""
        version, kind = obj["apiVersion"], obj["kind"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._plurals:
            for resource in (await self.request("GET", base))["resources"]:
                if "/" not in resource["name"]:
                    self._plurals[version, resource["kind"]] = resource["name"], resource["namespaced"]
        if (version, kind) not in self._plurals:
            raise ApiError(404, "NotFound", f"the server has no resource of kind {kind} in {version}")
        plural, namespaced = self._plurals[version, kind]
        middle = f"/namespaces/{obj['metadata'].get('namespace', 'default')}" if namespaced else ""
        return f"{base}{middle}/{plural}/{obj['metadata']['name']}"


def server_of(kubeconfig: Path) -> tuple[str, bytes | None]:
    """The URL of the server in the current context, and its certificate authority as PEM where it names one."""
    cluster, _ = _current_context(kubeconfig)
    return cluster["server"].rstrip("/"), _pem(cluster, "certificate-authority", kubeconfig.parent)


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _difference(known: dict[tuple[str, str], Object], items: Objects) -> list[tuple[str, Object]]:
    """The events that lead from `known` to `items`; updates `known`. A new uid under an old name is two events."""
    events: list[tuple[str, Object]] = []
    fresh = {_key(item): item for item in items}
    for key, old in list(known.items()):
        if key not in fresh or fresh[key]["metadata"]["uid"] != old["metadata"]["uid"]:
            events.append(("DELETED", known.pop(key)))
    for key, item in fresh.items():
        if key not in known:
            events.append(("ADDED", item))
        elif known[key]["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            events.append(("MODIFIED", item))
        known[key] = item
    return events


def _object(text: str) -> Object:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _api_error(status: int, text: str) -> ApiError:
    answer = _object(text)
    return ApiError(status, answer.get("reason") or "Unknown", answer.get("message") or text[:500])


def _current_context(kubeconfig: Path) -> tuple[Object, Object]:
    """The `cluster` and `user` entries that the kubeconfig's current context names."""
    try:
        config = yaml.safe_load(kubeconfig.read_text())
        context = _named(config, "context", config["current-context"])
        return _named(config, "cluster", context["cluster"]), _named(config, "user", context["user"])
    except (KeyError, TypeError, LookupError) as error:
        raise ValueError(f"{kubeconfig} is no complete kubeconfig: {error} is missing") from error


def _named(config: Object, kind: str, name: str) -> Object:
    for entry in config[f"{kind}s"]:
        if entry["name"] == name:
            found: Object = entry[kind]
            return found
    raise LookupError(f"{kind} {name!r}")


def _tls(cluster: Object, user: Object, folder: Path) -> ssl.SSLContext:
    """The TLS context: the cluster's CA and, where the user has one, its client certificate."""
    authority = _pem(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _pem(user, "client-certificate", folder), _pem(user, "client-key", folder)
    if certificate and key:
        # ssl reads a certificate chain from a file only; the temporary file is 0600 and gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _pem(entry: Object, name: str, folder: Path) -> bytes | None:
    """A certificate or key given inline (base64) or as a file, relative to the kubeconfig's folder."""
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / entry[name]).read_bytes() if entry.get(name) else None
