"""A credential of PostgreSQL with one consumer, ready to be rotated, and what must hold of it at every instant."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.postgres import Server, log_in, quoted
from infra_ops.clients.vault import Vault
from infra_ops.models.credentials import Answer, Credential, Login
from infra_ops.models.inventory import Inventory
from infra_ops.operations.actions import carry_out
from infra_ops.operations.adoption import adopt
from infra_ops.operations.rotation.due import Due, due
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.rotation import Rotation
from infra_ops.operations.rotation.targets.postgres import PostgresTarget

OLD_PASSWORD = "Walnut&Pepper!1234"


class RootVault(Vault):
    """The store as its root: policies are tested elsewhere."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._client.token = token
        self._logged_in = True


@dataclass
class Pages:
    """A journal in memory."""

    lines: list[str] = field(default_factory=list)

    def write(self, step: str, what: str) -> None:
        self.lines.append(f"{step}: {what}")


def deployment(name: str, secret: str, **container: Any) -> dict[str, Any]:
    """A Deployment whose only container has the whole Secret in its environment."""
    labels = {"app": name}
    spec = {"name": name, "image": "rancher/mirrored-pause:3.6", "envFrom": [{"secretRef": {"name": secret}}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{**spec, **container}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def inventory(namespace: str, credentials: dict[str, Any], **sections: Any) -> Inventory:
    """A cluster of one node and one namespace with these credentials."""
    return Inventory.model_validate(
        {
            "name": "test",
            "k3s_version": "v1.32.2+k3s1",
            "nodes": [{"name": "rpi-1", "role": "server", "address": "192.168.1.21"}],
            "namespaces": {namespace: {"pod_security": "baseline"}},
            "store": {"mount": "infra"},
            "credentials": credentials,
            **sections,
        }
    )


@dataclass
class Stage:
    name: str
    port: int
    admin: str
    kv: Kv
    api: Cluster
    namespace: str
    journal: Pages = field(default_factory=Pages)

    @property
    def inventory(self) -> Inventory:
        target = {
            "kind": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "database": self.name,
            "admin": f"{self.name}_admin",
            "owner": f"{self.name}_owner",
            "users": [self.name, f"{self.name}_b"],
        }
        url = f"postgresql://{{username}}:{{password_url}}@127.0.0.1:{self.port}/{self.name}"
        consumer = {"secret": {"namespace": self.namespace, "name": "database", "fields": {"URL": url}}}
        return inventory(
            self.namespace,
            {
                f"{self.name}_admin": {"title": "Administrator"},
                self.name: {"title": "A login", "target": target, "consumers": [consumer]},
            },
        )

    @property
    def estate(self) -> Estate:
        return Estate(self.inventory, self.kv, self.api)

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, Credential("postgres", self.admin))

    @property
    def target(self) -> PostgresTarget:
        spec: Any = self.inventory.credentials[self.name].target
        return PostgresTarget(spec, Credential("postgres", self.admin))

    def set_up(self) -> None:
        """The login with a database and a table of its own, its copy in a Secret, and both logins adopted."""
        self.server.execute([f"create role {quoted(self.name)} login password '{OLD_PASSWORD}'"])
        # create database cannot run in a transaction
        self.server.query(f"create database {quoted(self.name)} owner {quoted(self.name)}")
        own = Server("127.0.0.1", self.port, Credential(self.name, OLD_PASSWORD))
        own.execute(["create table mine (id int)"], database=self.name)
        url = f"postgresql://{self.name}:Walnut%26Pepper%211234@127.0.0.1:{self.port}/{self.name}"
        self.api.create(
            f"/api/v1/namespaces/{self.namespace}/secrets",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "database"},
                "data": {"URL": base64.b64encode(url.encode()).decode()},
            },
        )
        self.api.create(f"/apis/apps/v1/namespaces/{self.namespace}/deployments", deployment("reader", "database"))
        adopt(f"{self.name}_admin", Credential("postgres", self.admin), self.admin_login, self.kv)
        adopt(self.name, Credential(self.name, OLD_PASSWORD), self.target.log_in, self.kv)

    def admin_login(self, username: str, password: str) -> Login:
        return log_in("127.0.0.1", self.port, "postgres", username, password)

    def due(self, *, force: bool = False) -> Due:
        return due(self.estate, [self.name], now=datetime.now(UTC), force=force)

    def rotation(self, *, force: bool = False) -> Rotation:
        (rotation,) = self.due(force=force).rotations
        return rotation

    def effects(self) -> Effects:
        return Effects(self.journal, still_allowed=lambda: None)

    def rotate(self, effects: Effects | None = None, *, force: bool = False) -> None:
        """Everything that is due, in one go."""
        for rotation in self.due(force=force).rotations:
            carry_out(rotation.actions(), effects or self.effects())

    def a_stored_login_works(self) -> bool:
        """Whether at least one of the stored values logs in: what must hold at every instant."""
        stored = [self.kv.read(f"svc/{self.name}"), self.kv.read(f"rotation/pending/{self.name}")]
        newest = stored[0]
        if newest and newest.version > 1:
            stored.append(self.kv.read(f"svc/{self.name}", newest.version - 1))
        logins = [item.credential for item in stored if item]
        return any(self.target.log_in(c.username, c.password).answer is Answer.ACCEPTED for c in logins)

    def end_state(self) -> dict[str, Any]:
        """What a rotation leaves behind, without the values themselves."""
        current = self.kv.read(f"svc/{self.name}")
        assert current is not None
        secret = self.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/database")
        url = base64.b64decode(secret["data"]["URL"]).decode()
        credential = current.credential
        return {
            "version": current.version,
            "rotation": credential.rotation_id.partition("@")[0].replace(self.name, "X"),
            "user": credential.username.replace(self.name, "X"),
            "pending": self.kv.read(f"rotation/pending/{self.name}"),
            "new": self.target.log_in(credential.username, credential.password).answer,
            "old": self.target.log_in(self.name, OLD_PASSWORD).code,
            "consumer": f"{credential.username}:{credential.password}@" in url,
            "owners": self.server.query(
                "select tableowner::text from pg_tables where tablename = 'mine'", database=self.name
            )[0]["tableowner"].replace(self.name, "X"),
        }
