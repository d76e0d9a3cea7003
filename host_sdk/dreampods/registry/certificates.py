"""Makes the fleet's certificates: its authority, the host's, and one for each pod.

All keys are ECDSA P-256, which stock MicroPython boards can sign and verify with. Who may do what
stands in the certificate: the host's says "client" only, a pod's "server" only. So a key taken out
of a stolen pod cannot command another pod, whose TLS server asks for a client's certificate.
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A board without a battery for its clock wakes up in 2021, and is told a later date by its own
# files; a certificate made today must be good then.
_VALID_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_AUTHORITY_YEARS = 20
_HOST_YEARS = 2
_POD_YEARS = 10
_DAYS_A_YEAR = 365.25

HOST_NAME = "host"  # what the host's certificate calls it


def make_key() -> ec.EllipticCurvePrivateKey:
    """A new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def make_authority(fleet: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The certificate of the fleet's own authority, signed by itself."""
    name = _name(f"dreampods fleet {fleet}")
    public = key.public_key()
    return (
        _begin(name, name, public, _AUTHORITY_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def make_host(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """The host's certificate: it may open connections to pods, and nothing else."""
    return _issue(
        authority,
        authority_key,
        HOST_NAME,
        key.public_key(),
        _HOST_YEARS,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        [HOST_NAME],
    )


def make_pod(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    name: str,
    uid: str,
) -> x509.Certificate:
    """A pod's certificate, for the names it is found by: NAME.local, and its uid."""
    return _issue(
        authority,
        authority_key,
        name,
        key.public_key(),
        _POD_YEARS,
        ExtendedKeyUsageOID.SERVER_AUTH,
        [f"{name}.local", uid],
    )


def pem(*items: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    """Certificates and keys as text, one after the other."""
    return b"".join(
        item.public_bytes(serialization.Encoding.PEM)
        if isinstance(item, x509.Certificate)
        else _key_bytes(item, serialization.Encoding.PEM)
        for item in items
    )


def der_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as MicroPython's `load_cert_chain` takes it."""
    return _key_bytes(key, serialization.Encoding.DER)


def belong_together(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bool:
    """Whether the certificate was made for this key."""
    return key.public_key() == certificate.public_key()


def _key_bytes(key: ec.EllipticCurvePrivateKey, encoding: serialization.Encoding) -> bytes:
    # The old form of EC keys (RFC 5915) is read by every mbedtls, the wrapped one not by all
    return key.private_bytes(
        encoding, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _begin(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, years: int
) -> x509.CertificateBuilder:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=years * _DAYS_A_YEAR)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(until.replace(microsecond=0))
    )


def _issue(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    name: str,
    public: ec.EllipticCurvePublicKey,
    years: int,
    role: x509.ObjectIdentifier,
    alternatives: list[str],
) -> x509.Certificate:
    issuer_key = authority_key.public_key()
    return (
        _begin(_name(name), authority.subject, public, years)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([role]), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(text) for text in alternatives]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
