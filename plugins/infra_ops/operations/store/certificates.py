"""An authority of the store's own, and the certificate that it signs.

Not cert-manager's: the store must come up, and its clients trust it, while everything else in the cluster is down; what
comes later may fetch its secrets here. The authority's key stays, so that a renewal changes nothing for any client.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_FOR = timedelta(days=3650)
CERTIFICATE_FOR = timedelta(days=397)
NAMES = ("openbao.openbao.svc", "openbao.openbao.svc.cluster.local", "openbao.openbao", "openbao", "localhost")


def new_authority(now: datetime) -> tuple[bytes, bytes]:
    """Certificate and private key (PEM) of a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "infra-ops store authority")])
    builder = _builder(name, name, key.public_key(), now, AUTHORITY_FOR)
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    usage |= {"key_cert_sign": True, "crl_sign": True, "encipher_only": False, "decipher_only": False}
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    return _pem(builder.sign(key, hashes.SHA256())), _key_pem(key)


def new_certificate(authority: bytes, authority_key: bytes, now: datetime) -> tuple[bytes, bytes]:
    """Certificate and private key (PEM) of the server, for the names under which clients call it."""
    issuer = x509.load_pem_x509_certificate(authority)
    signer = serialization.load_pem_private_key(authority_key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # made above
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    builder = _builder(name, issuer.subject, key.public_key(), now, CERTIFICATE_FOR)
    names = [x509.DNSName(each) for each in NAMES]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return _pem(builder.sign(signer, hashes.SHA256())), _key_pem(key)


def ends(certificate: bytes) -> datetime:
    """When a certificate (PEM) runs out."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def signed_by(certificate: bytes, authority: bytes) -> bool:
    """Whether that authority signed the certificate (both PEM). All of ours have one name: only the signature tells."""
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (InvalidSignature, TypeError, ValueError):  # another key, kind of key or name
        return False
    return True


def fingerprint(certificate: bytes) -> str:
    """Twelve hexadecimal digits that name a certificate (PEM)."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()[:12]


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    start = now.astimezone(UTC) - timedelta(minutes=5)  # the clocks of Pis may differ a little
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
