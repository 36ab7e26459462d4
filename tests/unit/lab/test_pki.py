"""The lab's certificates."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from lab import pki


def issued(folder: Path, *names: str) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


def leaf(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_every_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    pki.issue(tmp_path)
    keys = list(tmp_path.glob("*.key"))
    assert len(keys) == len(pki.LEAVES) + 2
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """Tokens signed and certificates trusted yesterday are still good today."""
    pki.issue(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    pki.issue(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_missing_certificate_is_issued_again_without_touching_the_others(tmp_path: Path) -> None:
    pki.issue(tmp_path)
    others = issued(tmp_path, "ca.crt", "sa.key", "kubelet.crt")
    (tmp_path / "apiserver.crt").unlink()
    pki.issue(tmp_path)
    assert (tmp_path / "apiserver.crt").exists()
    assert issued(tmp_path, "ca.crt", "sa.key", "kubelet.crt") == others


def test_a_new_authority_signs_everything_anew(tmp_path: Path) -> None:
    """A certificate of the old one would be trusted by nobody."""
    pki.issue(tmp_path)
    (tmp_path / "ca.key").unlink()
    pki.issue(tmp_path)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    for each in pki.LEAVES:
        leaf(tmp_path, each.name).verify_directly_issued_by(authority)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "kubernetes.default.svc"])
def test_the_api_servers_certificate_is_good_for_the_names_that_pods_use(tmp_path: Path, name: str) -> None:
    """A TLS handshake in memory, checked as strictly as Python can."""
    pki.issue(tmp_path)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    client_context = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.getpeercert()


def test_the_client_certificate_towards_kubelets_is_no_server_certificate(tmp_path: Path) -> None:
    pki.issue(tmp_path)
    usage = leaf(tmp_path, "kubelet-client").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
