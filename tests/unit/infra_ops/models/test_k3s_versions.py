"""By which route the Secrets of a version of K3s are encrypted."""

from __future__ import annotations

import pytest

from infra_ops import include
from infra_ops.models.k3s_versions import NoRoute, route

KNOWN = include.k3s_encryption()


@pytest.mark.parametrize(
    ("version", "name", "why"),
    [
        ("v1.32.2+k3s1", "file", "cannot serve a running cluster; v1.32.11+k3s3 is the first that can"),
        ("v1.34.3+k3s1", "file", "cannot serve a running cluster; v1.34.3+k3s3 is the first"),
        ("v1.34.3+k3s3", "file", "a crash interrupts leaves the cluster beyond repair (k3s-io/k3s#13763)"),
        ("v1.35.2+k3s1", "file", "k3s-io/k3s#13763"),
        ("v1.35.3+k3s1", "managed", "v1.35.3+k3s1 can enable it"),
        ("v1.36.2+k3s1", "file", "enabling it ends with EOF"),
        ("v1.30.1+k3s1", "file", "cannot serve a running cluster"),
    ],
)
def test_a_version_has_its_route_and_the_reason(version: str, name: str, why: str) -> None:
    found = route(version, KNOWN, here="")
    assert (found.name, why in found.why) == (name, True), found.why


def test_a_managed_cluster_with_a_defect_is_refused_by_its_name() -> None:
    with pytest.raises(NoRoute, match=r"with v1.34.3\+k3s3 a rotation of keys that a crash .* \(k3s-io/k3s#13763\)"):
        route("v1.34.3+k3s3", KNOWN, here="managed")
    assert route("v1.35.4+k3s1", KNOWN, here="managed").name == "managed"


def test_where_k3s_manages_already_a_defect_of_enabling_bites_nobody() -> None:
    assert route("v1.36.2+k3s1", KNOWN, here="managed").name == "managed"


def test_what_is_there_already_goes_on_as_it_began() -> None:
    assert route("v1.35.3+k3s1", KNOWN, here="file").name == "file"
    assert route("v1.32.2+k3s1", KNOWN, here="file").why == "our own file encrypts here already"


@pytest.mark.parametrize("version", ["v1.25.4+k3s1", "v1.32.2", "v1.32.2+rke2r1", ""])
def test_a_version_without_a_route_is_refused(version: str) -> None:
    with pytest.raises(NoRoute):
        route(version, KNOWN, here="")
