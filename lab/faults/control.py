"""Rules switched from outside, by HTTP on 127.0.0.1: GET /rules (with their hits), POST /rules, DELETE /rules.

Whoever has an account on this machine may use it, as everything of the lab.
"""

from __future__ import annotations

from typing import Self

from aiohttp import web
from pydantic import ValidationError

from lab.faults.http import HOST
from lab.faults.rules import Rule, Rules


class Control:
    """An async context manager: lets others switch `rules`."""

    def __init__(self, rules: Rules, port: int) -> None:
        self._rules = rules
        self._port = port

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(
            [web.get("/rules", self._show), web.post("/rules", self._add), web.delete("/rules", self._clear)]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port, reuse_address=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response([rule.model_dump(mode="json") for rule in self._rules])

    async def _add(self, request: web.Request) -> web.Response:
        try:
            rule = Rule.model_validate_json(await request.read())
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'rule'}: {one['msg']}" for one in error.errors())
            return web.Response(status=400, text=f"This is no rule: {problems}\n")
        self._rules.switch_on(rule)
        return web.json_response(rule.model_dump(mode="json"), status=201)

    async def _clear(self, request: web.Request) -> web.Response:
        self._rules.switch_off()
        return web.Response(status=204)
