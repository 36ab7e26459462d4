"""What the store's pods mount and no file may hold: the seal key, the authority, the certificate."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from infra_ops.clients.applying import Deployer
from infra_ops.facts.openbao import AUTHORITY, CORE
from infra_ops.operations.store import certificates
from infra_ops.operations.store.parts import Part, Write

SEAL_KEY_BYTES = 32
RENEW_BEFORE = timedelta(days=60)
LABELS = {"app.kubernetes.io/name": "openbao", "app.kubernetes.io/part-of": "infra-ops"}
DATA = f"{CORE}/persistentvolumeclaims/data-openbao-0"  # a claim stays as long as a pod uses it, and longer
LOST = "lost"
# Where pods of ours log in to the store, Airflow's workers and tools, and by which id the plan calls the list of
# authorities that they mount.
TRUSTING = {
    "airflow": "openbao.trust",
    "infra-ops-hardening": "openbao.trust.hardening",
    "infra-ops-repository": "openbao.trust.repository",
}
NOT_TRUSTED = "not trusted"


def read(cluster: Deployer, name: str) -> dict[str, bytes] | None:
    """The data of a Secret of the store; None when there is no such Secret."""
    found = cluster.find(f"{CORE}/secrets/{name}")
    return {key: base64.b64decode(value) for key, value in found["data"].items()} if found else None


def body(name: str, data: dict[str, bytes], kind: str = "Opaque") -> dict[str, Any]:
    """A Secret of the store as the API takes it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": LABELS},
        "type": kind,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def parts(cluster: Deployer) -> list[Part]:
    """The Secrets, made once and kept for good; only the certificate is renewed."""
    return [_seal(cluster), _authority(cluster), _public_authority(cluster), _certificate(cluster)]


def _made_once(cluster: Deployer, name: str, target: str, make: Callable[[], dict[str, bytes]]) -> Part:
    """A Secret that is never replaced: creating refuses when somebody was faster, and so nothing is overwritten."""

    def look() -> str:
        return "absent" if cluster.find(f"{CORE}/secrets/{name}") is None else "present"

    def do(write: Write) -> None:
        item = body(name, make())
        write(f"create Secret {name}", lambda: cluster.create(f"{CORE}/secrets", item))

    return Part(f"openbao.secret.{name}", target, "present", look, do)


def _seal(cluster: Deployer) -> Part:
    """Where a store has data, a missing key is lost: with a new one it would stay sealed from its next start on."""
    made = _made_once(cluster, "openbao-seal", "the seal key", lambda: {"key": secrets.token_bytes(SEAL_KEY_BYTES)})

    def look() -> str:
        state = made.look()
        return LOST if state == "absent" and cluster.find(DATA) is not None else state

    return replace(made, look=look)


def _authority(cluster: Deployer) -> Part:
    def make() -> dict[str, bytes]:
        certificate, key = certificates.new_authority(datetime.now(UTC))
        return {"tls.crt": certificate, "tls.key": key}

    return _made_once(cluster, "openbao-authority", "the store's authority", make)


def _public_authority(cluster: Deployer) -> Part:
    """Its certificate, where everybody may read it."""

    def wanted() -> str:
        return (read(cluster, "openbao-authority") or {}).get("tls.crt", b"").decode()

    def look() -> str:
        found = cluster.find(AUTHORITY)
        if found is None:
            return "unpublished"
        return "published" if found["data"].get("ca.crt") == wanted() else "another one"

    def do(write: Write) -> None:
        item = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "openbao-authority", "labels": LABELS},
            "data": {"ca.crt": wanted()},
        }
        write("publish the authority", lambda: cluster.apply_strictly(AUTHORITY, item))

    return Part("openbao.authority", "the certificate of the store's authority", "published", look, do)


def _certificate(cluster: Deployer) -> Part:
    def look() -> str:
        held = read(cluster, "openbao-tls")
        if held is None:
            return "absent"
        authority = read(cluster, "openbao-authority")
        if authority is None or not certificates.signed_by(held["tls.crt"], authority["tls.crt"]):
            return "another authority's"
        left = certificates.ends(held["tls.crt"]) - datetime.now(UTC)
        return "valid" if left > RENEW_BEFORE else "runs out soon"

    def do(write: Write) -> None:
        authority = read(cluster, "openbao-authority") or {}
        certificate, key = certificates.new_certificate(authority["tls.crt"], authority["tls.key"], datetime.now(UTC))
        data = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority["tls.crt"]}
        item = body("openbao-tls", data, "kubernetes.io/tls")
        path = f"{CORE}/secrets/openbao-tls"
        write("sign a certificate", lambda: cluster.apply_strictly(path, item))

    return Part("openbao.certificate", "the store's certificate", "valid", look, do)


def authorities(namespace: str) -> str:
    """Where the list of authorities is that pods of a TRUSTING namespace mount."""
    return f"/api/v1/namespaces/{namespace}/configmaps/infra-ops-ca"


def trusted_in(cluster: Deployer, namespace: str) -> Part:
    """Pods of one of the TRUSTING namespaces trust the authority beside those that they trust already."""
    path = authorities(namespace)

    def authority() -> str:
        return str((cluster.find(AUTHORITY) or {"data": {"ca.crt": ""}})["data"]["ca.crt"]).strip()

    def trusted() -> str:
        return str(((cluster.find(path) or {}).get("data") or {}).get("ca.crt", ""))

    def look() -> str:
        return "trusted" if authority() and authority() in trusted() else NOT_TRUSTED

    def do(write: Write) -> None:
        found = cluster.find(path)
        bundle = "\n".join(filter(None, [trusted().strip(), authority()])) + "\n"
        collection, _, name = path.rpartition("/")
        if found is None:
            metadata = {"name": name, "labels": {"app.kubernetes.io/part-of": "infra-ops"}}
            item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": bundle}}
            write("make the list of authorities", lambda: cluster.create(collection, item))
        else:
            version = found["metadata"]["resourceVersion"]
            patch = {"metadata": {"resourceVersion": version}, "data": {"ca.crt": bundle}}
            write("add the authority", lambda: cluster.merge(path, patch))

    return Part(TRUSTING[namespace], f"ConfigMap {namespace}/infra-ops-ca", "trusted", look, do)
