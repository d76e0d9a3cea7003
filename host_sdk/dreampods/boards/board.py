"""A board as plain data: what is soldered to which pin, and how that is told to the pod.

Everything here is frozen and has been checked by `rules.py`. `Board.compiled()` is the `board.json`
that the pod reads at boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .chips import Chip
from .drivers import Driver
from .headers import HEADERS, Header


@dataclass(frozen=True)
class Flash:
    """The filesystem's place in the flash: the flash tool writes images there."""

    base: int
    bytes: int


@dataclass(frozen=True)
class Supply:
    """Where the power comes from, and what the board's own regulator can give to the parts."""

    source: str
    regulator_ma: float


@dataclass(frozen=True)
class Bus:
    """An I2C or SPI bus; `pins` are its shared lines (sda, scl or sck, mosi, miso)."""

    name: str
    kind: str  # i2c, soft_i2c, spi
    id: int
    pins: Mapping[str, int]
    freq_hz: int

    def compiled(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, **self.pins, "freq_hz": self.freq_hz}


@dataclass(frozen=True)
class Part:
    """One part: its driver, where it hangs, and its settings as the driver on the pod takes them."""

    name: str
    driver: Driver
    bus: str | None = None
    address: int | None = None
    i2s: int | None = None
    pins: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    onboard: bool = (
        False  # already wired on the board itself: needs no wires, may use reserved pins
    )

    def compiled(self) -> dict[str, Any]:
        found: dict[str, Any] = {"driver": self.driver.name}
        for key in ("bus", "address", "i2s"):
            if getattr(self, key) is not None:
                found[key] = getattr(self, key)
        if self.pins:
            found["pins"] = dict(self.pins)
        return found | dict(self.settings)


@dataclass(frozen=True)
class Limits:
    """The loudest sound in dBA: what full scale would give, the ceiling (LAeq), and the peak."""

    full_scale_dba: float
    ceiling_dba: float
    hard_dba: float


@dataclass(frozen=True)
class Board:
    """One kind of board with its parts."""

    name: str
    title: str
    chip: Chip
    header: str
    link: str  # usb or tcp
    flash: Flash
    supply: Supply
    reserved: Mapping[int, str]  # pins the board itself needs, and what for
    buses: Mapping[str, Bus]
    parts: tuple[Part, ...]
    sound: Part
    limits: Limits

    @property
    def pin_map(self) -> Header:
        """The pins of its headers."""
        return HEADERS[self.header]

    def current_ma(self, supply: str) -> float:
        """What all parts fed by `supply` (3V3 or 5V) take together, as the firmware runs them."""
        return sum(
            part.driver.current_ma * (part.settings["count"] if part.driver.per_count else 1)
            for part in self.all_parts
            if part.driver.supply == supply
        )

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """The parts, and the amplifier as the last of them."""
        return (*self.parts, self.sound)

    def compiled(self) -> dict[str, Any]:
        """What the pod reads as `board.json`."""
        return {
            "name": self.name,
            "chip": self.chip.name,
            "link": self.link,
            "buses": {name: bus.compiled() for name, bus in self.buses.items()},
            "parts": [{"name": part.name, **part.compiled()} for part in self.parts],
            "sound": self.sound.compiled(),
            "limits": {
                "full_scale_dba": self.limits.full_scale_dba,
                "ceiling_dba": self.limits.ceiling_dba,
                "hard_dba": self.limits.hard_dba,
            },
        }
