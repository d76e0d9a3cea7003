"""A board for drivers: time that stands until it is turned, pins, buses at the level of bytes.

What its parts answer are the files of `firmware/virtual/models`, so that tests and virtual pods agree. The
fixtures `bench` and `soft_bench` are one each.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import struct
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from dreampod import clock
from pod_in_time import FIRMWARE

TICKS = 1 << 30
TURN_US = 4000  # of the main loop
LONGEST_STEP_US = 20_000

DRIVERS = (
    "pace", "part", "ads1299", "analog", "drv2605l", "flash_guard", "ws2812", "button", "supply", "inmp441",
)  # fmt: skip

EEG = {
    "name": "eeg",
    "driver": "ads1299",
    "bus": "spi0",
    "pins": {"cs": 17, "drdy": 20},
    "rate_hz": 250,
    "block": 10,
    "channels": ["eeg-1", "eeg-2", "eeg-3", "eeg-4"],
}
PULSE = {
    "name": "pulse",
    "driver": "analog",
    "pins": {"adc": 26},
    "rate_hz": 50,
    "block": 5,
    "scale": 2.0,
}
HAPTICS = {
    "name": "haptics",
    "driver": "drv2605l",
    "bus": "i2c0",
    "address": 90,
    "pins": {"enable": 21},
}
LIGHT = {"name": "light", "driver": "ws2812", "pins": {"data": 22}, "count": 8}
STOP = {"name": "stop", "driver": "button", "pins": {"button": 15}, "event": "stop"}
MICROPHONE = {
    "name": "microphone",
    "driver": "inmp441",
    "i2s": 1,
    "pins": {"sck": 6, "ws": 7, "sd": 8},
}
SUPPLY = {"name": "supply", "driver": "supply", "pins": {"adc": 29}, "divider": 3.0}
BUSES = {
    "i2c0": {"kind": "i2c", "id": 0, "sda": 4, "scl": 5, "freq_hz": 400_000},
    "spi0": {"kind": "spi", "id": 0, "sck": 18, "mosi": 19, "miso": 16, "freq_hz": 4_000_000},
}


class Outlet:
    """Stands where the pod has a Stream: keeps samples by their numbers."""

    def __init__(self, sample_bytes: int) -> None:
        self._bytes = sample_bytes
        self.counter = 0
        self.samples: dict[int, bytes] = {}
        self.ticks: dict[int, int] = {}

    def push_at(self, source: bytearray, offset: int, ticks: int) -> None:
        self.samples[self.counter] = bytes(source[offset : offset + self._bytes])
        self.ticks[self.counter] = ticks
        self.counter += 1

    def skip(self, count: int) -> None:
        self.counter += count


class Bench:
    """The board, and MicroPython's modules as they are on it."""

    folder: Any = None  # of the PC

    def __init__(self, patch: pytest.MonkeyPatch, *, hard_interrupts: bool = True) -> None:
        self.us = TICKS - 700_000  # every test sees the ticks wrap
        self.patch = patch
        self.hard_interrupts = hard_interrupts
        self.sources: list[Any] = []
        self.parts: list[Any] = []
        self.adc: Callable[[], int] = lambda: 32768
        self.lights: list[tuple[int, bytes]] = []  # when, and what the strip got
        self.i2c: dict[int, Any] = {}
        self.absent: set[int] = set()
        self.spi: Any = None
        self.i2s: list[Receiver] = []
        self.longest_step_us = 0
        self.faults: list[str | None] = []
        self._install()

    # --- MicroPython's modules ---------------------------------------------------------------

    def _install(self) -> None:
        modules = sys.modules
        for name in list(modules):
            if name.startswith(("dreampod.drivers", "dreampod.bus", "models")):
                self.patch.delitem(modules, name)
        micropython = ModuleType("micropython")
        micropython.schedule = lambda handler, argument: handler(argument)  # type: ignore[attr-defined]
        crystal = SimpleNamespace(
            NEVER=1 << 60,
            PPB=20_000,
            counted=lambda: self.us,
            true_us=lambda count: count,
            attach=self.sources.append,
        )
        models = ModuleType("models")
        models.__path__ = [str(FIRMWARE / "virtual" / "models")]
        self.patch.setitem(modules, "crystal", crystal)
        self.patch.setitem(modules, "models", models)
        self.patch.setitem(modules, "micropython", micropython)
        self.pins = self._load("pins", "virtual/pins.py")
        self.patch.delitem(modules, "micropython")  # or the drivers would look for native code
        if not self.hard_interrupts:
            hard = self.pins.Pin.irq
            self.pins.Pin.irq = lambda pin, handler=None, trigger=12: hard(pin, handler, trigger)
        computer = SimpleNamespace(open=lambda name, mode: (self.folder / name).open(mode))
        self.patch.setitem(modules, "pc", computer)
        machine = SimpleNamespace(
            Pin=self.pins.Pin,
            SPI=lambda *_a, **_k: self,
            I2C=lambda *_a, **_k: self,
            ADC=lambda _pin: SimpleNamespace(read_u16=lambda: self.adc()),
            Timer=lambda number: Timer(self, number),
            I2S=Receiver,
            bitstream=self._bitstream,
        )
        machine.Timer.PERIODIC = 1  # type: ignore[attr-defined]
        Receiver.bench = self
        self.patch.setitem(modules, "machine", machine)
        self.patch.setattr(clock, "ticks_us", self.ticks)
        time = SimpleNamespace(sleep_us=self.spend, sleep_ms=lambda ms: self.spend(ms * 1000))
        self.drivers = {
            name: importlib.import_module(f"dreampod.drivers.{name}") for name in DRIVERS
        }
        self.bus = importlib.import_module("dreampod.bus")
        for module in (*self.drivers.values(), self.bus):
            if hasattr(module, "time"):
                self.patch.setattr(module, "time", time)

    def _load(self, name: str, path: str) -> Any:
        spec = importlib.util.spec_from_file_location(name, FIRMWARE / path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        self.patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    def ticks(self) -> int:
        return self.us % TICKS

    def _bitstream(self, _pin: object, _encoding: int, _timing: object, bits: bytearray) -> None:
        self.lights.append((self.us, bytes(bits)))

    # --- machine.SPI and machine.I2C ---------------------------------------------------------

    def write(self, buf: bytearray) -> None:
        self.spi.clock_in(buf)

    def readinto(self, buf: bytearray) -> None:
        self.spi.clock_out(buf)

    def write_readinto(self, out: bytearray, into: bytearray) -> None:
        self.spi.clock_in(bytes(out))
        self.spi.clock_out(into)

    def _address(self, address: int) -> Any:
        self.spend(75)
        part = self.i2c.get(address)
        if part is None or address in self.absent:
            raise OSError(5)
        part.start()
        return part

    def readfrom_mem_into(self, address: int, register: int, buf: bytearray) -> None:
        part = self._address(address)
        if not part.write_byte(register):
            raise OSError(5)
        part.start()
        for i in range(len(buf)):
            buf[i] = part.read_byte()
        part.stop()

    def writeto_mem(self, address: int, register: int, buf: bytearray) -> None:
        part = self._address(address)
        for byte in (register, *buf):
            if not part.write_byte(byte):
                raise OSError(5)
        part.stop()

    # --- time --------------------------------------------------------------------------------

    def spend(self, us: int) -> None:
        """Time passes, and interrupts come."""
        end = self.us + us
        while True:
            due = min(self.sources, key=lambda source: source.due, default=None)
            if due is None or due.due > end:
                break
            self.us = max(self.us, due.due)
            due.fire()
        self.us = max(self.us, end)

    def run(self, us: int) -> None:
        """The main loop, turn for turn."""
        end = self.us + us
        while self.us < end:
            self.spend(TURN_US)
            for part in self.parts:
                began = self.us
                part.step(began % TICKS)
                self.longest_step_us = max(self.longest_step_us, self.us - began)

    def fit(self, spec: dict[str, Any], model: bool = False) -> tuple[Any, Any, list[Outlet]]:
        """A part on the board: its driver, its model if it has one, and its streams."""
        chip = None
        if model:
            tapes = SimpleNamespace(open=lambda *_: Ramp(), card=lambda _: {"channels": 4})
            chip = importlib.import_module("models." + spec["driver"]).Model(spec, tapes)
            if "address" in spec:
                self.i2c[spec["address"]] = chip
            else:
                self.spi = chip
        part = self.drivers[spec["driver"]].Driver(spec, self.bus.open_buses(BUSES))
        part.on_change = lambda changed: self.faults.append(changed.fault)
        widths = {"i24be": 3, "u16": 2}
        outlets = [
            Outlet(widths[stream["format"]] * len(stream["channels"])) for stream in part.streams
        ]
        part.begin(outlets)
        self.parts.append(part)
        return part, chip, outlets


class Ramp:
    """A recording in which each frame of four channels tells its number."""

    def __init__(self) -> None:
        self.held = bytearray(16)
        self.at = 0
        self._number = 0

    def next(self) -> None:
        struct.pack_into(
            "<4i", self.held, 0, *(self._number * 10 + channel for channel in range(4))
        )
        self._number += 1


class Timer:
    """machine.Timer."""

    PERIODIC = 1

    def __init__(self, bench: Bench, number: int) -> None:
        if number < 0 and not bench.hard_interrupts:
            raise ValueError("invalid Timer number")
        self._bench = bench
        self.due = 1 << 60
        self.works = True
        bench.sources.append(self)

    def init(
        self, freq: int, mode: int, callback: Callable[[Any], None], hard: bool = False
    ) -> None:
        if hard and not self._bench.hard_interrupts:
            raise ValueError("hard Timers are not implemented")
        self._period_us = 1_000_000 // freq
        self._callback = callback
        self.works = True
        self.due = self._bench.us + self._period_us

    def fire(self) -> None:
        self.due += self._period_us
        if self.works:
            self._callback(self)

    def deinit(self) -> None:
        self.due = 1 << 60


class Receiver:
    """machine.I2S as a receiver at 16 kHz: `hears` gives sample n, 24 bits signed."""

    RX = 0
    MONO = 0
    bench: Bench

    def __init__(self, _number: int, *, rate: int, ibuf: int, **_: object) -> None:
        self._rate = rate
        self._ring_frames = ibuf // 8
        self.hears: Callable[[int], int] = lambda _n: 0
        self.works = True
        self.late_us = 0
        self._sample = 0
        self._callback: Callable[[Any], None] = lambda _i2s: None
        self.due = 1 << 60
        self.bench.i2s.append(self)
        self.bench.sources.append(self)
        self.began_us = self.bench.us

    def irq(self, handler: Callable[[Any], None]) -> None:
        self._callback = handler

    def readinto(self, buf: bytearray) -> None:
        self._buffer = buf
        self._expect()

    def _expect(self) -> None:
        last = self._sample + len(self._buffer) // 4
        self.due = max(self.bench.us, self.began_us + last * 1_000_000 // self._rate)
        if self.late_us:
            self.due += self.late_us
            self.late_us = 0

    def fire(self) -> None:
        come = (self.bench.us - self.began_us) * self._rate // 1_000_000
        self._sample = max(self._sample, come - self._ring_frames - len(self._buffer) // 4)
        self.due = 1 << 60
        for i in range(len(self._buffer) // 4):
            struct.pack_into("<i", self._buffer, 4 * i, self.hears(self._sample + i) << 8)
        self._sample += len(self._buffer) // 4
        if self.works:
            self._callback(self)

    def deinit(self) -> None:
        self.works = False
        self.due = 1 << 60


@functools.cache
def functions(driver: str) -> Any:
    """A driver's module, for what needs no board."""
    with pytest.MonkeyPatch.context() as patch:
        return Bench(patch).drivers[driver]
