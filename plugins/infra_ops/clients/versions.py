"""The versions of stored credentials: which there are, and their end. No value is read here."""

from __future__ import annotations

from collections.abc import Sequence

from hvac.exceptions import InvalidPath, VaultError
from requests.exceptions import RequestException

from infra_ops.clients.vault import StoreError, Vault

PATH = "svc"


class Versions:
    """The versions of the credentials under one mount, as the identity that destroys sees them."""

    def __init__(self, vault: Vault, mount: str) -> None:
        self._vault = vault
        self._mount = mount

    def ids(self) -> list[str]:
        """The credentials that are stored. Raises StoreError."""
        try:
            found = self._vault.client().secrets.kv.v2.list_secrets(path=PATH, mount_point=self._mount)
        except InvalidPath:
            return []
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
        return sorted(str(key) for key in found["data"]["keys"] if not str(key).endswith("/"))

    def readable(self, credential: str) -> list[int]:
        """Its versions that are not destroyed, oldest first. A deleted one can be brought back: it counts."""
        try:
            found = self._vault.client().secrets.kv.v2.read_secret_metadata(
                path=f"{PATH}/{credential}", mount_point=self._mount
            )
        except InvalidPath:
            return []
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
        versions = found["data"]["versions"]
        return sorted(int(number) for number, version in versions.items() if not version["destroyed"])

    def destroy(self, credential: str, versions: Sequence[int]) -> None:
        """Destroy these versions; one that is destroyed already is fine. Raises StoreError."""
        try:
            self._vault.client().secrets.kv.v2.destroy_secret_versions(
                path=f"{PATH}/{credential}", versions=list(versions), mount_point=self._mount
            )
        except (RequestException, VaultError) as error:
            raise StoreError(self._vault.explain(error)) from None
