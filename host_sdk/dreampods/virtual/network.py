"""The Wi-Fi of virtual boards that have one: an access point, their provisioning, and who answers mDNS."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from dreampods.errors import LinkError
from dreampods.image import provision_files

SSID = "dreampods"
_PASSWORD = "of no use elsewhere"


class VirtualNetwork:
    """A network on the PC's loopback for the boards in `folder`, whose fleet's keys lie in `folder`/fleet."""

    def __init__(self, folder: Path) -> None:
        """Raises LinkError, FleetError: what is missing for it."""
        try:
            from dreampods.registry import FleetFolder

            from .mdns import MdnsResponder, loopback_address
        except ImportError:
            raise LinkError(
                "pods on a network need cryptography and zeroconf: pip install 'dreampods[network]'"
            ) from None
        self.fleet = folder / "fleet"
        made = self.fleet.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._keys = (
            FleetFolder.load(self.fleet) if made else FleetFolder.create(self.fleet, "virtual")
        )
        self._address = loopback_address
        self._make_responder = MdnsResponder
        self._responder: MdnsResponder | None = None
        self._homes: list[Path] = []

    def join(self, home: Path, uid: str, name: str) -> dict[str, bytes]:
        """Put a board in reach of the access point; returns the files that make it one of the fleet."""
        self._homes.append(home)
        point = {"ssid": SSID, "password": _PASSWORD, "address": self._address(uid)}
        (home / "wifi.json").write_text(json.dumps(point))
        record = self._keys.enrol(uid, name, name, "virtual")
        about = {
            "uid": uid,
            "name": name,
            "serial": record.serial,
            "hardware": record.hardware,
            "date": datetime.date.today().isoformat(),
            "wifi": {"ssid": SSID, "password": _PASSWORD},
        }
        return provision_files(
            about,
            record.key,
            {
                "certificate.der": record.certificate_der,
                "private.der": record.private_key_der,
                "authority.der": self._keys.ca_der,
            },
        )

    def begin(self) -> None:
        """Answer for the boards that have joined, as a stock board's own network stack does."""
        try:
            self._responder = self._make_responder(self._homes)
        except OSError as error:
            raise LinkError(f"mDNS cannot be used on this computer ({error.strerror})") from None

    def fileno(self) -> int:
        """For `select`."""
        assert self._responder is not None
        return self._responder.fileno()

    def answer(self) -> None:
        """Answer what has been asked so far."""
        if self._responder is not None:
            self._responder.answer()

    def close(self) -> None:
        """Answer no more."""
        if self._responder is not None:
            self._responder.close()
