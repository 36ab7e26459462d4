"""A kubelet that only listens: it tells what the API server asked of it, and echoes what exec sends."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from pathlib import Path

from aiohttp import WSMsgType, web

STDIN, STDOUT, ERROR, CLOSE = 0, 1, 3, 255
SUCCESS = {"metadata": {}, "status": "Success"}


class FakeKubelet:
    """Serves on a port of its own in a thread, with the lab's kubelet certificate; a context manager."""

    def __init__(self, certs: Path) -> None:
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certs / "ca.crt"))
        self.tls.load_cert_chain(certs / "kubelet.crt", certs / "kubelet.key")
        self.tls.verify_mode = ssl.CERT_REQUIRED  # as a real kubelet's anonymous-auth=false
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self.answer = (200, "first line\n")
        self.more = threading.Event()  # a followed log sends its second line only then
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> FakeKubelet:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._log)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/attach/{namespace}/{pod}/{container}", self._exec)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _note(self, request: web.Request) -> None:
        self.asked.append((request.path, list(request.query.items())))

    async def _log(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        code, text = self.answer
        response = web.StreamResponse(status=code)
        await response.prepare(request)
        await response.write(text.encode())
        if request.query.get("follow") == "true":
            await asyncio.to_thread(self.more.wait, 20)
            await response.write(b"second line\n")
        return response

    async def _exec(self, request: web.Request) -> web.WebSocketResponse:
        self._note(request)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await socket.prepare(request)
        await socket.send_bytes(bytes([STDOUT]) + " ".join(request.query.getall("command", [])).encode() + b"\n")
        if "input" in request.query:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[0] == STDIN:
                    await socket.send_bytes(bytes([STDOUT]) + message.data[1:])
                    if message.data.endswith(b"end\n"):
                        break
                elif message.type is WSMsgType.BINARY and message.data == bytes([CLOSE, STDIN]):
                    break
        await socket.send_bytes(bytes([ERROR]) + json.dumps(SUCCESS).encode())
        await socket.close()
        return socket
