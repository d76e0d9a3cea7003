"""What the chips can do with their pins: the facts that the rules judge a board by.

Sources: RP2040 datasheet sections 1.4.3 (functions of each GPIO), 2.9 (supplies) and 4.9 (ADC);
RP2350 datasheet sections 1.2.3 and 12.4; ESP32-S3 datasheet sections 2.2 and 2.3.3 to 2.3.5 (IO MUX,
strapping pins, pins of the flash), ESP32 datasheet section 2.2; `docs/library/machine.I2S.rst` and
`ports/rp2/machine_i2s.c` of MicroPython.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Rates whose bit clock the I2S of every chip here makes without a remainder. The RP2's divider has
# 8 fractional bits of 125 or 150 MHz; 22.05, 44.1 and 48 kHz come out up to 77 ppm wrong.
EXACT_RATES_HZ = (8000, 16000, 32000)


@dataclass(frozen=True)
class Chip:
    """One chip. `name` stands in board.json, `arch` is what mpy-cross calls it."""

    name: str
    title: str
    arch: str
    pins: frozenset[int]
    adc_pins: frozenset[int]
    volts: float = 3.3
    fixed_functions: bool = (
        True  # each pin has one I2C and one SPI function; else any pin takes any
    )
    spi_ids: tuple[int, ...] = (0, 1)
    ws_follows_sck: bool = True  # the I2S program of the RP2 port drives two neighbouring pins
    least_ring_frames: int = 256
    ring_step_frames: int = 1
    avoid: Mapping[int, str] = field(default_factory=dict)  # the chip's own use of a pin
    input_only: frozenset[int] = frozenset()

    def i2c_function(self, pin: int) -> tuple[int, str] | None:
        """(instance, "sda" or "scl") that `pin` can be, None where any instance and line will do."""
        return (pin // 2 % 2, "scl" if pin % 2 else "sda") if self.fixed_functions else None

    def spi_function(self, pin: int) -> tuple[int, str] | None:
        """(instance, "miso", "cs", "sck" or "mosi") that `pin` can be, None where any will do."""
        lines = ("miso", "cs", "sck", "mosi")
        return (pin // 8 % 2, lines[pin % 4]) if self.fixed_functions else None


RP2040 = Chip(
    "rp2040",
    "RP2040",
    "armv6m",
    pins=frozenset(range(30)),
    adc_pins=frozenset(range(26, 30)),
)
# The package on the Pico 2 is the RP2350A, whose 30 GPIOs have the RP2040's functions
RP2350 = replace(RP2040, name="rp2350", title="RP2350", arch="armv7emsp")
# A process on a PC that answers as an RP2040 would
VIRTUAL = replace(RP2040, name="virtual", title="virtual RP2040", arch="x64")

_ESP32S3_AVOID = {
    **dict.fromkeys((0, 3, 45, 46), "it is read at reset to choose how the chip starts"),
    **dict.fromkeys((19, 20), "it is a line of the USB port"),
    **dict.fromkeys(range(26, 33), "it is a line of the flash"),
    **dict.fromkeys(range(33, 38), "it is a line of the PSRAM on modules with octal memory"),
    **dict.fromkeys((43, 44), "it is the serial port on which the chip reports its start"),
}
ESP32S3 = Chip(
    "esp32s3",
    "ESP32-S3",
    "xtensawin",
    pins=frozenset((*range(22), *range(26, 49))),
    adc_pins=frozenset(range(1, 21)),
    fixed_functions=False,
    spi_ids=(1, 2),  # SPI0 is the flash's own
    ws_follows_sck=False,
    least_ring_frames=512,  # two DMA buffers of 256 frames is the least its driver takes
    ring_step_frames=256,
    avoid=_ESP32S3_AVOID,
)
# For own boards with the older chip, and for its pins without an output
ESP32 = Chip(
    "esp32",
    "ESP32",
    "xtensawin",
    pins=frozenset((*range(20), *range(21, 24), *range(25, 28), *range(32, 40))),
    adc_pins=frozenset(range(32, 40)),  # ADC1 only: Wi-Fi needs ADC2 for itself
    fixed_functions=False,
    spi_ids=(1, 2),  # SPI0 is the flash's own
    ws_follows_sck=False,
    least_ring_frames=512,
    ring_step_frames=256,
    avoid={
        **dict.fromkeys((0, 2, 5, 12, 15), "it is read at reset to choose how the chip starts"),
        **dict.fromkeys(range(6, 12), "it is a line of the flash"),
        **dict.fromkeys((1, 3), "it is the serial port on which the chip reports its start"),
    },
    input_only=frozenset(range(34, 40)),
)

CHIPS = {chip.name: chip for chip in (RP2040, RP2350, VIRTUAL, ESP32S3, ESP32)}
