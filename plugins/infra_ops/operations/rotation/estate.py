"""What rotations work in: the inventory, the store, the cluster, and Airflow's API where the inventory names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

from infra_ops.clients.airflow import AirflowApi
from infra_ops.clients.airflow import log_in as log_in_to_airflow
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.postgres import log_in as log_in_to_postgres
from infra_ops.clients.vault import Vault
from infra_ops.models.credentials import Credential, Login, Stored
from infra_ops.models.inventory import CredentialSpec, Inventory
from infra_ops.models.services import AirflowUser, Flower, Grafana, Pihole, Postgres, Synology
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.targets.airflow import AirflowTarget
from infra_ops.operations.rotation.targets.flower import FlowerTarget
from infra_ops.operations.rotation.targets.grafana import GrafanaTarget
from infra_ops.operations.rotation.targets.pihole import PiholeTarget
from infra_ops.operations.rotation.targets.postgres import PostgresTarget
from infra_ops.operations.rotation.targets.synology import SynologyTarget
from infra_ops.operations.rotation.targets.target import CannotRotate, Target


@dataclass(frozen=True)
class Estate:
    """Every method raises CannotRotate, with one sentence, and whatever the store and the cluster raise."""

    inventory: Inventory
    kv: Kv
    cluster: Cluster

    @classmethod
    def of(cls, inventory: Inventory) -> Estate:
        """The one that the environment names."""
        return cls(inventory, Kv(Vault(), inventory.store.mount), Cluster())

    @cached_property
    def airflow(self) -> AirflowApi | None:
        """Airflow's API as the service login; None when the inventory has no section `airflow`."""
        section = self.inventory.airflow
        return AirflowApi(section.url, self._login(section.login)) if section else None

    def spec(self, id_: str) -> CredentialSpec:
        """The inventory's words about a credential that rotates."""
        rotated = self.inventory.rotated()
        if id_ not in rotated:
            raise CannotRotate(f"{id_!r} is no credential that rotates; there are: {', '.join(rotated)}.")
        return rotated[id_]

    def adopted(self, id_: str) -> Stored:
        """The current value of a credential."""
        current = self.kv.read(f"svc/{id_}")
        if current is None:
            raise CannotRotate(
                f"{id_} was never adopted: nothing is stored at {self.inventory.store.mount}/svc/{id_}. Run "
                f"`python -m infra_ops adopt {id_}` where its present value is known."
            )
        return current

    def rotation(self, id_: str, old: Stored, *, rollback: bool = False) -> Rotation:
        """The rotation of a credential that starts from a stored version."""
        spec = self.spec(id_)
        api = self.airflow if spec.connections else None
        return Rotation(id_, spec, self.target(id_), self.kv, self.cluster, old, api=api, rollback=rollback)

    def target(self, id_: str) -> Target:
        """The service that a credential opens."""
        match self.spec(id_).target:
            case Postgres() as postgres:
                return PostgresTarget(postgres, self._login(postgres.admin))
            case Flower() as flower:
                return FlowerTarget(flower, self.cluster)
            case Grafana() as grafana:
                return GrafanaTarget(grafana)
            case Pihole() as pihole:
                return PiholeTarget(pihole)
            case Synology() as synology:
                return SynologyTarget(synology)
            case AirflowUser() if self.airflow:
                return AirflowTarget(self.airflow)
        raise CannotRotate(f"{id_} is only used, never rotated: it has no target.")

    def proof(self, id_: str) -> Callable[[str, str], Login] | None:
        """How a value is tried, also of a credential that is only used; None when nothing is known that it opens."""
        if self.inventory.credentials[id_].target:
            return self.target(id_).log_in
        if self.inventory.airflow and self.inventory.airflow.login == id_:
            return partial(log_in_to_airflow, self.inventory.airflow.url)
        for spec in self.inventory.rotated().values():
            if isinstance(spec.target, Postgres) and spec.target.admin == id_:
                return partial(log_in_to_postgres, spec.target.host, spec.target.port, "postgres")
        return None

    def _login(self, id_: str) -> Credential:
        """A credential that is only used."""
        stored = self.kv.read(f"svc/{id_}")
        if stored is None:
            raise CannotRotate(f"The login {id_} is not stored: run `python -m infra_ops adopt {id_}` first.")
        return stored.credential
