"""The owner's infrastructure repository: where it is, and how its vault is kept."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from infra_ops.models.documents import Document
from infra_ops.models.names import Id, Name

GIT_NAME = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]*(/[A-Za-z0-9_][-A-Za-z0-9_.]*)*")


def _branch(value: str) -> str:
    """The name of a branch, without what Git forbids in one."""
    if not GIT_NAME.fullmatch(value) or ".." in value or value.endswith((".lock", ".")):
        raise ValueError(f"found {value[:60]!r}; allowed is the name of a branch, such as main")
    return value


def _folder(value: str) -> str:
    """A folder of the repository, from its root."""
    if not GIT_NAME.fullmatch(value) or ".." in value:
        raise ValueError(f"found {value[:60]!r}; allowed is a folder from the repository's root, such as ansible")
    return value


GitUrl = Annotated[
    str, Field(pattern=r"^(ssh://[a-z_][-a-z0-9_]*@[-.A-Za-z0-9]+(:\d+)?)?(/[-._~A-Za-z0-9]+)+$", max_length=500)
]


class Repository(Document):
    """`url` is ssh://user@host[:port]/path, or a path on the machine that runs this; `deploy_key` names the key in the
    store (ansible/deploy-key/<name>: private_key, known_hosts). `branch` is the one that people work on, `ansible` the
    folder with ansible.cfg. `vault`: the encrypted file is ignored by Git, as the roadmap says, or committed.
    """

    url: GitUrl
    deploy_key: Name | None = None
    branch: Annotated[str, AfterValidator(_branch)] = "main"
    ansible: Annotated[str, AfterValidator(_folder)] = "ansible"
    vault: Literal["ignored", "committed"] = "ignored"
    label: Id = "lab"

    @model_validator(mode="after")
    def _has_a_key(self) -> Repository:
        if self.url.startswith("ssh://") and self.deploy_key is None:
            raise ValueError("a repository that is reached by SSH needs a deploy_key")
        return self

    @property
    def vault_file(self) -> str:
        """The encrypted file's path in the repository."""
        return f"{self.ansible}/vars/vault.yml"

    @property
    def client(self) -> str:
        """The path of the program that prints the vault's password."""
        return f"{self.ansible}/vault-password-client"
