"""The operation of the runbook secrets_encryption."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from infra_ops import include
from infra_ops.checks.ground import fresh_snapshot
from infra_ops.models.k3s_versions import NoRoute, route
from infra_ops.models.outcomes import Outcome
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption import copies
from infra_ops.operations.encryption.by_file import ByFile
from infra_ops.operations.encryption.by_k3s import ByK3s
from infra_ops.operations.encryption.copies import OffCluster
from infra_ops.operations.encryption.estate import Estate
from infra_ops.operations.encryption.road import Road
from infra_ops.operations.operation import Request, Work

ROADS: dict[str, type[Road[Any]]] = {road.name: road for road in (ByFile, ByK3s)}


class SecretsEncryption:
    """Params: `force` rotates a key that is not due, `disable` leads back to plain values.

    A run keeps to the route of its plan; without one the servers' version and what encrypts there already decide.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._estate = Estate(request.inventory)
        self._place = OffCluster(request.inventory)

    def preflight(self) -> list[Outcome]:
        """K004, K021, K027, K028: a fresh snapshot, sound servers, quorum for each restart, one version."""
        estate = self._estate
        health = estate.servers.health_after_restarts()
        versions, here = estate.versions(), estate.here()
        self._place.has("server-token")  # raises when the machine off the cluster is out of reach
        try:
            road = self._road(route(versions[estate.first], include.k3s_encryption(), here=here).name)
        except NoRoute:  # K028 says so
            road = self._road(here or "file")
        judge = road.judge()
        return [
            judge.versions(versions, estate.running(), include.k3s_encryption(), here=here),
            *(judge.spares(name, health) for name in estate.servers.names),
            fresh_snapshot(
                estate.first,
                copies.snapshots(estate.servers.machine(estate.first)),
                now=datetime.now(UTC),
                run=self._request.run,
            ),
            *road.sound(),
        ]

    def work(self) -> Work:
        return self._chosen().work()

    def reversible(self) -> Sequence[Action]:
        return self._chosen().reversible()

    def standing(self) -> list[Outcome]:
        """What a run that only plans measures."""
        return self._chosen().standing()

    def verify(self) -> list[Outcome]:
        return self._chosen().verify()

    def _chosen(self) -> Road[Any]:
        """Raises NoRoute."""
        if plan := self._request.plan:
            return self._road(str(plan.arguments["route"]))
        version = self._estate.versions()[self._estate.first]
        return self._road(route(version, include.k3s_encryption(), here=self._estate.here()).name)

    def _road(self, name: str) -> Road[Any]:
        return ROADS[name](self._request, self._estate, self._place)
