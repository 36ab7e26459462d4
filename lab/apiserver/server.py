"""All parts of the server put together, and the way of a request through them."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from lab import K3S_VERSION
from lab.apiserver import discovery, encryptionconfig, errors, infrastructure, openapi, responses
from lab.apiserver.access import Access
from lab.apiserver.admission import AdmissionPlugins
from lab.apiserver.authentication import Authenticator, read_tokens
from lab.apiserver.definitions import Definitions
from lab.apiserver.encryption import Encryption
from lab.apiserver.openapi import OpenAPI
from lab.apiserver.proxy import KubeletProxy
from lab.apiserver.registry import Registry
from lab.apiserver.requests import Request, Target, target
from lab.apiserver.resources import builtin
from lab.apiserver.responses import Response, json_response, text
from lab.apiserver.reviews import Reviews
from lab.apiserver.schemas import Schemas
from lab.apiserver.storage import Store
from lab.apiserver.subresources import Subresources
from lab.apiserver.tokens import ISSUER, ServiceAccountTokens
from lab.apiserver.values import through
from lab.apiserver.verbs import Verbs

HEALTH = ("/healthz", "/livez", "/readyz")
PAGE_NOT_FOUND = "404 page not found\n"


@dataclass(frozen=True)
class Settings:
    """What the command line says. ``history``: how many events watches and paged lists can look back."""

    data: Path
    port: int
    certs: Path
    tokens: Path
    history: int
    encryption: Path | None = None


class Server:
    """Answers requests that are authenticated already. Close it after use."""

    def __init__(self, settings: Settings) -> None:
        resources = builtin()
        self.prefixes = {row.qualified: row.prefix for row in resources if row.stored}
        given = settings.encryption
        protection = encryptionconfig.load(given, self.prefixes) if given else Encryption()
        self.store = Store(settings.data, protection, settings.history)
        self.registry = Registry(self.store, resources, Schemas())
        self.access = Access(self.registry)
        self.registry.admission = AdmissionPlugins(self.registry, self.access)
        Definitions(self.registry)
        self.tokens = ServiceAccountTokens(settings.certs / "sa.key", self.registry)
        self.authenticator = Authenticator(read_tokens(settings.tokens), self.tokens)
        self.kubelets = KubeletProxy(self.registry, settings.certs)
        self._verbs = Verbs(self.registry, self.access)
        self._subresources = Subresources(self.registry, self.tokens)
        self._reviews = Reviews(self.registry.decoder, self.access, self.authenticator)
        self._openapi = OpenAPI(resources, self.registry.schemas)
        infrastructure.publish(self.registry, settings.port, (settings.certs / "ca.crt").read_text())

    async def close(self) -> None:
        await self.kubelets.close()
        self.store.close()

    async def answer(self, request: Request) -> Response:
        """The response to a request. Raises ApiError."""
        found = target(request.method, request.path, request.query, self.registry.resources)
        if found is None:
            return self._answer_path(request)
        self.access.require(request, found)
        return await self._answer_target(request, found)

    async def _answer_target(self, request: Request, found: Target) -> Response:
        if found.subresource == "log":
            return await self.kubelets.log(found, request.query)
        if found.subresource in ("exec", "attach"):
            self.kubelets.locate(found, list(request.query.items()))
            raise errors.bad_request("Upgrade request required")  # SPDY is not spoken here
        if found.resource.id == ("", "bindings"):
            return self._subresources.bind(request, found)
        if not found.resource.stored:
            return self._reviews.answer(request, found)
        special = self._subresources.answer(request, found) if found.subresource else None
        return special or self._verbs.answer(request, found)

    def _answer_path(self, request: Request) -> Response:
        """Everything that is no resource."""
        self.access.require_path(request)
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            return self._nothing_at(path)
        if path.startswith(HEALTH):
            return text("ok")
        if path == "/metrics":
            return text((through.get() or self.store.own).metrics())
        if path == "/version":
            return json_response(_version())
        if path == "/openid/v1/jwks":
            return json_response(self.tokens.public_keys())
        if path == "/.well-known/openid-configuration":
            return json_response(_openid())
        if path.startswith(openapi.ROOT):
            document = self._openapi.answer(path)
            return json_response(document) if document else text(PAGE_NOT_FOUND, 404)
        aggregated = discovery.wants_aggregated(request.headers.get("accept", ""))
        found = discovery.answer(self.registry.resources, path, aggregated)
        if found is None:
            return self._nothing_at(path)
        kind = discovery.aggregated_content_type() if found["kind"] == discovery.AGGREGATED else responses.JSON
        return Response(body=json_response(found).body, content_type=kind)

    def _nothing_at(self, path: str) -> Response:
        """The plain page of a real server. Raises ApiError 404 below the groups that it has built in."""
        parts = path.strip("/").split("/")
        groups = {row.group for row in self.registry.resources if not row.custom}
        if parts[0] == "api" or (parts[0] == "apis" and len(parts) > 1 and parts[1] in groups):
            raise errors.no_such_resource()
        return text(PAGE_NOT_FOUND, 404)


def _version() -> dict[str, str]:
    major, minor = K3S_VERSION.removeprefix("v").split(".")[:2]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "gitVersion": K3S_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2025-02-12T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": f"linux/{machine}",
    }


def _openid() -> dict[str, object]:
    return {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
