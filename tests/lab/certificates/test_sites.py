"""What ingresses and webhooks show, by real handshakes; where they are, from a real API."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra_ops.clients import tls
from infra_ops.models.outcomes import State
from infra_ops.operations.store import certificates as made
from tests.lab.certificates.stage import Stage

HOST = made.NAMES[0]  # openbao.openbao.svc
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class Authority:
    def __init__(self) -> None:
        self.certificate, self._key = made.new_authority(datetime.now(UTC))

    @contextmanager
    def serving(self, folder: Path, days: int) -> Iterator[int]:
        """A TLS server on a port of this machine, whose certificate for HOST ends in so many days."""
        start = datetime.now(UTC) + timedelta(days=days) - made.CERTIFICATE_FOR
        certificate, key = made.new_certificate(self.certificate, self._key, start)
        (folder / "tls.crt").write_bytes(certificate)
        (folder / "tls.key").write_bytes(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        with socket.create_server(("127.0.0.1", 0)) as door:
            threading.Thread(target=_serve, args=(door, context), daemon=True).start()
            yield door.getsockname()[1]
            door.shutdown(socket.SHUT_RDWR)


def _serve(door: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = door.accept()
        except OSError:
            return
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            plain.close()  # a client that does not trust us


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_a_handshake_tells_the_end_and_whom_it_convinces(authority: Authority, tmp_path: Path) -> None:
    with authority.serving(tmp_path, 40) as port:
        trusted = tls.shown("127.0.0.1", port, HOST, authority.certificate.decode())
        stranger = tls.shown("127.0.0.1", port, HOST, Authority().certificate.decode())
        renamed = tls.shown("127.0.0.1", port, "another.name", authority.certificate.decode())
        usual = tls.shown("127.0.0.1", port, HOST)
    assert trusted.distrust == ""
    assert "certificate verify failed" not in stranger.distrust != ""
    assert "another.name" in renamed.distrust
    assert usual.distrust
    assert trusted.ends == stranger.ends == renamed.ends == usual.ends
    assert (trusted.ends - datetime.now(UTC)).days in (39, 40)


def test_one_that_has_ended_is_read_all_the_same(authority: Authority, tmp_path: Path) -> None:
    with authority.serving(tmp_path, -3) as port:
        found = tls.shown("127.0.0.1", port, HOST, authority.certificate.decode())
    assert found.ends < datetime.now(UTC)
    assert "expired" in found.distrust


def test_who_does_not_answer_or_speaks_no_tls_shows_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        threading.Thread(target=lambda: silent.accept()[0].close(), daemon=True).start()
        with pytest.raises(tls.NoHandshake, match=f"127.0.0.1:{port} shows no certificate"):
            tls.shown("127.0.0.1", port, HOST)
    with pytest.raises(tls.NoHandshake, match="refused"):
        tls.shown("127.0.0.1", port, HOST)


@pytest.fixture
def objects(stage: Stage) -> Iterator[Any]:
    """Creates objects, and removes them afterwards."""
    rest, done = stage.k3s.rest(), []

    def create(path: str, item: dict[str, Any]) -> None:
        rest.create(path, item)
        done.append(f"{path}/{item['metadata']['name']}")

    yield create
    for path in reversed(done):
        rest.delete(path)


def publish(stage: Stage, name: str, port: int) -> None:
    entry = {"ip": "127.0.0.1", "ports": [{"port": port, "protocol": "TCP"}]}
    stage.k3s.rest().patch(f"{INGRESSES}/{name}/status", {"status": {"loadBalancer": {"ingress": [entry]}}})


def test_ingresses_are_asked_where_their_controller_listens(
    stage: Stage, objects: Any, authority: Authority, tmp_path: Path
) -> None:
    with authority.serving(tmp_path, 13) as port:
        for name, host in (("short", HOST), ("deaf", "deaf.openbao.svc")):
            objects(INGRESSES, ingress(name, host))
            publish(stage, name, port if name == "short" else 9)
        objects(INGRESSES, ingress("plain", "plain.openbao.svc", tls=False))
        found = {subject: each for (id_, subject), each in stage.verify().items() if id_ == "K037"}
    assert {subject: each.state for subject, each in found.items()} == {
        f"ingress {HOST}": State.FAIL,
        "ingress deaf.openbao.svc": State.UNKNOWN,
    }
    assert found[f"ingress {HOST}"].seen.startswith("12 days left, not trusted: ")
    assert "127.0.0.1:9 shows no certificate" in found["ingress deaf.openbao.svc"].reason


def ingress(name: str, host: str, *, tls: bool = True) -> dict[str, Any]:
    backend = {"service": {"name": "some", "port": {"number": 80}}}
    rules = [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    spec = {"rules": rules, **({"tls": [{"secretName": "some"}]} if tls else {})}
    return {"metadata": {"name": name}, "spec": spec}


def test_webhooks_are_asked_at_a_pod_behind_their_service_and_checked_by_their_bundle(
    stage: Stage, objects: Any, authority: Authority, tmp_path: Path
) -> None:
    bundle = base64.b64encode(authority.certificate).decode()
    with authority.serving(tmp_path, 40) as port:
        objects("/api/v1/namespaces", {"metadata": {"name": "openbao"}})
        ports = [{"name": "https", "port": 443, "targetPort": port}]
        objects("/api/v1/namespaces/openbao/services", {"metadata": {"name": "openbao"}, "spec": {"ports": ports}})
        subsets = [{"addresses": [{"ip": "10.42.0.9"}], "ports": [{"name": "https", "port": port}]}]
        objects("/api/v1/namespaces/openbao/endpoints", {"metadata": {"name": "openbao"}, "subsets": subsets})
        # An address of this machine is none that Endpoints may have.
        places = {"10.42.0.9": "127.0.0.1"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tls.socket, "create_connection", _rerouted(places))
            objects(
                HOOKS, {"metadata": {"name": "checks"}, "webhooks": [hook("openbao", bundle), hook("gone", bundle)]}
            )
            found = {subject: each for (id_, subject), each in stage.verify().items() if id_ == "K038"}
    assert found[f"webhook {HOST}"].state is State.PASS
    assert found[f"webhook {HOST}"].seen in ("39 days left, trusted", "40 days left, trusted")
    assert found["webhook gone.openbao.svc"].state is State.UNKNOWN
    assert found["webhook gone.openbao.svc"].reason == "there is no service openbao/gone with a port 443"


def hook(service: str, bundle: str) -> dict[str, Any]:
    return {
        "name": f"{service}.openbao.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "clientConfig": {"caBundle": bundle, "service": {"namespace": "openbao", "name": service}},
    }


def _rerouted(places: dict[str, str]) -> Any:
    connect = socket.create_connection

    def connected(address: tuple[str, int], *arguments: Any, **named: Any) -> socket.socket:
        return connect((places.get(address[0], address[0]), address[1]), *arguments, **named)

    return connected
