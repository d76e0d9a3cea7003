"""The fleet's folder: its authority, the host's certificate, the key that signs updates, its pods.

    fleet.json         the fleet's name, and when it was made
    authority.pem      the fleet's own certificate authority, with its key: what makes a pod ours
    host.pem           the host's certificate, with its key: what a pod lets in
    signing-key.pem    Ed25519: what a pod's updates are signed with
    pods/UID.json      a record for each pod

Who has this folder commands the pods. It belongs to its owner alone and wants a backup.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from dreampods.errors import FleetError

from .certificates import (
    belong_together,
    der_of_key,
    make_authority,
    make_host,
    make_key,
    make_pod,
    pem,
)
from .record import KEY_BYTES, PodRecord, check_identity, read_record, write_text

_FLEET = "fleet.json"
_AUTHORITY = "authority.pem"
_HOST = "host.pem"
_SIGNING = "signing-key.pem"
_PODS = "pods"
_LONGEST_NAME = 40  # bytes: X.509 gives 64 to "dreampods fleet NAME"
_OTHERS = 0o077


class FleetFolder:
    """A fleet, as it lies in its folder. Get one by `create` or `load`."""

    def __init__(
        self,
        path: Path,
        name: str,
        authority: tuple[ec.EllipticCurvePrivateKey, x509.Certificate],
        host: x509.Certificate | None,
        signing_key: ed25519.Ed25519PrivateKey,
    ) -> None:
        self.path = path
        self.name = name
        self.signing_key = signing_key
        self._authority_key, self._authority = authority
        self._host = host

    @classmethod
    def create(cls, folder: Path | str, name: str) -> FleetFolder:
        """Make a fleet: the folder is there as a whole, or not at all.

        Raises:
            FleetError: something is there already, the name cannot be one, or nothing can be written.
        """
        path = Path(folder)
        if not name.isprintable() or not 1 <= len(name.encode()) <= _LONGEST_NAME:
            raise FleetError(
                f"{name!r} cannot be a fleet's name; use 1 to {_LONGEST_NAME} letters and digits of ASCII"
            )
        if path.is_symlink() or path.exists():
            raise FleetError(f"{path}: something is there already, and no fleet is overwritten")
        key, host_key = make_key(), make_key()
        authority = make_authority(name, key)
        host = make_host(authority, key, host_key)
        signing = ed25519.Ed25519PrivateKey.generate()
        made = datetime.datetime.now(datetime.UTC).date().isoformat()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # mkdtemp makes it the owner's alone; all files are there before it gets its name
            new = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
            try:
                (new / _PODS).mkdir(mode=0o700)
                _write(new / _AUTHORITY, pem(key, authority))
                _write(new / _HOST, pem(host_key, host))
                _write(new / _SIGNING, _signing_pem(signing))
                text = json.dumps({"name": name, "made": made}, indent=2) + "\n"
                _write(new / _FLEET, text.encode())
                new.rename(path)
            except OSError:
                shutil.rmtree(new, ignore_errors=True)
                raise
        except OSError as error:
            raise FleetError(
                f"{path}: the fleet cannot be made there ({error.strerror})"
            ) from None
        return cls(path, name, (key, authority), host, signing)

    @classmethod
    def load(cls, folder: Path | str, *, host: bool = True) -> FleetFolder:
        """The fleet in a folder.

        Args:
            host: False to do without the host's certificate, which may be spoilt or missing, to `renew` it.

        Raises:
            FleetError: there is none, it is spoilt, or others than its owner may read it.
        """
        path = Path(folder)
        if not (path / _FLEET).exists():
            raise FleetError(
                f"{path}: no fleet there; give its folder by --fleet, or make one:"
                f" dreampods fleet init {path}"
            )
        if path.stat().st_mode & _OTHERS:
            raise FleetError(
                f"{path}: others than its owner may look into it, and it holds keys: chmod 700 {path}"
            )
        name = _read_name(path / _FLEET)
        key, authority = _read_pair(path / _AUTHORITY)
        known = _read_host(path, authority) if host else None
        return cls(path, name, (key, authority), known, _read_signing(path / _SIGNING))

    @property
    def ca_der(self) -> bytes:
        """The authority's certificate, for pods to know the host by."""
        return self._authority.public_bytes(serialization.Encoding.DER)

    @property
    def expires(self) -> datetime.datetime:
        """When the host's certificate ends."""
        assert self._host is not None, "loaded to be renewed"
        return self._host.not_valid_after_utc

    def pods(self) -> list[PodRecord]:
        """All pods of the fleet, by name.

        Raises:
            FleetError: a record is spoilt, or another fleet's.
        """
        folder = self.path / _PODS
        if not folder.is_dir():  # not: no pods
            raise FleetError(f"{folder}: missing; restore the fleet's folder from a backup")
        files = sorted(folder.glob("*.json"))
        records = [read_record(file, self._authority) for file in files]
        return sorted(records, key=lambda record: record.name)

    def enrol(self, uid: str, name: str, serial: str, hardware: str) -> PodRecord:
        """Make a pod one of the fleet, with a key and a certificate of its own.

        A uid that is enrolled already keeps its record, which is returned as it is: compare its
        name with what you asked for. To begin anew, remove the file and provision the pod again.

        Raises:
            FleetError: another pod has that name or serial number, or it cannot be one.
        """
        check_identity(uid, name, serial, hardware)
        with self._alone():
            for other in self.pods():
                if other.uid == uid:
                    return other
                if other.name == name:
                    raise FleetError(
                        f"another pod of the fleet is called {name!r} (uid {other.uid});"
                        " give each a name of its own"
                    )
                if other.serial == serial:
                    raise FleetError(
                        f"{other.name} has the serial number {serial!r} (uid {other.uid});"
                        " give each one of its own"
                    )
            key = make_key()
            certificate = make_pod(self._authority, self._authority_key, key, name, uid)
            der = certificate.public_bytes(serialization.Encoding.DER)
            secret = secrets.token_bytes(KEY_BYTES)
            record = PodRecord(uid, name, serial, hardware, secret, der, der_of_key(key))
            self._save(self.path / _PODS / f"{uid}.json", write_text(record, certificate, key))
        return record

    def renew(self) -> None:
        """Give the host a new certificate. Pods need not be told: they trust the authority."""
        key = make_key()
        host = make_host(self._authority, self._authority_key, key)
        self._save(self.path / _HOST, pem(key, host))
        self._host = host

    def client_context(self, *, check_name: bool = True) -> ssl.SSLContext:
        """For connections to pods: shows the host's certificate, takes only pods of this fleet.

        Args:
            check_name: whether the pod must also have the name it is called by. Without, the
                caller must look who it is.

        Raises:
            FleetError: the host's certificate has expired.
        """
        if self.expires <= datetime.datetime.now(datetime.UTC):
            raise FleetError(
                f"the host's certificate expired on {self.expires:%Y-%m-%d}, and pods refuse it:"
                f" dreampods fleet renew --fleet {self.path}"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = check_name
        context.load_verify_locations(cadata=self.ca_der)
        try:
            context.load_cert_chain(self.path / _HOST)
        except (OSError, ssl.SSLError) as error:
            raise FleetError(f"{self.path / _HOST}: cannot be used ({error})") from None
        return context

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other programs, and other threads, from enrolling at the same time."""
        try:
            with (self.path / _FLEET).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise FleetError(f"{self.path}: cannot be used ({error.strerror})") from None

    def _save(self, path: Path, content: bytes) -> None:
        try:
            _write(path, content)
        except OSError as error:
            raise FleetError(f"{path}: cannot be written ({error.strerror})") from None


def _write(path: Path, content: bytes) -> None:
    """Write a file of the owner's, whole or not at all, also if the power goes."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # 0600
    new = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _signing_pem(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FleetError(f"{path}: missing; restore the fleet's folder from a backup") from None
    except OSError as error:
        raise FleetError(f"{path}: cannot be read ({error.strerror})") from None


def _spoilt(path: Path, error: object) -> FleetError:
    return FleetError(
        f"{path}: spoilt; restore it from a backup ({str(error).splitlines()[0] or 'empty'})"
    )


def _read_name(path: Path) -> str:
    try:
        name = json.loads(_read(path))["name"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _spoilt(path, error) from None
    if not isinstance(name, str):
        raise _spoilt(path, "its name is no text")
    return name


def _read_pair(path: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    content = _read(path)
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError) as error:
        raise _spoilt(path, error) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not belong_together(key, certificate):
        raise _spoilt(path, "key and certificate do not belong together")
    return key, certificate


def _read_host(folder: Path, authority: x509.Certificate) -> x509.Certificate:
    """The host's certificate. It alone can be made anew, so no backup is needed for it."""
    anew = f"make a new one: dreampods fleet renew --fleet {folder}"
    path = folder / _HOST
    if not path.exists():
        raise FleetError(f"{path}: missing; {anew}")
    try:
        _, host = _read_pair(path)
    except FleetError as error:
        raise FleetError(f"{error}, or {anew}") from None
    try:
        host.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise FleetError(f"{path}: made by another fleet's authority; {anew}") from None
    return host


def _read_signing(path: Path) -> ed25519.Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError) as error:
        raise _spoilt(path, error) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _spoilt(path, "no Ed25519 key")
    return key
