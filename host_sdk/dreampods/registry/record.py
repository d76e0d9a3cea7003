"""A pod's record in the fleet's folder: a JSON file a person can read, checked when it is read."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dreampods.errors import FleetError

from .certificates import belong_together, der_of_key, pem

KEY_BYTES = 32
# The name becomes the board's host name: MicroPython takes 32 bytes of it, DNS these letters
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_UID = re.compile(r"[0-9a-f]{4,32}")
_LONGEST_TEXT = 64


@dataclass(frozen=True, slots=True)
class PodRecord:
    """What the fleet knows of one pod. `key` is a secret of the host and this pod only."""

    uid: str
    name: str
    serial: str
    hardware: str
    key: bytes
    certificate_der: bytes
    private_key_der: bytes

    @property
    def expires(self) -> datetime.datetime:
        """When the pod's certificate ends."""
        return x509.load_der_x509_certificate(self.certificate_der).not_valid_after_utc


def check_identity(uid: str, name: str, serial: str, hardware: str) -> None:
    """Raise FleetError unless these can stand in a record."""
    if not _UID.fullmatch(uid):
        raise FleetError(f"{uid!r} is no pod's uid; it has 4 to 32 of the digits 0-9 and a-f")
    if not _NAME.fullmatch(name):
        raise FleetError(
            f"{name!r} cannot be a pod's name; use up to 32 of a-z, 0-9 and -, as in pod-3"
        )
    for what, text in (("serial number", serial), ("hardware revision", hardware)):
        if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
            raise FleetError(
                f"{text!r} cannot be a {what}; use 1 to {_LONGEST_TEXT} letters and digits"
            )


def write_text(
    record: PodRecord, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """The record as it stands in its file."""
    content = {
        "uid": record.uid,
        "name": record.name,
        "serial": record.serial,
        "hardware": record.hardware,
        "key": record.key.hex(),
        "certificate": pem(certificate).decode(),
        "private_key": pem(key).decode(),
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def read_record(path: Path, authority: x509.Certificate) -> PodRecord:
    """The record in a file.

    Raises:
        FleetError: it cannot be read, is spoilt, or is a pod of another fleet.
    """
    spoilt = f"{path}: spoilt; restore it from a backup, or remove it and provision the pod anew"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not all(
            isinstance(value, str) for value in content.values()
        ):
            raise FleetError(f"{spoilt} (no table of texts)")
        certificate = x509.load_pem_x509_certificate(content["certificate"].encode())
        key = serialization.load_pem_private_key(content["private_key"].encode(), None)
        secret = bytes.fromhex(content["key"])
        record = PodRecord(
            content["uid"],
            content["name"],
            content["serial"],
            content["hardware"],
            secret,
            certificate.public_bytes(serialization.Encoding.DER),
            der_of_key(key) if isinstance(key, ec.EllipticCurvePrivateKey) else b"",
        )
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found = names.value.get_values_for_type(x509.DNSName)
    except OSError as error:
        raise FleetError(f"{path}: cannot be read ({error.strerror})") from None
    except KeyError as error:
        raise FleetError(f"{spoilt} ({error.args[0]} is missing)") from None
    except (ValueError, TypeError, RecursionError, x509.ExtensionNotFound) as error:
        raise FleetError(f"{spoilt} ({str(error).splitlines()[0]})") from None
    try:
        check_identity(record.uid, record.name, record.serial, record.hardware)
    except FleetError as error:
        raise FleetError(f"{path}: {error}") from None
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise FleetError(
            f"{path}: the pod is another fleet's; its file does not belong here"
        ) from None
    if (
        path.stem != record.uid
        or found != [f"{record.name}.local", record.uid]
        or len(secret) != KEY_BYTES
        or not isinstance(key, ec.EllipticCurvePrivateKey)
        or not belong_together(key, certificate)
    ):
        raise FleetError(f"{spoilt} (file name, key and certificate are not one pod's)")
    return record
