"""Service-account tokens of a pod, requested from the API server and renewed before they run out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lab import times
from lab.kube import Kube, Object

_RENEW_AT = 0.8  # of the lifetime, as the kubelet does
_OLDEST = 24 * 3600.0


@dataclass(frozen=True)
class _Token:
    text: str
    renew_at: float  # Unix time


class Tokens:
    """The tokens bound to one pod, one for each audience and lifetime."""

    def __init__(self, kube: Kube, pod: Object) -> None:
        self._kube = kube
        self._pod = pod
        self._tokens: dict[tuple[str, int], _Token] = {}

    async def get(self, source: Object) -> bytes:
        """The token for a projected `serviceAccountToken` source: the one in use until it is due for renewal."""
        audience, lifetime = source.get("audience", ""), source.get("expirationSeconds", 3600)
        token = self._tokens.get((audience, lifetime))
        if token is None or time.time() >= token.renew_at:
            token = self._tokens[audience, lifetime] = await self._request(audience, lifetime)
        return token.text.encode()

    def next_renewal(self) -> float | None:
        """The Unix time at which the first token is due; None without tokens."""
        return min((token.renew_at for token in self._tokens.values()), default=None)

    async def _request(self, audience: str, lifetime: int) -> _Token:
        metadata = self._pod["metadata"]
        account = self._pod["spec"].get("serviceAccountName") or "default"
        answer = await self._kube.request(
            "POST",
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [audience] if audience else [],
                    "expirationSeconds": lifetime,
                    "boundObjectRef": {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                    },
                },
            },
        )
        now = time.time()
        granted = times.parse(answer["status"]["expirationTimestamp"]).timestamp() - now
        return _Token(answer["status"]["token"], now + min(granted * _RENEW_AT, _OLDEST))
