"""pods/log, pods/exec and pods/attach: handed on to the kubelet of the pod's node, over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp

from lab.apiserver import errors
from lab.apiserver.errors import ApiError
from lab.apiserver.registry import Registry
from lab.apiserver.requests import Target, flag
from lab.apiserver.responses import Response

Object = dict[str, Any]
Receive = Callable[[], Awaitable[bytes | None]]  # the client's next message, None when it has gone
Send = Callable[[bytes], Awaitable[None]]

NODES = ("", "nodes")
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
LOG_NUMBERS = ("sinceSeconds", "tailLines", "limitBytes")
LOG_FLAGS = ("follow", "previous", "timestamps")
STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}  # the API's name -> the kubelet's
LONGEST_ERROR = 10_000


class Kubelet(NamedTuple):
    """Where a node's kubelet listens."""

    host: str
    port: int

    def url(self, path: str, query: Sequence[tuple[str, str]]) -> str:
        return f"https://{self.host}:{self.port}{quote(path)}" + (f"?{urlencode(query)}" if query else "")


class KubeletProxy:
    """Opens connections to kubelets as the user of ``kubelet-client.crt``; close it after use."""

    def __init__(self, registry: Registry, certs: Path) -> None:
        self._registry = registry
        self._tls = ssl.create_default_context(cafile=str(certs / "ca.crt"))
        self._tls.load_cert_chain(certs / "kubelet-client.crt", certs / "kubelet-client.key")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    # Logs

    async def log(self, target: Target, query: Mapping[str, str]) -> Response:
        """The log of one container, streamed as the kubelet sends it.

        Raises ApiError 400 for a container that cannot be meant and with the kubelet's own complaints.
        """
        pod = self._registry.get(target.resource, target.namespace, target.name)
        container = choose_container(pod, query.get("container", ""))
        asked = _log_query(query)
        if not pod["spec"].get("nodeName"):
            return Response(204, content_type="text/plain")
        path = f"/containerLogs/{target.namespace}/{target.name}/{container}"
        url = self._kubelet(pod["spec"]["nodeName"]).url(path, asked)
        answer = await self._get(url, target)

        async def chunks() -> AsyncGenerator[bytes, None]:
            async with answer:
                async for chunk in answer.content.iter_any():
                    yield chunk

        return Response(stream=chunks(), content_type="text/plain")

    async def _get(self, url: str, target: Target) -> aiohttp.ClientResponse:
        try:
            answer = await self._client().get(url)
        except aiohttp.ClientError as error:
            raise errors.internal(f'Get "{url}": {error}') from None
        if answer.status == 200:
            return answer
        async with answer:
            text = (await answer.content.read(LONGEST_ERROR)).decode(errors="replace").strip()
        raise _complaint(answer.status, text, target)

    # Exec and attach

    async def stream(
        self, target: Target, query: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket to the container that an exec or attach is about, ready for ``relay``. Raises ApiError."""
        url = self.locate(target, query)
        try:
            return await self._client().ws_connect(url, protocols=protocols, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            raise _complaint(error.status, error.message, target) from None
        except aiohttp.ClientError as error:
            raise errors.internal(f'Get "{url}": {error}') from None

    def locate(self, target: Target, query: Sequence[tuple[str, str]]) -> str:
        """Where the kubelet answers an exec or attach. Raises ApiError when the request names nothing that runs."""
        pod = self._registry.get(target.resource, target.namespace, target.name)
        single = dict(query)
        container = choose_container(pod, single.get("container", ""))
        node = pod["spec"].get("nodeName")
        if not node:
            raise errors.bad_request(f"pod {target.name} does not have a host assigned")
        words = [("command", value) for name, value in query if name == "command"]
        if target.subresource == "exec" and not words:
            raise errors.bad_request("you must specify at least 1 container command")
        asked = words + [(kubelet, "1") for own, kubelet in STREAMS.items() if flag(single, own)]
        path = f"/{target.subresource}/{target.namespace}/{target.name}/{container}"
        return self._kubelet(node).url(path, asked)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
            # A log may be followed for hours: only connecting has a limit.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    def _kubelet(self, node_name: str) -> Kubelet:
        node = self._registry.get(self._registry.resource(*NODES), "", node_name)
        status = node.get("status") or {}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        addresses = {item["type"]: item["address"] for item in status.get("addresses") or []}
        host = addresses.get("InternalIP") or addresses.get("Hostname")
        if not host or not port:
            raise errors.internal(f"no preferred addresses found; known addresses: {list(addresses.values())}")
        return Kubelet(host, port)


async def relay(kubelet: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    """Hand messages on in both directions until either side is done."""

    async def from_client() -> None:
        while (message := await receive()) is not None:
            await kubelet.send_bytes(message)

    async def from_kubelet() -> None:
        async for message in kubelet:
            if message.type is aiohttp.WSMsgType.BINARY:
                await send(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await send(message.data.encode())

    inward = asyncio.ensure_future(from_client())
    outward = asyncio.ensure_future(from_kubelet())
    try:
        await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (inward, outward):
            task.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)
        await kubelet.close()


def choose_container(pod: Object, wanted: str) -> str:
    """The container that a log or exec is about. Raises ApiError 400 in the words of the API server."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    main = [item["name"] for item in spec.get("containers") or []]
    init = [item["name"] for item in spec.get("initContainers") or []]
    if wanted:
        if wanted not in main + init:
            raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(main) == 1:
        return str(main[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise errors.bad_request(text)


def _log_query(query: Mapping[str, str]) -> list[tuple[str, str]]:
    """The kubelet's parameters of a log request. Raises ApiError 422 for numbers that make no sense."""
    causes = []
    asked = [(name, "true") for name in LOG_FLAGS if flag(query, name)]
    for name in LOG_NUMBERS:
        value = query.get(name)
        if not value:
            continue
        least = 0 if name == "tailLines" else 1
        if not value.lstrip("-").isdigit() or int(value) < least:
            causes.append((name, f"Invalid value: {value}: must be greater than or equal to {least}"))
        asked.append((name, value))
    if query.get("sinceTime"):
        asked.append(("sinceTime", query["sinceTime"]))
        if query.get("sinceSeconds"):
            causes.append(("sinceSeconds", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if causes:
        raise errors.invalid("", "PodLogOptions", "", causes)
    return asked


def _complaint(code: int, text: str, target: Target) -> ApiError:
    """What a kubelet answered, as the API server passes it on."""
    if code == 400:
        return errors.bad_request(text)
    if code == 500:
        return errors.internal(text)
    details = {"name": target.name, "kind": target.resource.plural}
    if code == 404:
        message = f"the server could not find the requested resource ( {target.resource.plural}/log {target.name})"
        return ApiError(404, "NotFound", message, {**details, "causes": [{"message": text}]})
    return ApiError(502 if code < 400 else code, "", text or f"the kubelet answered {code}", details)
