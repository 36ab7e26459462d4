"""Who logs in with a credential: the Secrets that hold a copy of it."""

from __future__ import annotations

from string import Formatter
from typing import Annotated

from pydantic import Field, model_validator

from infra_ops.models.documents import Document
from infra_ops.models.names import Name, SecretKey

WORDS = {"username", "password", "password_url"}


class SecretRef(Document):
    """A Secret of the cluster and how a credential is written into its keys.

    `fields` maps a key to a template: `{username}` and `{password}` stand for the login, and `{password_url}` for the
    password quoted for a URL.
    """

    namespace: Name
    name: Name
    fields: Annotated[dict[SecretKey, str], Field(min_length=1)]

    @model_validator(mode="after")
    def _templates_take_the_password(self) -> SecretRef:
        taken = set()
        for key, template in self.fields.items():
            words = _words(template)
            if words is None:
                raise ValueError(
                    f"fields.{key} may hold {{username}}, {{password}} and {{password_url}} and no other braces"
                )
            if not words:
                raise ValueError(f"fields.{key} takes nothing of the login; leave it out")
            taken |= words
        if not taken & {"password", "password_url"}:
            raise ValueError("no field takes {password}, so this is no copy of the credential")
        return self


class Consumer(Document):
    """Somebody who logs in with a credential: the Secret that holds its copy.

    The workloads that read the Secret are found in the cluster, not listed. `keeps_session` says that each of them
    keeps a session open, so that a session with the new value is proof that it has moved. `restart: false` is for a
    copy that no running workload uses, such as POSTGRES_PASSWORD, which counts when a database is made and never again.
    """

    secret: SecretRef
    keeps_session: bool = True
    restart: bool = True


def _words(template: str) -> set[str] | None:
    """The WORDS in a template; None when its braces hold anything else, be it a part of a word or a format."""
    try:
        parts = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:  # a single brace
        return None
    plain = [word for _, word, form, conversion in parts if word in WORDS and not form and not conversion]
    return set(plain) if len(plain) == len(parts) else None
