"""A pod on the network under asyncio: TLS over TCP, both sides known to each other by certificates.

A `TcpPort` is used as a `SerialPort` is. It opens in the background, for finding a pod and shaking
hands with a small chip take a second or two; until then nothing is sent, and `clear` is false.

The pod must show a certificate of the fleet's authority that stands in the fleet's records, and
must have the name it was called by. Taking a pod's record away is thus enough to part with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable

from dreampods.errors import LinkError
from dreampods.registry import FleetFolder

PORT = 7716  # as in firmware/dreampod/network.py
SCHEME = "tcp://"

_READ_BYTES = 65536
_FIND_S = 3.0
_CONNECT_S = 4.0
_HANDSHAKE_S = 8.0  # an RP2040 computes for a second or more

_PATH = re.compile(r"tcp://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")

# openssl/x509_vfy.h, openssl/sslerr.h
_NOT_YET_VALID = 9
_EXPIRED = 10
_NO_ISSUER = (18, 19, 20, 21)
_NAME_MISMATCH = 62
_ALERTS = {
    "UNKNOWN_CA": "it belongs to another fleet, and refuses us; give its own by --fleet",
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired: dreampods fleet renew",
    "UNSUPPORTED_CERTIFICATE": "it says that our certificate is not a host's; give the right --fleet",
    "BAD_CERTIFICATE": "it does not take our certificate; give its own fleet by --fleet",
    "HANDSHAKE_FAILURE": "it wants a certificate we do not have; give its fleet by --fleet",
    "WRONG_VERSION_NUMBER": "something answers that is no pod; check address and port",
}


class Trust:
    """What a host must know of its fleet to open ports. Made once, used by all of them."""

    def __init__(self, fleet: FleetFolder) -> None:
        """Raises FleetError: a record is spoilt, or the host's certificate has expired."""
        self._by_name = fleet.client_context()
        self._by_address = fleet.client_context(check_name=False)
        self._pods = {record.certificate_der: record.name for record in fleet.pods()}
        self.fleet = fleet.name

    def wrap(self, sock: socket.socket, name: str | None) -> ssl.SSLSocket:
        """TLS on a connected socket; the other side must be called `name`, if that is given."""
        context = self._by_address if name is None else self._by_name
        return context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)

    def knows(self, certificate_der: bytes | None) -> bool:
        """Whether the pod with this certificate stands in the fleet's records."""
        return certificate_der in self._pods


class TcpPort:
    """A port being opened, then open. `on_bytes` gets what arrives.

    `on_gone` is called once, with the reason in one line, when the port could not be opened or is
    no more.
    """

    def __init__(
        self,
        path: str,
        on_bytes: Callable[[bytes], None],
        on_gone: Callable[[str], None],
        trust: Trust,
    ) -> None:
        """Raises LinkError: `path` is not tcp://NAME.local, tcp://ADDRESS or either with :PORT."""
        self.path = path
        self._host, self._number = _split(path)
        self._on_bytes = on_bytes
        self._on_gone = on_gone
        self._trust = trust
        self._unsent = bytearray()
        self._loop = asyncio.get_running_loop()
        self._socket: ssl.SSLSocket | None = None
        self._opening: asyncio.Task[None] | None = self._loop.create_task(self._open())

    @property
    def connected(self) -> bool:
        """True once both sides have let each other in."""
        return self._socket is not None

    @property
    def clear(self) -> bool:
        """True if the port is open and all that was written has left."""
        return self._socket is not None and not self._unsent

    def write(self, data: bytes) -> None:
        """Send now what the port takes, the rest as soon as it takes more; nothing until it is open."""
        if not data or self._socket is None:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._send(data)
        if self._socket is not None and sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._writable)

    def close(self) -> None:
        """Close the port, also one that is still being opened; nothing is called any more."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._socket is not None:
            fd = self._socket.fileno()
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            self._socket.close()
            self._socket = None

    # --- opening -----------------------------------------------------------------------------

    async def _open(self) -> None:
        try:
            link = await self._connect()
        except _Refused as refused:
            reason = str(refused)
        else:
            self._opening = None
            self._socket = link
            self._loop.add_reader(link.fileno(), self._readable)
            return
        self._opening = None
        self._on_gone(reason)

    async def _connect(self) -> ssl.SSLSocket:
        address = await find(self._host)
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        raw.setblocking(False)
        link: ssl.SSLSocket | None = None
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._loop.sock_connect(raw, (address, self._number))
            # A probe that waits for more to come measures the wait
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = self._trust.wrap(raw, None if _is_address(self._host) else self._host)
            async with asyncio.timeout(_HANDSHAKE_S):
                await self._shake_hands(link)
            if not self._trust.knows(link.getpeercert(binary_form=True)):
                raise _Refused(
                    f"the pod there does not stand in the records of fleet {self._trust.fleet!r};"
                    " provision it again"
                )
        except BaseException as error:
            (link or raw).close()
            if isinstance(error, TimeoutError):
                raise _Refused(
                    "the handshake takes too long; is it a pod?"
                    if link is not None
                    else "no answer; is the pod on, and in the same network?"
                ) from None
            if isinstance(error, OSError):
                raise _Refused(_explain(error, self._host, self._number)) from None
            raise
        return link

    async def _shake_hands(self, link: ssl.SSLSocket) -> None:
        while True:
            try:
                link.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self._until(link, self._loop.add_reader, self._loop.remove_reader)
            except ssl.SSLWantWriteError:
                await self._until(link, self._loop.add_writer, self._loop.remove_writer)

    async def _until(
        self,
        link: ssl.SSLSocket,
        watch: Callable[..., None],
        forget: Callable[[int], bool],
    ) -> None:
        ready = asyncio.Event()
        watch(link.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            forget(link.fileno())

    # --- open --------------------------------------------------------------------------------

    def _readable(self) -> None:
        # TLS may hold more than the socket shows: read until it says that nothing is left
        while self._socket is not None:
            try:
                data = self._socket.recv(_READ_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except (ssl.SSLEOFError, ConnectionResetError):
                data = b""
            except OSError as error:
                self._gone(error.strerror or str(error))
                return
            if not data:
                self._gone("the pod hung up; has another host connected, or its Wi-Fi gone?")
                return
            self._on_bytes(data)

    def _writable(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if not self._unsent and self._socket is not None:
            self._loop.remove_writer(self._socket.fileno())

    def _send(self, data: bytes | bytearray) -> int:
        assert self._socket is not None
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            self._gone(error.strerror or str(error))
            return 0

    def _gone(self, reason: str) -> None:
        self.close()
        self._on_gone(reason)


class _Refused(Exception):
    """The port cannot be opened; the text is for people."""


async def find(host: str) -> str:
    """The IPv4 address of a host: as it stands, by mDNS for NAME.local, else by the system."""
    if _is_address(host):
        return host
    if host.endswith(".local"):
        return await _find_by_mdns(host)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, None, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError:
        raise _Refused(f"there is no host {host!r}; check the name") from None
    return str(found[0][4][0])


async def _find_by_mdns(host: str) -> str:
    try:
        from zeroconf import AddressResolverIPv4  # type: ignore[attr-defined]
        from zeroconf.asyncio import AsyncZeroconf
    except ImportError:
        raise _Refused(
            "finding pods by name needs zeroconf: pip install 'dreampods[network]'; or give the address"
        ) from None
    resolver = AddressResolverIPv4(f"{host}.")
    try:
        # Made anew each time: it would remember an address that the pod no longer has
        async with AsyncZeroconf() as responder:
            await resolver.async_request(responder.zeroconf, _FIND_S * 1000)
    except OSError as error:
        raise _Refused(f"mDNS cannot be used here ({error.strerror}); give the address") from None
    addresses = resolver.parsed_addresses()
    if not addresses:
        raise _Refused(
            f"nobody answers to {host} by mDNS; is the pod on, in the Wi-Fi, and in this network?"
        )
    return str(addresses[0])


def _split(path: str) -> tuple[str, int]:
    found = _PATH.fullmatch(path)
    number = int(found[2] or PORT) if found else 0
    if found is None or not 0 < number < 65536:
        raise LinkError(
            f"{path}: give a pod on the network as tcp://pod-3.local or tcp://192.168.1.20"
        )
    return found[1].lower(), number


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.IPv4Address(host)
        return True
    return False


def _explain(error: OSError, host: str, number: int) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NO_ISSUER:
            return "the pod there belongs to another fleet; give its own by --fleet"
        if error.verify_code == _EXPIRED:
            return "the pod's certificate has expired; provision it again"
        if error.verify_code == _NOT_YET_VALID:
            return "the pod's certificate is not valid yet; is this computer's clock right?"
        if error.verify_code == _NAME_MISMATCH:
            return f"the pod that answers is not {host}; two pods may have one name"
        return f"the pod's certificate is not good ({error.verify_message})"
    if isinstance(error, (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError)):
        return "it hung up; perhaps another host is connected to it"
    if isinstance(error, ssl.SSLError):
        for alert, text in _ALERTS.items():
            if alert in (error.reason or ""):
                return text
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {number} there; is it a pod, and has it been provisioned?"
    return f"cannot be reached ({error.strerror or error})"
