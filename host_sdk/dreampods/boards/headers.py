"""The boards' pins as they can be touched: physical number, printed name, GPIO.

Sources: Raspberry Pi "Pico pinout" (the Pico W, Pico 2 and Pico 2 W have the same 40 pins) and
Espressif's user guides of the ESP32-S3-DevKitC-1, header blocks J1 and J3, and of the
ESP32-DevKitC V4, header blocks J2 and J3. Boards are seen from above.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_GPIO = re.compile(r"(?:GP|GPIO)(\d+)$")
_POWER = {"3V3": "3V3", "3V3(OUT)": "3V3", "5V": "5V", "VBUS": "5V", "GND": "GND"}


@dataclass(frozen=True)
class HeaderPin:
    """One pin: `number` as people count it, `row` from the top of its side."""

    number: str
    name: str
    side: str  # left or right
    row: int

    @property
    def gpio(self) -> int | None:
        """Its GPIO; None for power and the like."""
        match = _GPIO.match(self.name)
        return int(match.group(1)) if match else None

    @property
    def power(self) -> str | None:
        """3V3, 5V or GND; None for a signal."""
        return _POWER.get(self.name)


@dataclass(frozen=True)
class Header:
    """Both rows of pins of a board, and the end at which its USB socket is."""

    chips: tuple[str, ...]  # that are sold on such a board
    pins: tuple[HeaderPin, ...]
    rows: int
    usb_on_top: bool

    @cached_property
    def by_gpio(self) -> dict[int, HeaderPin]:
        return {pin.gpio: pin for pin in self.pins if pin.gpio is not None}

    def power_pins(self, power: str) -> list[HeaderPin]:
        """All pins of 3V3, 5V or GND, from the top."""
        return [pin for pin in self.pins if pin.power == power]


def _numbered(names: str, prefix: str, side: str, first: int, step: int) -> list[HeaderPin]:
    return [
        HeaderPin(f"{prefix}{first + step * row}", name, side, row)
        for row, name in enumerate(names.split())
    ]


_PICO_LEFT = (
    "GP0 GP1 GND GP2 GP3 GP4 GP5 GND GP6 GP7 GP8 GP9 GND GP10 GP11 GP12 GP13 GND GP14 GP15"
)
_PICO_RIGHT = (
    "VBUS VSYS GND 3V3_EN 3V3(OUT) ADC_VREF GP28 AGND GP27 GP26"
    " RUN GP22 GND GP21 GP20 GP19 GP18 GND GP17 GP16"
)
_DEVKITC_J1 = (
    "3V3 3V3 RST GPIO4 GPIO5 GPIO6 GPIO7 GPIO15 GPIO16 GPIO17 GPIO18"
    " GPIO8 GPIO3 GPIO46 GPIO9 GPIO10 GPIO11 GPIO12 GPIO13 GPIO14 5V GND"
)
_DEVKITC_J3 = (
    "GND GPIO43 GPIO44 GPIO1 GPIO2 GPIO42 GPIO41 GPIO40 GPIO39 GPIO38 GPIO37"
    " GPIO36 GPIO35 GPIO0 GPIO45 GPIO48 GPIO47 GPIO21 GPIO20 GPIO19 GND GND"
)
_ESP32_DEVKITC_J2 = (
    "3V3 EN GPIO36 GPIO39 GPIO34 GPIO35 GPIO32 GPIO33 GPIO25 GPIO26"
    " GPIO27 GPIO14 GPIO12 GND GPIO13 GPIO9 GPIO10 GPIO11 5V"
)
_ESP32_DEVKITC_J3 = (
    "GND GPIO23 GPIO22 GPIO1 GPIO3 GPIO21 GND GPIO19 GPIO18 GPIO5"
    " GPIO17 GPIO16 GPIO4 GPIO0 GPIO2 GPIO15 GPIO8 GPIO7 GPIO6"
)

HEADERS = {
    "pico": Header(
        ("rp2040", "rp2350", "virtual"),
        # The right row counts from the bottom: 21 beside 20, 40 beside 1
        (*_numbered(_PICO_LEFT, "", "left", 1, 1), *_numbered(_PICO_RIGHT, "", "right", 40, -1)),
        rows=20,
        usb_on_top=True,
    ),
    "devkitc": Header(
        ("esp32s3",),
        (
            *_numbered(_DEVKITC_J1, "J1-", "left", 1, 1),
            *_numbered(_DEVKITC_J3, "J3-", "right", 1, 1),
        ),
        rows=22,
        usb_on_top=False,
    ),
    "esp32-devkitc": Header(
        ("esp32",),
        (
            *_numbered(_ESP32_DEVKITC_J2, "J2-", "left", 1, 1),
            *_numbered(_ESP32_DEVKITC_J3, "J3-", "right", 1, 1),
        ),
        rows=19,
        usb_on_top=False,
    ),
}
