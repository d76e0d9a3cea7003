"""An I2C bus in simulated time, with the virtual pod's models on it, behind a `machine` module.

The firmware's `bus.py` and its drivers run on it unmodified. Each byte takes its nine bits of time at the
bus's frequency, a transfer on a bus that is held down takes its timeout, and hands on the pins are seen:
a part that holds SDA lets go after nine clocks, as UM10204 says.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from errno import EIO, ETIMEDOUT
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pod_in_time import FIRMWARE, TICKS, Time

SDA, SCL = 4, 5
BUS: dict[str, Any] = {"kind": "i2c", "id": 0, "sda": SDA, "scl": SCL, "freq_hz": 400_000}
LONGEST_STEP_US = 20_000

_DRIVERS = ("max30102", "ads1115", "tmp117", "lsm6dso")
_TIMED = ("bus", "drivers.part", *(f"drivers.{name}" for name in _DRIVERS))
_MODELS = ("models", "models.registers", *(f"models.{name}" for name in _DRIVERS), "tape")


class Wires:
    """SDA and SCL, and the parts on them. `fault` is None, "stuck-sda", "stuck-scl", "nak" or "nak-5th"."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.models: dict[int, Any] = {}
        self.fault: str | None = None
        self.absent: set[int] = set()
        self.clocks = 0  # by hand, with SDA released
        self.clocks_in_a_row = 0  # without a transfer between
        self.stops = 0  # by hand
        self.transfers = 0
        self._hands = {SDA: 1, SCL: 1}

    def level(self, pin: int) -> int:
        held = (self.fault == "stuck-sda" and pin == SDA) or (
            self.fault == "stuck-scl" and pin == SCL
        )
        return 0 if held else self._hands[pin]

    def hand(self, pin: int, value: int) -> None:
        """The processor pulls a wire down or lets it go."""
        before = self.level(pin)
        self._hands[pin] = value
        if before or not self.level(pin):
            return
        if pin == SCL and self._hands[SDA]:
            self.clocks += 1
            self.clocks_in_a_row += 1
            if self.fault == "stuck-sda" and self.clocks_in_a_row >= 9:
                self.fault = None
        elif pin == SDA and self.level(SCL):
            self.stops += 1

    def begin(self, address: int) -> Any:
        """The model that acknowledges its address."""
        self.transfers += 1
        if address in self.absent or address not in self.models:
            raise OSError(EIO)
        model = self.models[address]
        model.start()
        return model

    def put(self, model: Any, byte: int) -> None:
        refused = self.fault == "nak" or (self.fault == "nak-5th" and self.transfers % 5 == 0)
        if refused or not model.write_byte(byte):
            model.stop()
            raise OSError(EIO)


def _pin_class(wires: Wires) -> type:
    class Pin:
        OPEN_DRAIN = 2

        def __init__(self, number: int, mode: int | None = None, value: int | None = None) -> None:
            self.number = number
            if value is not None:
                wires.hand(number, value)

        def __call__(self, value: int | None = None) -> int | None:
            if value is None:
                return wires.level(self.number)
            wires.hand(self.number, value)
            return None

    return Pin


def _i2c_class(wires: Wires, soft: bool) -> type:
    class I2C:
        def __init__(
            self, id: int = -1, *, scl: Any, sda: Any, freq: int, timeout: int = 50_000
        ) -> None:
            assert (scl.number, sda.number) == (SCL, SDA)
            self._byte_us = 9e6 / freq
            self._timeout_us = timeout

        def _spend(self, count: int) -> None:
            wires.time.run(round(count * self._byte_us))

        def _held(self) -> bool:
            """True where the wires are not followed: a bus made of pins does not see a low SDA."""
            wires.clocks_in_a_row = 0
            if wires.fault == "stuck-scl" or (wires.fault == "stuck-sda" and not soft):
                wires.time.run(self._timeout_us)
                raise OSError(ETIMEDOUT)
            return wires.fault == "stuck-sda"

        def readfrom_mem_into(self, address: int, register: int, buf: bytearray) -> None:
            if self._held():
                self._spend(3 + len(buf))
                buf[:] = bytes(len(buf))
                return
            self._spend(1)
            model = wires.begin(address)
            self._spend(1)
            wires.put(model, register)
            model.start()
            self._spend(1)
            for i in range(len(buf)):
                self._spend(1)
                buf[i] = model.read_byte()
            model.stop()

        def writeto_mem(self, address: int, register: int, buf: bytearray) -> None:
            if self._held():
                self._spend(2 + len(buf))
                return
            self._spend(1)
            model = wires.begin(address)
            for byte in (register, *buf):
                self._spend(1)
                wires.put(model, byte)
            model.stop()

    return I2C


class Recorder:
    """A stream that keeps what it is given, by the sample's number."""

    def __init__(self, spec: dict[str, Any]) -> None:
        sizes = {"u24be": 3, "i16be": 2, "i16": 2}
        self.spec = spec
        self.samples: dict[int, tuple[list[float], int]] = {}  # number: (values, ticks)
        self.count = 0
        self.skipped = 0
        self._size = sizes[spec["format"]]

    def push_at(self, source: bytearray, offset: int, ticks: int) -> None:
        spec = self.spec
        values = []
        for channel in range(len(spec["channels"])):
            at = offset + channel * self._size
            raw = int.from_bytes(
                source[at : at + self._size],
                "big" if spec["format"].endswith("be") else "little",
                signed=spec["format"].startswith("i"),
            )
            values.append(raw * spec["scale"] + spec["offset"])
        self.samples[self.count] = values, ticks
        self.count += 1

    def skip(self, count: int) -> None:
        assert count > 0
        self.count += count
        self.skipped += count


class Rig:
    """One driver with its model on a bus, stepped as the main loop would."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tapes: Path,
        spec: dict[str, Any],
        bus: dict[str, Any] = BUS,
        ppb: int = 20_000,
    ) -> None:
        self.time = Time()
        self.wires = Wires(self.time)
        self._install(monkeypatch, tapes, ppb)
        driver = importlib.import_module(f"dreampod.drivers.{spec['driver']}")
        model = importlib.import_module(f"models.{spec['driver']}")
        tape = importlib.import_module("tape")
        self.model = model.Model(spec, tape.Tapes())
        self.wires.models[spec["address"]] = self.model
        self.bus = importlib.import_module("dreampod.bus").open_buses({"i2c0": bus})["i2c0"]
        self.part = driver.Driver(spec, {"i2c0": self.bus})
        self.streams = [Recorder(stream) for stream in self.part.streams]
        self.faults: list[str | None] = []
        self.part.on_change = lambda part: self.faults.append(part.fault)
        self.longest_us = 0
        self._timed(lambda: self.part.begin(self.streams))

    def _install(self, monkeypatch: pytest.MonkeyPatch, tapes: Path, ppb: int) -> None:
        time = self.time
        began_us = time.us
        machine = ModuleType("machine")
        machine.Pin = _pin_class(self.wires)  # type: ignore[attr-defined]
        machine.I2C = _i2c_class(self.wires, soft=False)  # type: ignore[attr-defined]
        machine.SoftI2C = _i2c_class(self.wires, soft=True)  # type: ignore[attr-defined]
        crystal = ModuleType("crystal")
        crystal.PPB = ppb  # type: ignore[attr-defined]
        crystal.EPOCH_US = 0  # type: ignore[attr-defined]
        crystal.counted = lambda: time.us - began_us  # type: ignore[attr-defined]
        crystal.true_us = lambda count: count  # type: ignore[attr-defined]
        crystal.since_epoch_us = lambda: time.us - began_us  # type: ignore[attr-defined]
        pc = ModuleType("pc")
        pc.open = lambda name, mode="r": (tapes / name).open(mode)  # type: ignore[attr-defined]
        for module in (machine, crystal, pc):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        # Behind all others, since some of the virtual board's modules are named like CPython's own
        monkeypatch.setattr(sys, "path", [*sys.path, str(FIRMWARE / "virtual")])
        for name in (*_MODELS, *(f"dreampod.{name}" for name in _TIMED)):
            monkeypatch.delitem(sys.modules, name, raising=False)
        chip_time = SimpleNamespace(sleep_us=time.run)
        for name in _TIMED:
            module = importlib.import_module(f"dreampod.{name}")
            for attribute, value in (("ticks_us", time.ticks_us), ("time", chip_time)):
                if hasattr(module, attribute):
                    monkeypatch.setattr(module, attribute, value)

    def _timed(self, action: Callable[[], None]) -> None:
        before = self.time.us
        action()
        took = self.time.us - before
        self.longest_us = max(self.longest_us, took)
        assert took <= LONGEST_STEP_US, f"one step took {took} us"

    def run(self, seconds: float, turn_us: int = 4000) -> None:
        """Let the main loop go round for so long."""
        end = self.time.us + round(seconds * 1e6)
        while self.time.us < end:
            self._timed(lambda: self.part.step(self.time.ticks_us()))
            self.time.run(turn_us)

    def stall(self, seconds: float) -> None:
        """The loop does not come round for so long."""
        self.time.run(round(seconds * 1e6))

    def us(self, ticks: int) -> int:
        """Simulated time of recent ticks."""
        return self.time.us - (self.time.us - ticks) % TICKS
