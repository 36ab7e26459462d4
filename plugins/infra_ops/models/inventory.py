"""This cluster as it is meant to be: include/cluster.yaml, the one file to edit for another cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra_ops.models.consumers import Consumer
from infra_ops.models.documents import Document
from infra_ops.models.names import AbsolutePath, ConnectionId, Days, Host, Id, Name, Port, SshUser, Title, Url
from infra_ops.models.repository import Repository
from infra_ops.models.services import AirflowUser, Flower, Postgres, Service


class Node(Document):
    """A machine of the cluster. `address` is the one that SSH uses; `api_port` is where a server's own API listens."""

    name: Name
    role: Literal["server", "agent"]
    address: Host
    ssh_port: Port = 22
    api_port: Port = 6443


class OffCluster(Document):
    """The machine outside of the cluster that keeps copies of what the cluster cannot be restored without, by SSH."""

    address: Host
    ssh_port: Port = 22
    user: SshUser
    path: AbsolutePath


class Namespace(Document):
    """`pod_security` is the level that the namespace is meant to enforce; `sensitive` ones are isolated."""

    pod_security: Literal["privileged", "baseline", "restricted"]
    sensitive: bool = False


class Store(Document):
    """Where credentials are kept: the KV version 2 mount of OpenBao (its address comes from VAULT_ADDR)."""

    mount: Name


class Airflow(Document):
    """This Airflow's own REST API, and the credential by which runbooks use it: a user with the role Admin."""

    url: Url
    login: Id


class CredentialSpec(Document):
    """A password of the cluster: what it opens, how often it changes, and everybody who holds a copy.

    An `admin` credential is only used, never rotated: it has no `target`. `connections` are the ids of the Airflow
    connections that hold it.
    """

    title: Title
    target: Service | None = None
    rotate_every_days: Days = 90
    consumers: list[Consumer] = []
    connections: list[ConnectionId] = []


class Inventory(Document):
    """The whole cluster. `unattended` lists the runbooks that may change things on their schedule, nobody watching."""

    name: Name
    k3s_version: Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+\+k3s\d+$")]
    nodes: Annotated[list[Node], Field(min_length=1)]
    namespaces: dict[Name, Namespace]
    store: Store
    airflow: Airflow | None = None
    off_cluster: OffCluster | None = None
    repository: Repository | None = None
    credentials: dict[Id, CredentialSpec]
    unattended: list[Id] = []

    @model_validator(mode="after")
    def _names_exist(self) -> Inventory:
        if self.airflow:
            self._is_only_used("airflow.login", self.airflow.login)
        for id_, credential in self.credentials.items():
            target = credential.target
            if isinstance(target, Postgres):
                self._is_only_used(f"credentials.{id_}.target.admin", target.admin)
            if isinstance(target, Flower):
                self._is_listed(f"credentials.{id_} has its Flower", target.namespace)
            if self.airflow is None and (credential.connections or isinstance(target, AirflowUser)):
                raise ValueError(f"credentials.{id_} needs this Airflow's API, but there is no section airflow")
            for consumer in credential.consumers:
                self._is_listed(f"credentials.{id_} has a consumer", consumer.secret.namespace)
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        return self

    def _is_only_used(self, where: str, id_: str) -> None:
        """A login by which others are rotated must not be rotated itself: it would change under those who use it."""
        if id_ not in self.credentials:
            raise ValueError(f"{where} names {id_!r}, which is none of: {', '.join(self.credentials)}")
        if self.credentials[id_].target:
            raise ValueError(f"{where} names {id_!r}, which rotates itself; name one without a target")

    def _is_listed(self, what: str, namespace: str) -> None:
        if namespace not in self.namespaces:
            raise ValueError(f"{what} in namespace {namespace!r}, which namespaces does not list")

    def rotated(self) -> dict[str, CredentialSpec]:
        """The credentials that rotate, by id."""
        return {id_: credential for id_, credential in self.credentials.items() if credential.target}
