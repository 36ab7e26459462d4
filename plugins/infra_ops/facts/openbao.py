"""What is known of a deployed OpenBao. Its pods are found in the cluster, and only public things are read there."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import NAME, NOBODY, PORT, OpenBao
from infra_ops.clients.vault import StoreError
from infra_ops.models.store import Handover, Serving

NAMESPACE = "openbao"
SERVER, SCRATCH = "openbao-0", "openbao-scratch-0"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
AUTHORITY = f"{CORE}/configmaps/openbao-authority"
WAITING = f"{CORE}/configmaps/openbao-recovery"


def server(cluster: Deployer, pod: str = SERVER) -> OpenBao:
    """The OpenBao in that pod, nobody logged in. Raises StoreError when there is none yet, and ClusterError."""
    address, state = _pod(cluster, pod)
    authority = cluster.find(AUTHORITY)
    if not address or authority is None:
        raise StoreError(f"There is no store to speak to yet: {state}.")
    return OpenBao(address, authority["data"]["ca.crt"])


def serving(cluster: Deployer, pod: str = SERVER) -> Serving:
    """How the OpenBao in that pod feels. Raises ClusterError."""
    address, state = _pod(cluster, pod)
    try:
        store = server(cluster, pod)
    except StoreError:
        return Serving(address, NOBODY, state)
    return Serving(store.address, store.health(), state)


def handover(cluster: Deployer, store: OpenBao) -> Handover:
    """Where the recovery keys are. Who takes snapshots may not read their Secret, so the note that goes with it tells.

    Whoever deletes only the note is believed until deploy_openbao leaves it again.
    """
    status = store.read("sys/seal-status") or {}
    waiting = cluster.find(WAITING)
    since = datetime.fromisoformat(waiting["data"]["since"]) if waiting else None
    return Handover(exist=int(status.get("n", 0)) > 0, waiting_since=since)


def certificate_ends(cluster: Deployer) -> datetime:
    """When the certificate that the store shows now runs out. Raises StoreError when it shows none that is good."""
    address, state = _pod(cluster, SERVER)
    authority = cluster.find(AUTHORITY)
    if not address or authority is None:
        raise StoreError(f"There is no store to speak to yet: {state}.")
    context = ssl.create_default_context(cadata=authority["data"]["ca.crt"])
    try:
        with (
            socket.create_connection((address, PORT), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            shown = secure.getpeercert() or {}
    except OSError as error:
        reason = getattr(error, "verify_message", "") or error.strerror or type(error).__name__
        raise StoreError(f"{address}:{PORT} shows no good certificate: {reason}") from None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def _pod(cluster: Deployer, name: str) -> tuple[str, str]:
    """Address of a pod ("" as long as it has none), and a word on its state."""
    pod = cluster.find(f"{CORE}/pods/{name}")
    if pod is None:
        return "", f"there is no pod {NAMESPACE}/{name}"
    status = pod.get("status") or {}
    waiting = [
        state["waiting"].get("reason", "")
        for container in status.get("containerStatuses") or []
        if "waiting" in (state := container.get("state") or {})
    ]
    words = [str(status.get("phase", "Unknown")), *filter(None, waiting)]
    if pod["metadata"].get("deletionTimestamp"):
        return "", f"pod {NAMESPACE}/{name} is being deleted"
    return str(status.get("podIP", "")), f"pod {NAMESPACE}/{name} is {', '.join(words)}"
