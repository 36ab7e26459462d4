"""Renewal of service-account tokens, with a clock that the test turns."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.kubelet.tokens import Tokens

POD = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"serviceAccountName": "robot"}}


class Issuer:
    """Stands in for the API server: numbered tokens that live an hour."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []

    async def request(self, method: str, path: str, *, body: dict[str, Any]) -> dict[str, Any]:
        self.requests.append((path, body))
        expires = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
        return {"status": {"token": f"token {len(self.requests)}", "expirationTimestamp": expires}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time; the test may change it."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def test_a_token_is_bound_to_its_pod_and_kept_until_80_percent_of_its_life(clock: list[float]) -> None:
    issuer = Issuer()
    tokens = Tokens(issuer, POD)
    source = {"path": "token", "expirationSeconds": 3607}
    assert asyncio.run(tokens.get(source)) == b"token 1"
    [(path, body)] = issuer.requests
    assert path == "/api/v1/namespaces/n/serviceaccounts/robot/token"
    assert body["spec"]["boundObjectRef"] == {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    assert tokens.next_renewal() == pytest.approx(clock[0] + 0.8 * 3600)
    clock[0] += 0.79 * 3600
    assert asyncio.run(tokens.get(source)) == b"token 1"
    clock[0] += 0.02 * 3600
    assert asyncio.run(tokens.get(source)) == b"token 2"


def test_each_audience_has_its_own_token(clock: list[float]) -> None:
    tokens = Tokens(Issuer(), POD)
    assert asyncio.run(tokens.get({"path": "a", "audience": "vault"})) == b"token 1"
    assert asyncio.run(tokens.get({"path": "b"})) == b"token 2"
