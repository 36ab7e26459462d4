"""Credentials in the store: a KV version 2 mount, every write with check-and-set.

https://openbao.org/docs/secrets/kv/kv-v2/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hvac.exceptions import InvalidPath, InvalidRequest, VaultError
from requests.exceptions import RequestException

from infra_ops.clients.vault import StoreError, Vault
from infra_ops.models.credentials import Credential, Stored


class SomebodyWasFaster(StoreError):
    """The path no longer has the version that this write was to replace."""


@dataclass(frozen=True)
class Fields:
    """One version of a secret."""

    version: int
    created: datetime
    values: dict[str, Any] = field(repr=False)


class Kv:
    """The secrets under one mount. Every method raises StoreError."""

    def __init__(self, vault: Vault, mount: str) -> None:
        self._vault = vault
        self._mount = mount

    def read(self, path: str, version: int | None = None) -> Stored | None:
        """The newest version at `path`, or the one asked for; None when there is none or it was destroyed."""
        found = self.read_fields(path, version)
        if found is None:
            return None
        data = found.values
        credential = Credential(
            data["username"], data["password"], data.get("rotation_id", ""), int(data.get("base_version", 0))
        )
        return Stored(found.version, found.created, credential)

    def write(self, path: str, credential: Credential, *, replaces: int) -> int:
        """Store a new version at `path` if its newest one is `replaces` (0: nothing is there). Returns the version.

        Raises SomebodyWasFaster when it is another.
        """
        fields = {
            "username": credential.username,
            "password": credential.password,
            "rotation_id": credential.rotation_id,
            "base_version": credential.base_version,
        }
        return self.write_fields(path, fields, replaces=replaces)

    def read_fields(self, path: str, version: int | None = None) -> Fields | None:
        """The same of a secret that is no credential of ours."""
        try:
            answer = self._vault.client().secrets.kv.v2.read_secret_version(
                path=path, version=version, mount_point=self._mount, raise_on_deleted_version=True
            )
        except InvalidPath:
            return None
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
        data, metadata = answer["data"]["data"], answer["data"]["metadata"]
        return Fields(int(metadata["version"]), datetime.fromisoformat(metadata["created_time"]), data)

    def write_fields(self, path: str, values: dict[str, Any], *, replaces: int) -> int:
        """The same of a secret that is no credential of ours."""
        texts = [value for value in values.values() if isinstance(value, str)]
        try:
            answer = self._vault.client().secrets.kv.v2.create_or_update_secret(
                path=path, secret=values, cas=replaces, mount_point=self._mount
            )
        except InvalidRequest as error:
            if "check-and-set" in " ".join(map(str, error.errors or [])):
                raise SomebodyWasFaster(f"{self._mount}/{path} no longer has version {replaces}") from None
            raise StoreError(self._vault.explain(error, *texts)) from None
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error, *texts)) from None
        return int(answer["data"]["version"])

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder, deleted or not; folders in it end with a slash.

        By GET: the client's own LIST is no HTTP method, and some proxies refuse it.
        """
        try:
            path = f"/v1/{self._mount}/metadata/{folder}"
            answer = self._vault.client().adapter.get(path, params={"list": "true"})
        except InvalidPath:
            return []
        except (RequestException, VaultError) as error:
            raise StoreError(f"{self._mount}/{folder} cannot be listed: {self._vault.explain(error)}") from None
        return list(answer["data"]["keys"])

    def delete(self, path: str) -> None:
        """Remove the path with all its versions; one that is gone already is fine."""
        try:
            self._vault.client().secrets.kv.v2.delete_metadata_and_all_versions(path=path, mount_point=self._mount)
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None

    def notes(self, path: str) -> dict[str, str]:
        """The custom metadata of a path: what was found out about its newest version, never a secret."""
        try:
            answer = self._vault.client().secrets.kv.v2.read_secret_metadata(path=path, mount_point=self._mount)
        except InvalidPath:
            return {}
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
        return dict(answer["data"].get("custom_metadata") or {})

    def note(self, path: str, notes: dict[str, str]) -> None:
        """Merge `notes` into the path's custom metadata."""
        try:
            self._vault.client().adapter.request(
                "PATCH",
                f"/v1/{self._mount}/metadata/{path}",
                headers={"Content-Type": "application/merge-patch+json"},  # hvac's own call replaces the whole map
                json={"custom_metadata": notes},
            )
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
