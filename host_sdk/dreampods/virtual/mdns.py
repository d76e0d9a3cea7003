"""Answers mDNS for virtual pods, as the network stack of a stock board does: NAME.local, and no more.

MicroPython's unix port has no such stack. A virtual pod leaves `network.json` in its PC folder
while it has joined the Wi-Fi; whoever runs the pods keeps an `MdnsResponder` and calls `answer`
whenever its `fileno` is readable.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from zeroconf import DNSAddress, DNSIncoming, DNSOutgoing  # type: ignore[attr-defined]

_GROUP = "224.0.0.251"
_PORT = 5353
_LOOPBACK = "127.0.0.1"
_LARGEST = 9000
_TTL_S = 120
_TYPE_A = 1
_TYPE_ANY = 255
_CLASS_IN = 1
_UNIQUE = 0x8000
_AUTHORITATIVE_ANSWER = 0x8400


def loopback_address(uid: str) -> str:
    """An address of the PC's own for the pod with this uid, so that all can listen on one port."""
    a, b, c = hashlib.sha256(uid.encode()).digest()[:3]
    return f"127.{16 + a % 224}.{b}.{1 + c % 254}"


class MdnsResponder:
    """Answers for the pods whose PC folders are given, on the PC's loopback only."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Raises OSError: multicast cannot be used here."""
        self._folders = list(folders)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                # Beside another responder of this PC's, which usually asks for this as well
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind(("", _PORT))
            loopback = socket.inet_aton(_LOOPBACK)
            membership = struct.pack("4s4s", socket.inet_aton(_GROUP), loopback)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Answer no more."""
        self._socket.close()

    def answer(self) -> None:
        """Answer what has been asked so far."""
        while True:
            try:
                data, sender = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            query = DNSIncoming(data, sender)
            if not query.valid or not query.is_query():
                continue
            names = self._names()
            reply = DNSOutgoing(_AUTHORITATIVE_ANSWER)
            for question in query.questions:
                address = names.get(question.name.lower())
                if address is not None and question.type in (_TYPE_A, _TYPE_ANY):
                    record = DNSAddress(
                        question.name,
                        _TYPE_A,
                        _CLASS_IN | _UNIQUE,
                        _TTL_S,
                        socket.inet_aton(address),
                    )
                    reply.add_answer_at_time(record, 0)
            if reply.answers:
                for packet in reply.packets():
                    with contextlib.suppress(OSError):
                        self._socket.sendto(packet, (_GROUP, _PORT))

    def _names(self) -> dict[str, str]:
        found = {}
        for folder in self._folders:
            with contextlib.suppress(OSError, ValueError, KeyError):
                joined = json.loads((folder / "network.json").read_text())
                found[f"{joined['hostname']}.local.".lower()] = joined["address"]
        return found
