"""The services that a rotation is tried on, each with a login that stands in a Secret of its consumer."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from aiohttp import BasicAuth, web

from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.postgres import Server, quoted
from infra_ops.models.credentials import Credential
from lab.doubles.grafana import Grafana
from lab.doubles.pihole import PiHole
from lab.doubles.statefile import StateFile
from lab.doubles.synology import Dsm
from tests.conformance.serving import Clock, Refusals, served


def invented() -> str:
    """A weak password that looks different in a URL and in JSON."""
    return f"Walnut&Pepper!{secrets.randbelow(10**8):08}"


class Service(ABC):
    """A service at `url`, whose user `username` has the password `old`, which nobody else on the cluster has."""

    username = "admin"
    end_user = "X"
    """Whom the new value belongs to; X is today's user."""
    refusal: str
    """The service's own code for a wrong password."""
    fields = {"user": "{username}", "password": "{password}"}
    setting: dict[str, Any] = {}
    """The request that gives the user another password, as fields of a Rule; nothing: every request is a login."""
    lock_out: dict[str, Any] = {}
    """How it answers those that it lets in no more, as fields of a Rule."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.refusals = Refusals()
        self.old = invented()

    @property
    @abstractmethod
    def target(self) -> dict[str, Any]:
        """The credential's `target` in the inventory."""

    def at(self, url: str) -> Self:
        """The same service, reached by another address."""
        other = copy.copy(self)
        other.url = url
        return other

    def others(self) -> dict[str, Credential]:
        """Logins that the inventory only uses, by id."""
        return {}

    def section(self) -> dict[str, Any]:
        """What else the inventory needs."""
        return {}

    def wrong_logins(self) -> int | None:
        """How many it has refused; None where it keeps no count."""
        return self.refusals.count

    def restarted(self) -> None:
        """Its pods have been replaced."""
        return


class Postgres(Service):
    end_user = "X_b"
    refusal = "28P01"
    setting = {"methods": {"QUERY"}, "path": "(?i)^commit"}
    lock_out = {"methods": {"CONNECT"}, "path": ""}  # the proxy knows the answer

    def __init__(self, port: int, admin: str, name: str) -> None:
        super().__init__(f"postgres://127.0.0.1:{port}")
        self.username, self._admin = name, admin
        self.server.execute([f"create role {quoted(name)} login password '{self.old}'"])
        # create database cannot run in a transaction
        self.server.query(f"create database {quoted(name)} owner {quoted(name)}")

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, Credential("postgres", self._admin))

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 5432

    @property
    def target(self) -> dict[str, Any]:
        return {
            "kind": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "database": self.username,
            "admin": f"{self.username}_admin",
            "owner": f"{self.username}_owner",
            "users": [self.username, f"{self.username}_b"],
        }

    def others(self) -> dict[str, Credential]:
        return {f"{self.username}_admin": Credential("postgres", self._admin)}

    def wrong_logins(self) -> None:
        return None


class Flower(Service):
    """Accepts the list that it read when it started; restarting it reads the Secret anew.

    It counts no wrong logins, so a lock-out is here that it refuses everybody.
    """

    refusal = "401"
    lock_out = {"status": 401}

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        super().__init__("")
        self._cluster, self._namespace = cluster, namespace
        self._accepted: list[str] = []

    @property
    def target(self) -> dict[str, Any]:
        place = {"namespace": self._namespace, "secret": "flower-auth"}
        return {"kind": "flower", "url": self.url, **place}

    def restarted(self) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/secrets/flower-auth"
        value = self._cluster.get(path)["data"]["FLOWER_BASIC_AUTH"]
        self._accepted = base64.b64decode(value).decode().split(",")

    def app(self) -> web.Application:
        async def workers(request: web.Request) -> web.Response:
            header = request.headers.get("Authorization", "")
            login = BasicAuth.decode(header) if header else BasicAuth("")
            accepted = f"{login.login}:{login.password}" in self._accepted
            return web.json_response({}, status=200 if accepted else 401)

        app = web.Application()
        app.add_routes([web.get("/api/workers", workers)])
        return app


class Double(Service):
    """A double of the lab: its inventory entry needs no more than where it is."""

    kind: str
    refusal = "401"

    def __init__(self, url: str, refusals: Refusals, old: str) -> None:
        super().__init__(url)
        self.refusals, self.old = refusals, old

    @property
    def target(self) -> dict[str, Any]:
        return {"kind": self.kind, "url": self.url}


class GrafanaDouble(Double):
    """Its lock-out cannot be told from a wrong password."""

    kind = "grafana"
    setting = {"methods": {"PUT"}}
    lock_out = {"status": 401, "body": json.dumps({"message": "Invalid username or password"})}


class PiholeDouble(Double):
    kind = "pihole"
    setting = {"methods": {"PATCH"}}
    lock_out = {"status": 429, "body": json.dumps({"error": {"key": "rate_limiting"}})}


class SynologyDouble(Double):
    kind = "synology"
    refusal = "400"
    # Its calls are all alike from outside. Before are: three each for what it is, for its rules, and two for a login.
    setting = {"methods": {"POST"}, "skip": 10}
    lock_out = {"status": 200, "body": json.dumps({"success": False, "error": {"code": 407}})}


class Airflow(Service):
    """The FAB users of an Airflow, as far as `/auth/token` and a change of a password go.

    Only the login form counts wrong logins, so a lock-out is here that the users are inactive.
    """

    refusal = "401"
    setting = {"methods": {"PATCH"}}
    lock_out = {"status": 401, "body": json.dumps({"detail": "Invalid password"})}

    def __init__(self) -> None:
        super().__init__("")
        self._users = {"admin": self.old, "service": "a-service-login"}
        self._tokens: set[str] = set()

    @property
    def target(self) -> dict[str, Any]:
        return {"kind": "airflow"}

    def others(self) -> dict[str, Credential]:
        return {"airflow_service": Credential("service", "a-service-login")}

    def section(self) -> dict[str, Any]:
        return {"airflow": {"url": self.url, "login": "airflow_service"}}

    def app(self) -> web.Application:
        async def token(request: web.Request) -> web.Response:
            body = await request.json()
            if self._users.get(body["username"]) != body["password"]:
                return web.json_response({"detail": "Invalid credentials"}, status=401)
            self._tokens.add(f"Bearer token-{len(self._tokens)}")
            return web.json_response({"access_token": f"token-{len(self._tokens) - 1}"}, status=201)

        async def connections(request: web.Request) -> web.Response:
            self._refuse_strangers(request)
            return web.json_response({"connections": [], "total_entries": 0})

        async def user(request: web.Request) -> web.Response:
            header = request.headers.get("Authorization", "")
            login = BasicAuth.decode(header) if header.startswith("Basic ") else BasicAuth("")
            if (login.login, login.password) != ("service", self._users["service"]):
                return web.json_response({}, status=401)
            name = request.match_info["name"]
            if name not in self._users:
                raise web.HTTPNotFound
            required = {"username": name, "first_name": "A", "last_name": "B", "email": "a@example.org"}
            if request.method == "PATCH":
                body = await request.json()
                if not required.items() <= body.items() or request.query.getall("update_mask") != ["password"]:
                    raise web.HTTPBadRequest
                self._users[name] = body["password"]
            return web.json_response({**required, "active": True, "roles": [{"name": "Admin"}]})

        app = web.Application()
        app.add_routes(
            [
                web.post("/auth/token", token),
                web.get("/api/v2/connections", connections),
                web.get("/auth/fab/v1/users/{name}", user),
                web.patch("/auth/fab/v1/users/{name}", user),
            ]
        )
        return app

    def _refuse_strangers(self, request: web.Request) -> None:
        if request.headers.get("Authorization") not in self._tokens:
            raise web.HTTPForbidden


@contextmanager
def postgres(port: int, admin: str, name: str) -> Iterator[Service]:
    service = Postgres(port, admin, name)
    yield service
    # a rotation looks into every database
    service.server.query(f"drop database {quoted(name)} with (force)")


@contextmanager
def flower(cluster: Cluster, namespace: str) -> Iterator[Service]:
    service = Flower(cluster, namespace)
    data = {"FLOWER_BASIC_AUTH": base64.b64encode(f"viewer:theirs,admin:{service.old}".encode()).decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "flower-auth"}, "data": data}
    cluster.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
    service.restarted()
    with served(service.app(), service.refusals) as url:
        service.url = url
        yield service


@contextmanager
def grafana(folder: Path, clock: Clock) -> Iterator[Service]:
    double, refusals = Grafana(StateFile(folder / "grafana.json"), clock), Refusals()
    old = invented()
    double.seed("admin", old)
    with served(double.app(), refusals) as url:
        yield GrafanaDouble(url, refusals, old)


@contextmanager
def pihole(folder: Path, clock: Clock) -> Iterator[Service]:
    double, refusals = PiHole(StateFile(folder / "pihole.json"), clock), Refusals()
    old = invented()
    double.start(old)
    with served(double.app(), refusals) as url:
        yield PiholeDouble(url, refusals, old)


@contextmanager
def synology(folder: Path, clock: Clock, certificate: Path) -> Iterator[Service]:
    """Its policy demands what not every random password has, and more than ours are long."""
    state, refusals = StateFile(folder / "synology.json"), Refusals()
    double = Dsm(state, clock)
    old = invented() + "-and-so-on-until-forty"
    double.seed(old)
    with state.changing() as content:
        content["policy"]["strong_password"] |= {"included_special_char": True, "min_length": 40}
        content["users"]["admin"] |= {"description": "The only administrator", "email": "admin@example.org"}
    with served(double.app(), refusals, certificate) as url:
        yield SynologyDouble(url, refusals, old)
    kept = json.loads((folder / "synology.json").read_text())["users"]["admin"]
    assert (kept["description"], kept["email"]) == ("The only administrator", "admin@example.org")


@contextmanager
def airflow() -> Iterator[Service]:
    service = Airflow()
    with served(service.app(), service.refusals) as url:
        service.url = url
        yield service
