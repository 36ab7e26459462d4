"""What an OpenBao whose connections break looks like to its caller."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra_ops.clients import openbao
from infra_ops.clients.openbao import OpenBao
from infra_ops.clients.vault import StoreError
from infra_ops.operations.store import certificates

# The beginning of an answer of unknown length: a piece of five bytes, and nothing after it.
BROKEN_OFF = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@contextmanager
def answering(answer: bytes, folder: Path) -> Iterator[tuple[int, str]]:
    """Serves one request with these bytes and hangs up; its port and the authority of its certificate."""
    authority, authority_key = certificates.new_authority(datetime.now(UTC))
    certificate, key = certificates.new_certificate(authority, authority_key, datetime.now(UTC))
    (folder / "server.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    def serve() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], authority.decode()
        thread.join()


def test_a_snapshot_that_is_cut_off_is_a_problem_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(BROKEN_OFF, tmp_path) as (port, authority):
        monkeypatch.setattr(openbao, "PORT", port)
        with pytest.raises(StoreError, match="did not answer the snapshot properly"):
            OpenBao("127.0.0.1", authority).save_snapshot(tmp_path / "snapshot")
