"""Which certificate a server shows: a TLS handshake and nothing after it.

https://docs.python.org/3/library/ssl.html
"""

from __future__ import annotations

import os
import socket
import ssl

import certifi
from cryptography import x509

from infra_ops.models.certificates import Shown
from infra_ops.models.problems import Problem

SECONDS = 10


class NoHandshake(Problem):
    """Nobody answers there, or not in TLS."""


def shown(address: str, port: int, name: str, authorities: str = "") -> Shown:
    """The certificate for `name`, and whether it is trusted: by `authorities` (PEM) alone, or by the usual ones and
    those in the file that INFRA_OPS_CACERT names. Raises NoHandshake.

    Python shows a certificate that it does not trust only to those who trust everybody: hence a second handshake.
    """
    try:
        return _read(_handshake(address, port, name, _trusting(authorities)), "")
    except ssl.SSLCertVerificationError as error:
        distrust = error.verify_message
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    return _read(_handshake(address, port, name, anybody), distrust)


def _trusting(authorities: str) -> ssl.SSLContext:
    if authorities:
        return ssl.create_default_context(cadata=authorities)
    context = ssl.create_default_context(cafile=certifi.where())
    if bundle := os.environ.get("INFRA_OPS_CACERT", ""):
        context.load_verify_locations(bundle)
    return context


def _handshake(address: str, port: int, name: str, context: ssl.SSLContext) -> bytes:
    try:
        with (
            socket.create_connection((address, port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError:
        raise
    except OSError as error:
        raise NoHandshake(f"{address}:{port} shows no certificate: {error}.") from None


def _read(certificate: bytes, distrust: str) -> Shown:
    return Shown(x509.load_der_x509_certificate(certificate).not_valid_after_utc, distrust)
