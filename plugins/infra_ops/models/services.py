"""What a credential opens, and how that service is reached: the `target` of a credential in include/cluster.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra_ops.models.documents import Document
from infra_ops.models.names import DatabaseName, Host, HttpsUrl, Id, Name, Port, RoleName, SecretKey, Url


class Postgres(Document):
    """A login of a PostgreSQL server, rotated by alternating between two users that share an owner."""

    kind: Literal["postgres"]
    host: Host
    port: Port = 5432
    database: DatabaseName
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
    url: Url
    namespace: Name
    secret: Name
    key: SecretKey = "FLOWER_BASIC_AUTH"


class Grafana(Document):
    """The server administrator of a Grafana, who changes its own password."""

    kind: Literal["grafana"]
    url: Url


class Pihole(Document):
    """The one password of a Pi-hole of version 6."""

    kind: Literal["pihole"]
    url: Url


class Synology(Document):
    """An administrator of a Synology NAS (DSM 7), who changes its own password. Over TLS only: it is sent in clear."""

    kind: Literal["synology"]
    url: HttpsUrl


class AirflowUser(Document):
    """A user of this Airflow, whose password the service login of the section `airflow` changes."""

    kind: Literal["airflow"]


Service = Annotated[Postgres | Flower | Grafana | Pihole | Synology | AirflowUser, Field(discriminator="kind")]
