"""What K3s' versions can do about encrypting Secrets (include/k3s/encryption.yaml), and the route from that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from infra_ops.models.documents import Document
from infra_ops.models.problems import Refusal

PATTERN = re.compile(r"v(\d+)\.(\d+)\.(\d+)\+k3s(\d+)")
# By itself the API server takes a changed configuration over from this Kubernetes on.
# https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#configure-automatic-reloading
RELOADS_FROM = (1, 26)

Release = Annotated[str, Field(pattern=rf"^{PATTERN.pattern}$")]
Minor = Annotated[str, Field(pattern=r"^\d+\.\d+$")]
Number = tuple[int, int, int, int]
RouteName = Literal["managed", "file"]


class NoRoute(Refusal):
    """This version of K3s cannot do it safely; the text names the defect."""


class Since(Document):
    """The first release with something, and who says so."""

    version: Release
    source: str
    confirmed: bool = True


class Defect(Document):
    """What is wrong with K3s' own tool in which releases; `borne` says how the runbook lives with it, "" for not."""

    says: str
    concerns: Literal["enable", "rotate", "status"]
    source: str
    since: Release | None = None
    fixed: dict[Minor, Release] = {}
    borne: str = ""
    confirmed: bool = True

    def bites(self, version: Number) -> bool:
        """Whether a release has it."""
        if self.since and version < number(self.since):
            return False
        fixed = self.fixed.get(f"{version[0]}.{version[1]}")
        return fixed is None or version < number(fixed)


class K3sEncryption(Document):
    """The file."""

    managed_from: dict[Minor, Since]
    defects: list[Defect]


@dataclass(frozen=True)
class Route:
    """How to encrypt: by K3s' own tool (`managed`) or by a plain EncryptionConfiguration (`file`), and why so."""

    name: RouteName
    why: str


def number(version: str) -> Number:
    """`v1.32.2+k3s1` as numbers that can be compared. Raises NoRoute."""
    found = PATTERN.fullmatch(version)
    if not found:
        raise NoRoute(f"{version} is no release of K3s, so nobody knows what it does with keys.")
    first, second, third, build = map(int, found.groups())
    return first, second, third, build


def route(version: str, known: K3sEncryption, *, here: str) -> Route:
    """The route for servers that all run this version. `here` names the one by which something is there already, or "".

    Nobody changes over from one to the other: K3s knows nothing of our keys, nor its servers of each other's files.
    Whoever begins goes the way that is safe. Raises NoRoute.
    """
    release = number(version)
    since = known.managed_from.get(f"{release[0]}.{release[1]}")
    biting = [defect for defect in known.defects if defect.bites(release) and not defect.borne]
    if here == "managed":
        left = [defect for defect in biting if defect.concerns != "enable"]  # it is enabled already
        if left:
            raise NoRoute(
                f"K3s manages encryption here, and with {version} {left[0].says} ({left[0].source}): upgrade first."
            )
        return Route("managed", "K3s manages encryption here already")
    if not here and since and release >= number(since.version) and not biting:
        return Route("managed", f"{version} can enable it on a running cluster ({since.source})")
    if release[:2] < RELOADS_FROM:
        raise NoRoute(f"With {version} the API server takes no changed key over without a restart: upgrade first.")
    if here:
        return Route("file", "our own file encrypts here already")
    if since is None or release < number(since.version):
        first = f"; {since.version} is the first that can ({since.source})" if since else ""
        return Route("file", f"`k3s secrets-encrypt enable` of {version} cannot serve a running cluster{first}")
    return Route("file", f"with K3s' own tool of {version} {biting[0].says} ({biting[0].source})")
