"""What is plugged in: the ports that may be asked who they are, and how one is found again.

A port that is neither on a USB device known to run MicroPython, nor a virtual board's, nor named by the
person, is never written to: it may be a heart monitor. After a reset a board may come back under another
port; it is found again by where it is plugged in and by its serial number.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from dreampods.errors import FlashError
from dreampods.virtual.registry import running

# (vendor, product): who it is. Only what MicroPython itself announces. ESP32-S3 boards also have
# 303A:1001, the chip's own USB serial unit, which any program may run behind: name such a port.
MICROPYTHON_USB = {
    # ports/rp2/mpconfigport.h: MICROPY_HW_USB_VID, MICROPY_HW_USB_PID
    (0x2E8A, 0x0005): "RP2",
    # ports/esp32/mpconfigport.h: MICROPY_HW_USB_VID, MICROPY_HW_USB_PID
    (0x303A, 0x4001): "ESP32",
}

_LOOK_EVERY_S = 0.1
_GOES_WITHIN_S = 1.5  # until then the old port may still be there, and be taken for the new one
_BACK_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Port:
    """One port. `location` and `serial` stay what they are when the port is numbered anew."""

    path: str
    location: str = ""  # "1-1.4" on USB, "virtual:pod-1"
    serial: str = ""

    @property
    def virtual(self) -> bool:
        """True for a virtual board's."""
        return self.location.startswith("virtual:")


def find_ports() -> list[Port]:
    """The ports that may be spoken to: MicroPython's on USB, and virtual boards'."""
    usb = [
        Port(found.device, _without_interface(found.location), found.serial_number or "")
        for found in list_ports.comports()
        if (found.vid, found.pid) in MICROPYTHON_USB
    ]
    return sorted(usb, key=lambda port: (port.location, port.path)) + _virtual_ports()


def other_ports() -> list[Port]:
    """USB serial ports that are not MicroPython's as far as one can tell without asking."""
    ours = {port.path for port in find_ports()}
    return [
        Port(found.device, _without_interface(found.location), found.serial_number or "")
        for found in list_ports.comports()
        if found.vid is not None and found.device not in ours
    ]


def named_port(name: str) -> Port:
    """The port that a person named: by its path, another path of the same, or its USB socket (`1-1.4`).

    Raises:
        FlashError: it is the name of several.
    """
    real = str(Path(name).resolve()) if "/" in name else name
    ports = [port for port in find_ports() if real and real in (port.path, port.location)]
    if len(ports) > 1:
        paths = ", ".join(port.path for port in ports)
        raise FlashError(f"{name}: there are several, name one by its port: {paths}")
    if ports:
        return ports[0]
    for found in list_ports.comports():
        if real == found.device:
            return Port(real, _without_interface(found.location), found.serial_number or "")
    return Port(real)


def distinct(ports: Iterable[Port]) -> list[Port]:
    """Each once, in their order."""
    return list({port.path: port for port in ports}.values())


def find_again(port: Port, within_s: float) -> Port | None:
    """The same board after a reset, maybe under another port. None: it did not come back."""
    until = time.monotonic() + within_s
    while True:
        for found in _candidates(port):
            if found.location == port.location and found.serial == port.serial:
                return found
        if time.monotonic() > until:
            return None
        time.sleep(_LOOK_EVERY_S)


def find_after_reset(port: Port) -> Port | None:
    """The board once it is back from a reset that has just been asked for."""
    time.sleep(_GOES_WITHIN_S)
    return find_again(port, _BACK_WITHIN_S)


def find_at(location: str, within_s: float) -> Port | None:
    """MicroPython's port on the USB socket `location`, for a board that had none before."""
    until = time.monotonic() + within_s
    while True:
        for found in find_ports():
            if found.location == location:
                return found
        if time.monotonic() > until:
            return None
        time.sleep(_LOOK_EVERY_S)


def _candidates(port: Port) -> list[Port]:
    if not port.location:  # named by hand, on no bus that we know: only its name can tell
        return [port] if Path(port.path).exists() else []
    usb = [
        Port(found.device, _without_interface(found.location), found.serial_number or "")
        for found in list_ports.comports()
    ]
    return usb + _virtual_ports()


def _virtual_ports() -> list[Port]:
    """Virtual boards'. Two programs may both have a pod-1 with the same chip; its folder tells it apart."""
    return [Port(board.port, board.location, board.folder) for board in running()]


def _without_interface(location: str | None) -> str:
    """`1-1.4:1.0` is an interface of the device at `1-1.4`, and its number may change with the firmware."""
    return (location or "").split(":")[0]
