"""What may stand in a Secret of the seed: passwords of the lab, and where its Services are.

`{postgres_appuser}` is a password as it is, `{postgres_appuser:url}` as a URL holds it.
`{address:databases/postgresql:5432}` is where a port of a Service is (`127.0.0.1:30123`), `{host:…}` and `{port:…}` are
its two halves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote


class Password(str):
    """A password that can be asked for in the form that a URL needs."""

    __slots__ = ()

    def __format__(self, form: str) -> str:
        return quote(self, safe="") if form == "url" else super().__format__(form)


@dataclass(frozen=True)
class Places:
    """Says where the Service port is that a placeholder names. Raises KeyError with the name of an unknown one."""

    addresses: Mapping[str, str]
    part: Callable[[str], str] = str

    def __format__(self, name: str) -> str:
        return self.part(self.addresses[name])


def words(passwords: Mapping[str, str], addresses: Mapping[str, str]) -> dict[str, object]:
    """What fills the templates, from passwords by credential id and addresses by `namespace/service:port`."""
    return {
        **{name: Password(password) for name, password in passwords.items()},
        "address": Places(addresses),
        "host": Places(addresses, lambda address: address.rpartition(":")[0]),
        "port": Places(addresses, lambda address: address.rpartition(":")[2]),
    }
