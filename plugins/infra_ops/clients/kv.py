"""Credentials in the store: a KV version 2 mount, every write with check-and-set.

https://openbao.org/docs/secrets/kv/kv-v2/
"""

from __future__ import annotations

from datetime import datetime

from hvac.exceptions import InvalidPath, InvalidRequest, VaultError
from requests.exceptions import RequestException

from infra_ops.clients.vault import StoreError, Vault
from infra_ops.models.credentials import Credential, Stored


class SomebodyWasFaster(StoreError):
    """The path no longer has the version that this write was to replace."""


class Kv:
    """The credentials under one mount. Every method raises StoreError."""

    def __init__(self, vault: Vault, mount: str) -> None:
        self._vault = vault
        self._mount = mount

    def read(self, path: str, version: int | None = None) -> Stored | None:
        """The newest version at `path`, or the one asked for; None when there is none or it was destroyed."""
        try:
            answer = self._vault.client().secrets.kv.v2.read_secret_version(
                path=path, version=version, mount_point=self._mount, raise_on_deleted_version=True
            )
        except InvalidPath:
            return None
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
        data, metadata = answer["data"]["data"], answer["data"]["metadata"]
        credential = Credential(
            data["username"], data["password"], data.get("rotation_id", ""), int(data.get("base_version", 0))
        )
        return Stored(int(metadata["version"]), datetime.fromisoformat(metadata["created_time"]), credential)

    def write(self, path: str, credential: Credential, *, replaces: int) -> int:
        """Store a new version at `path` if its newest one is `replaces` (0: nothing is there). Returns the version.

        Raises SomebodyWasFaster when it is another.
        """
        secret = {
            "username": credential.username,
            "password": credential.password,
            "rotation_id": credential.rotation_id,
            "base_version": credential.base_version,
        }
        try:
            answer = self._vault.client().secrets.kv.v2.create_or_update_secret(
                path=path, secret=secret, cas=replaces, mount_point=self._mount
            )
        except InvalidRequest as error:
            if "check-and-set" in " ".join(map(str, error.errors or [])):
                raise SomebodyWasFaster(f"{self._mount}/{path} no longer has version {replaces}") from None
            raise StoreError(self._vault.explain(error, credential.password)) from None
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error, credential.password)) from None
        return int(answer["data"]["version"])

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
