"""This cluster as it is meant to be: include/cluster.yaml, the one file to edit for another cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra_ops.models.documents import Document

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
RoleName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$", max_length=63)]
Days = Annotated[int, Field(ge=1, le=366)]


class Node(Document):
    """A machine of the cluster. `address` is the one that SSH uses."""

    name: Name
    role: Literal["server", "agent"]
    address: str


class Namespace(Document):
    """`pod_security` is the level that the namespace is meant to enforce; `sensitive` ones are isolated."""

    pod_security: Literal["privileged", "baseline", "restricted"]
    sensitive: bool = False


class Store(Document):
    """Where credentials are kept: the KV version 2 mount of OpenBao (its address comes from VAULT_ADDR)."""

    mount: Name


class SecretRef(Document):
    """A Secret of the cluster and how a credential is written into its keys.

    `fields` maps a key to a template: `{username}` and `{password}` stand for the login, and `{password_url}` for the
    password quoted for a URL.
    """

    namespace: Name
    name: Name
    fields: Annotated[dict[str, str], Field(min_length=1)]

    @model_validator(mode="after")
    def _templates_take_the_password(self) -> SecretRef:
        for key, template in self.fields.items():
            try:
                template.format(username="", password="", password_url="")
            except (KeyError, IndexError, ValueError):
                raise ValueError(
                    f"fields.{key} may hold {{username}}, {{password}} and {{password_url}} and no other braces"
                ) from None
        if not any("{password" in template for template in self.fields.values()):
            raise ValueError("no field takes {password}, so this is no copy of the credential")
        return self


class Consumer(Document):
    """Somebody who logs in with a credential: the Secret that holds its copy.

    The workloads that read the Secret are found in the cluster, not listed. `keeps_session` says that each of them
    keeps a session open, so that a session with the new value is proof that it has moved.
    """

    secret: SecretRef
    keeps_session: bool = True


class Postgres(Document):
    """A login of a PostgreSQL server, rotated by alternating between two users that share an owner."""

    kind: Literal["postgres"]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    database: str
    admin: Id
    owner: RoleName
    users: Annotated[list[RoleName], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _names_differ(self) -> Postgres:
        if len({self.owner, *self.users}) != 3:
            raise ValueError("owner and the two users must be three different roles")
        return self


class Flower(Document):
    """Flower's basic authentication, rotated by accepting old and new for a while.

    `secret` and `key` hold FLOWER_BASIC_AUTH of the Flower in `namespace`; `url` is where it answers.
    """

    kind: Literal["flower"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+$")]
    namespace: Name
    secret: Name
    key: str = "FLOWER_BASIC_AUTH"


class CredentialSpec(Document):
    """A password of the cluster: what it opens, how often it changes, and everybody who holds a copy.

    An `admin` credential is only used, never rotated: it has no `target`.
    """

    title: str
    target: Annotated[Postgres | Flower, Field(discriminator="kind")] | None = None
    rotate_every_days: Days = 90
    consumers: list[Consumer] = []


class Inventory(Document):
    """The whole cluster. `unattended` lists the runbooks that may change things on their schedule, nobody watching."""

    name: str
    k3s_version: Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+\+k3s\d+$")]
    nodes: Annotated[list[Node], Field(min_length=1)]
    namespaces: dict[Name, Namespace]
    store: Store
    credentials: dict[Id, CredentialSpec]
    unattended: list[Id] = []

    @model_validator(mode="after")
    def _names_exist(self) -> Inventory:
        for id_, credential in self.credentials.items():
            admin = getattr(credential.target, "admin", None)
            if admin is not None and admin not in self.credentials:
                known = ", ".join(self.credentials)
                raise ValueError(f"credentials.{id_}.target.admin names {admin!r}, which is none of: {known}")
            for consumer in credential.consumers:
                if consumer.secret.namespace not in self.namespaces:
                    raise ValueError(
                        f"credentials.{id_} has a consumer in namespace {consumer.secret.namespace!r}, "
                        "which namespaces does not list"
                    )
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        return self

    def rotated(self) -> dict[str, CredentialSpec]:
        """The credentials that rotate, by id."""
        return {id_: credential for id_, credential in self.credentials.items() if credential.target}
