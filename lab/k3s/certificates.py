"""K3s' authorities and leaves on the nodes' disks, and the renewal that happens only when K3s starts.

A leaf lasts 365 days and is renewed, with the key that it has, at a start within 90 or 120 days of its end
(https://docs.k3s.io/cli/certificate). Authorities last ten years and are never renewed.
"""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import files
from lab.k3s import leaves
from lab.k3s.leaves import AUTHORITIES, TLS, Leaf
from lab.nodes import hosts
from lab.nodes.places import VERSION

LEAF_LIFE = datetime.timedelta(days=365)
AUTHORITY_LIFE = datetime.timedelta(days=3650)
_USAGES = {"ClientAuth": ExtendedKeyUsageOID.CLIENT_AUTH, "ServerAuth": ExtendedKeyUsageOID.SERVER_AUTH}
_LOCAL = ("localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def prepare(servers: Iterable[Path], lab_authority: Path | None) -> None:
    """Let all servers have the same authorities. `lab_authority`: a folder whose `ca` becomes the server-ca.

    The lab's clients trust that one, so that they trust a server's own port too.
    """
    servers = list(servers)
    for name in AUTHORITIES:
        found = next((root for root in servers if (root / TLS / f"{name}.crt").exists()), None)
        for root in servers:
            certificate, key = root / TLS / f"{name}.crt", root / TLS / f"{name}.key"
            if certificate.exists():
                continue
            certificate.parent.mkdir(parents=True, exist_ok=True)
            if found is not None:
                _copy(found / TLS / name, root / TLS / name)
            elif name == "server-ca" and lab_authority:
                _copy(lab_authority / "ca", root / TLS / name)
            else:
                _make_authority(f"k3s-{name.replace('/', '-')}@{int(time.time())}", certificate, key)
            found = root


def renew(root: Path, role: str, authorities: Path) -> list[str]:
    """What a start of K3s does on the node whose disk is `root`: its leaves that are missing or near their end.

    `authorities` is the disk of a server. Returns the names of the files that were written.
    """
    now = datetime.datetime.now(datetime.UTC)
    window = datetime.timedelta(days=leaves.renewal_days((root / VERSION).read_text().strip()))
    written = []
    for leaf in leaves.of(role):
        path = root / leaf.path.with_suffix(".crt")
        if not path.exists() or _ends(path) - now < window:
            issue(root, leaf, authorities, now + LEAF_LIFE)
            written.append(path.name)
    return written


def issue(root: Path, leaf: Leaf, authorities: Path, end: datetime.datetime) -> None:
    """Write one leaf that ends then, with the key that it has."""
    path = root / leaf.path
    path.parent.mkdir(parents=True, exist_ok=True)
    authority = authorities / TLS / leaf.authority
    signer = _key(authority.with_suffix(".key"))
    issuer = x509.load_pem_x509_certificate(authority.with_suffix(".crt").read_bytes())
    key_file = path.with_suffix(".key")
    key = _key(key_file) if key_file.exists() else ec.generate_private_key(ec.SECP256R1())
    node = hosts.own_name(root)
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name.format(node=node))]
    if leaf.organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    usages = [_USAGES[usage] for usage in leaf.usages]
    builder = _builder(x509.Name(attributes), issuer.subject, key, end - LEAF_LIFE, end)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    )
    if "ServerAuth" in leaf.usages:
        alternatives = [_general_name(name) for name in (*_LOCAL, node, hosts.address_of(root, node))]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if not key_file.exists():
        files.write(key_file, _private(key))
    chain = builder.sign(signer, hashes.SHA256()), issuer
    pem = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
    files.write(path.with_suffix(".crt"), pem, mode=0o644)


def _ends(path: Path) -> datetime.datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def _copy(source: Path, target: Path) -> None:
    for suffix, mode in (("key", 0o600), ("crt", 0o644)):
        files.write(Path(f"{target}.{suffix}"), Path(f"{source}.{suffix}").read_bytes(), mode)


def _make_authority(name: str, certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key, now - datetime.timedelta(hours=1), now + AUTHORITY_LIFE, ca=True)
    files.write(key_file, _private(key))
    files.write(certificate, builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), mode=0o644)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    start: datetime.datetime,
    end: datetime.datetime,
    *,
    ca: bool = False,
) -> x509.CertificateBuilder:
    usage = {"digital_signature": True, "key_encipherment": not ca, "key_cert_sign": ca, "crl_sign": False}
    never = ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage, **dict.fromkeys(never, False)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} is no elliptic-curve key")
    return key


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
