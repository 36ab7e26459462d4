"""The lab's certificate authority and the certificates it signs."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import files

VALID_FOR = datetime.timedelta(days=3650)
LOCAL_NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Leaf:
    """One certificate: ``name`` of its two files, its subject, and what it may be used for."""

    name: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = LOCAL_NAMES
    client: bool = False


LEAVES = (
    Leaf(
        "apiserver",
        "kube-apiserver",
        names=(*LOCAL_NAMES, "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    ),
    Leaf("kubelet-client", "kube-apiserver-kubelet-client", "system:masters", names=(), client=True),
    Leaf("kubelet", "system:node:lab", "system:nodes"),
    Leaf("openbao", "openbao"),
    Leaf("pihole", "pihole.stratdata.org", names=(*LOCAL_NAMES, "pihole.stratdata.org")),
    Leaf("synology", "nas.stratdata.org", names=(*LOCAL_NAMES, "nas.stratdata.org")),
)


def issue(directory: Path) -> None:
    """Create in ``directory`` what is missing of the lab's keys and certificates; keep what is there.

    Writes ``ca``, and each of LEAVES, as ``<name>.crt`` (0644) and ``<name>.key`` (0600), all ECDSA P-256, and
    ``sa.key`` (RSA 2048, 0600), which signs service-account tokens. A new authority makes the old leaves worthless,
    so they are issued again with it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not _has_pair(directory, "ca"):
        for leaf in LEAVES:
            (directory / f"{leaf.name}.crt").unlink(missing_ok=True)
        _issue_authority(directory)
    for leaf in LEAVES:
        if not _has_pair(directory, leaf.name):
            _issue_leaf(directory, leaf)
    if not (directory / "sa.key").exists():
        _write_key(directory / "sa.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _has_pair(directory: Path, name: str) -> bool:
    return all((directory / f"{name}.{suffix}").exists() for suffix in ("crt", "key"))


def _issue_authority(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject("infra-ops lab CA", "")
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_pair(directory, "ca", key, certificate)


def _issue_leaf(directory: Path, leaf: Leaf) -> None:
    authority_key = load_pem_private_key((directory / "ca.key").read_bytes(), password=None)
    authority = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{directory / 'ca.key'} is no elliptic-curve key: remove the folder to have a new authority")
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if leaf.client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        _builder(_subject(leaf.common_name, leaf.organization), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if leaf.names:
        names = x509.SubjectAlternativeName([_general_name(name) for name in leaf.names])
        builder = builder.add_extension(names, critical=False)
    _write_pair(directory, leaf.name, key, builder.sign(authority_key, hashes.SHA256()))


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks of machines differ
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _subject(common_name: str, organization: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(directory: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    # The key goes first: a certificate without its key would be kept, a key without its certificate is replaced.
    _write_key(directory / f"{name}.key", key)
    files.write(directory / f"{name}.crt", certificate.public_bytes(Encoding.PEM), mode=0o644)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    files.write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
