"""Drivers beside those of the I2C sensors, each against the virtual board's own model, in simulated time.

`Bench` is a board: time that stands until it is turned, pins, buses at the level of bytes. What its parts
answer are the files of `firmware/virtual/models`, so that these tests and the virtual pods agree.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import math
import struct
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, clock
from hypothesis import given, settings
from hypothesis import strategies as st
from pod_in_time import FIRMWARE
from test_micropython import run

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


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Bench]:
    board = Bench(monkeypatch)
    board.folder = tmp_path
    yield board
    assert board.longest_step_us <= LONGEST_STEP_US


@pytest.fixture
def soft_bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A board like the ESP32."""
    return Bench(monkeypatch, hard_interrupts=False)


@functools.cache
def functions(driver: str) -> Any:
    """A driver's module, for what needs no board."""
    with pytest.MonkeyPatch.context() as patch:
        return Bench(patch).drivers[driver]


# --- EEG -------------------------------------------------------------------------------------


def frames(outlet: Outlet) -> dict[int, int]:
    """The recording's frame that each sample's first channel shows."""
    return {n: int.from_bytes(data[:3], "big") // 10 for n, data in outlet.samples.items()}


def test_an_eeg_delivers_its_samples_in_order_once_its_reference_has_settled(bench: Bench) -> None:
    part, _, (outlet,) = bench.fit(EEG, model=True)
    bench.run(2_000_000)
    assert part.fault is None
    shown = frames(outlet)
    assert min(shown) == 0.15 * 250 // 1
    assert all(frame == number for number, frame in shown.items())
    assert len(shown) == pytest.approx(2 * 250 - 37, abs=6)
    assert [int.from_bytes(outlet.samples[50][i : i + 3], "big") for i in range(0, 12, 3)] == [
        500, 501, 502, 503,
    ]  # fmt: skip


def test_a_stream_of_fewer_channels_leaves_the_others_off(bench: Bench) -> None:
    part, chip, (outlet,) = bench.fit(EEG | {"channels": ["left", "right"]}, model=True)
    bench.run(1_000_000)
    assert part.streams[0]["channels"] == ["left", "right"]
    assert len(outlet.samples[60]) == 6
    assert [chip._registers[0x05 + i] & 0x80 for i in range(4)] == [0, 0, 0x80, 0x80]


def test_another_chip_in_its_place_is_told_with_all_wires_and_its_return_is_seen(
    bench: Bench,
) -> None:
    part, chip, (outlet,) = bench.fit(EEG, model=True)
    bench.run(500_000)
    chip.fault = "wrong-identity"
    part.end()
    bench.run(2_000_000)
    assert "0x92" in part.fault
    for pin in ("pin 18", "pin 19", "pin 16", "pin 17"):
        assert pin in part.fault
    chip.fault = None
    bench.run(10_000_000)
    assert part.fault is None
    assert max(outlet.samples) > 11 * 250


def test_an_eeg_that_falls_silent_is_a_fault_within_a_tenth_of_a_second(bench: Bench) -> None:
    part, chip, (outlet,) = bench.fit(EEG, model=True)
    began = bench.us
    bench.run(1_000_000)
    assert part.fault is None
    chip.fault = "silent"
    bench.run(100_000)
    assert "no data-ready" in part.fault
    assert "DRDY (pin 20)" in part.fault
    bench.run(5_000_000)
    assert part.fault
    chip.fault = None
    bench.run(10_000_000)
    assert part.fault is None
    assert bench.faults.count(None) == 2  # at the beginning and at the end: it did not flap
    # The numbers of what was lost are used up by the clock
    assert outlet.counter == pytest.approx((bench.us - began) * 250 / 1e6, abs=10)
    assert outlet.counter - len(outlet.samples) > 5 * 250


def test_data_ready_pulses_that_nobody_saw_use_up_their_numbers(bench: Bench) -> None:
    part, chip, (outlet,) = bench.fit(EEG, model=True)
    bench.run(1_000_000)
    chip.fault = "overflow"
    bench.run(2_000_000)
    chip.fault = None
    bench.run(1_000_000)
    assert part.fault is None
    assert part.lost == pytest.approx(100, abs=2)
    shown = frames(outlet)
    assert all(frame == number for number, frame in shown.items())  # none was shifted
    assert f"{part.lost} lost" in part.test()


def test_a_data_line_that_broke_is_seen_by_the_frames_head(bench: Bench) -> None:
    part, chip, (outlet,) = bench.fit(EEG, model=True)
    bench.run(1_000_000)
    chip.fault = "dout"
    before = len(outlet.samples)
    bench.run(60_000)
    assert any(fault and "DOUT" in fault and "MISO (pin 16)" in fault for fault in bench.faults)
    assert part.fault
    assert len(outlet.samples) - before <= 1  # what came over a broken wire is no data
    chip.fault = None
    bench.run(10_000_000)
    assert part.fault is None


def test_a_chip_on_another_clock_fails_its_test(bench: Bench) -> None:
    part, chip, _ = bench.fit(EEG, model=True)
    bench.run(5_000_000)
    assert float(part.test().split()[0]) == pytest.approx(250, abs=0.5)
    chip._oscillator_ppb = -100_000_000
    bench.run(9_000_000)
    with pytest.raises(OSError, match=r"CLKSEL.*pin 20"):
        part.test()


def test_an_electrode_that_does_not_touch_is_named(bench: Bench) -> None:
    part, chip, _ = bench.fit(EEG, model=True)
    chip._frame[1] = 0b0100_0000
    bench.run(1_000_000)
    assert part.leads_off() == ["eeg-3"]
    assert "not touching: eeg-3" in part.test()


def test_an_eeg_works_on_a_chip_with_soft_interrupts_only(soft_bench: Bench) -> None:
    part, _, (outlet,) = soft_bench.fit(EEG, model=True)
    soft_bench.run(1_000_000)
    assert part.fault is None
    assert len(outlet.samples) > 200


def test_a_rate_the_chip_does_not_have_is_a_fault_that_names_those_it_has(bench: Bench) -> None:
    part, _, _ = bench.fit(EEG | {"rate_hz": 300}, model=True)
    assert "[250, 500, 1000]" in part.fault


@given(
    ppm=st.integers(-20_000, 20_000),
    seen=st.lists(st.booleans(), min_size=50, max_size=400),
    jitter=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_the_pace_counts_what_was_missed_whatever_the_chips_clock(
    ppm: int, seen: list[bool], jitter: Any
) -> None:
    pace = functions("pace").Pace(250)
    period_us = 4000 * (1 + ppm / 1e6)
    counted = 0
    first = last = None
    run = 0
    for number, come in enumerate(seen):
        run = 0 if come else run + 1
        if run > 3:  # after more than that in a row, the clocks' difference would count
            come, run = True, 0
        if not come:
            continue
        missed = pace.missed(int(number * period_us + jitter.randint(0, 600)) % TICKS)
        if first is None:
            first = number
        else:
            counted += missed + 1
        last = number
    if first is not None and last is not None:
        assert counted == last - first


# --- a sensor on the chip's own ADC ----------------------------------------------------------


def test_an_analog_sensor_gives_its_values_at_its_rate(bench: Bench) -> None:
    values = itertools.count(1000)
    bench.adc = lambda: next(values)
    part, _, (outlet,) = bench.fit(PULSE)
    bench.run(2_000_000)
    assert part.fault is None
    assert [int.from_bytes(outlet.samples[n], "little") for n in range(3)] == [1000, 1001, 1002]
    assert outlet.counter == pytest.approx(100, abs=2)
    assert 65535 * part.streams[0]["scale"] == pytest.approx(2 * 3.3)


def test_a_sensor_at_the_end_of_its_scale_fails_its_test_and_names_the_pin(bench: Bench) -> None:
    part, _, _ = bench.fit(PULSE)
    assert part.test() == "1.650 V"
    bench.adc = lambda: 12
    with pytest.raises(OSError, match=r"pulse.*supply.*pin 26"):
        part.test()


def test_a_timer_that_stopped_is_started_anew(bench: Bench) -> None:
    part, _, (outlet,) = bench.fit(PULSE)
    bench.run(1_000_000)
    part._timer.works = False
    bench.run(3_000_000)
    assert part.fault is None
    assert any("timer" in fault for fault in bench.faults if fault)
    assert outlet.counter == pytest.approx(4 * 50, abs=4)
    assert len(outlet.samples) < outlet.counter


def test_analog_sensors_share_the_timers_of_a_chip_that_has_few(soft_bench: Bench) -> None:
    numbers: list[int] = []
    open_timer = sys.modules["machine"].Timer

    def note(number: int) -> Any:
        timer = open_timer(number)
        numbers.append(number)
        return timer

    soft_bench.patch.setattr(soft_bench.drivers["analog"], "Timer", note)
    note.PERIODIC = 1  # type: ignore[attr-defined]
    for name in ("pulse", "breath"):
        part, _, _ = soft_bench.fit(PULSE | {"name": name})
        assert part.fault is None
    assert numbers == [0, 1]


# --- touch -----------------------------------------------------------------------------------


def test_an_effect_plays_at_once_and_another_takes_its_place(bench: Bench) -> None:
    part, chip, _ = bench.fit(HAPTICS, model=True)
    assert part.fault is None
    began = bench.us
    assert part.play(47)
    assert bench.us - began < 1000
    assert part.play(1)
    assert part.play(1)
    assert [effect for _, effect, _ in chip.played] == [47, 1, 1]
    assert part.stop()
    assert not chip._values[0x0C]
    assert not part.play(0)
    assert not part.play(124)
    assert len(chip.played) == 3


def test_no_effect_is_stronger_than_the_motor_bears(bench: Bench) -> None:
    _, chip, _ = bench.fit(HAPTICS | {"rated_volts": 1.2, "peak_volts": 1.5}, model=True)
    assert chip._values[0x16] * 20.58e-3 <= 1.2
    assert chip._values[0x17] * 21.22e-3 <= 1.5


def test_the_registers_are_those_of_the_makers_own_example(bench: Bench) -> None:
    # e2e.ti.com 342477: 2 V rms at 175 Hz is 0x53; half a period is 2.86 ms
    rated, clamp, drive_time = bench.drivers["drv2605l"].lra_registers(2.0, 2.7, 175)
    assert (rated, drive_time) == (0x53, 24)
    assert clamp * 21.22e-3 == pytest.approx(2.7, abs=0.022)


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.floats(100, 300))
def test_voltages_are_rounded_down_and_fit_their_registers(
    rated: float, peak: float, resonance: float
) -> None:
    module = functions("drv2605l")
    sampling = math.sqrt(1 - 1500e-6 * resonance)
    for registers, unit in (
        (module.lra_registers(rated, peak, resonance), 20.58e-3 / sampling),
        (module.erm_registers(rated, peak), 21.18e-3),
    ):
        assert all(0 <= value <= 255 for value in registers)
        assert registers[0] * unit <= rated + 1e-9


def test_a_motor_driver_that_is_not_there_names_its_wires_and_comes_back(bench: Bench) -> None:
    part, chip, _ = bench.fit(HAPTICS, model=True)
    bench.absent.add(90)
    bench.run(4_000_000)
    assert "0x5a" in part.fault
    assert "SDA (pin 4)" in part.fault
    assert not part.play(1)
    bench.absent.clear()
    bench.run(10_000_000)
    assert part.fault is None
    assert part.play(3)
    assert chip.played[-1][1] == 3


def test_the_elder_brother_of_the_chip_is_refused(bench: Bench) -> None:
    part, chip, _ = bench.fit(HAPTICS, model=True)
    chip.fault = "wrong-identity"
    bench.run(3_000_000)
    assert "0x60" in part.fault
    chip.fault = None
    bench.run(10_000_000)
    assert part.fault is None


@pytest.mark.parametrize("fault", ["over-current", "over-temperature"])
def test_what_the_chip_protects_itself_from_is_told(bench: Bench, fault: str) -> None:
    part, chip, _ = bench.fit(HAPTICS, model=True)
    bench.run(2_000_000)
    chip.fault = fault
    bench.run(3_000_000)
    assert any(told and fault in told and "OUT+" in told for told in bench.faults)
    chip.fault = None
    bench.run(10_000_000)
    assert part.fault is None


def test_the_self_test_feels_for_the_motor(bench: Bench) -> None:
    part, chip, _ = bench.fit(HAPTICS, model=True)
    assert part.test() == "motor answers, 5.0 V"
    chip.fault = "no-motor"
    with pytest.raises(OSError, match=r"finds no motor.*OUT\+"):
        part.test()
    chip.fault = None
    assert part.play(5)  # it is back in its own mode


def test_a_pod_that_ends_switches_the_motor_off(bench: Bench) -> None:
    part, chip, _ = bench.fit(HAPTICS, model=True)
    part.play(1)
    part.end()
    assert not chip._values[0x0C]
    assert bench.pins.level(21) == 0


# --- light -----------------------------------------------------------------------------------


def colours(bench: Bench) -> list[tuple[int, int, int, int]]:
    """When the strip changed, and to which red, green and blue."""
    return [(us, bits[1], bits[0], bits[2]) for us, bits in bench.lights]


def most_flashes(times: list[int], values: list[float], threshold: float) -> int:
    """Brute force: in each second that begins with a change, count anew by the rule's own words."""
    most = 0
    for first in range(len(times)):
        low = high = values[first]
        direction = changes = 0
        for us, value in zip(times[first:], values[first:], strict=True):
            if us - times[first] > 1_000_000:
                break
            low, high = min(low, value), max(high, value)
            if direction <= 0 and value - low >= threshold:
                direction, changes, low, high = 1, changes + 1, value, value
            elif direction >= 0 and high - value >= threshold:
                direction, changes, low, high = -1, changes + 1, value, value
        most = max(most, changes)
    return (most + 1) // 2  # rounded up: a pair that has half begun counts


REQUEST = st.tuples(
    st.sampled_from([0, 20_000, 40_000, 100_000, 170_000, 250_000, 1_000_000]),
    st.sampled_from(
        [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255), (90, 0, 0), (60, 60, 60)]
    )
    | st.tuples(*[st.integers(0, 255)] * 3),
    st.sampled_from([0, 10, 50, 200, 1000]),
)


# Two colours in turn, as whoever wanted to flash would ask for
STROBE = st.builds(
    lambda one, other, times: [one, other] * times, REQUEST, REQUEST, st.integers(1, 20)
)


@given(st.lists(STROBE, max_size=4).map(lambda strobes: list(itertools.chain(*strobes))))
@settings(max_examples=120, deadline=None)
def test_no_requests_make_more_than_three_flashes_in_any_second(
    requests: list[tuple[int, tuple[int, int, int], int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(patch)
        part, _, _ = bench.fit(LIGHT)
        for pause_us, colour, fade_ms in requests:
            part.set(*colour, fade_ms)
            bench.run(pause_us)
        bench.run(2_000_000)
        shown = colours(bench)
        times = [us for us, *_ in shown]
        light = [0.2126 * r + 0.7152 * g + 0.0722 * b for _, r, g, b in shown]
        redness = [max(0, r - g - b) for _, r, g, b in shown]
        most = 64
        assert all(max(colour) <= most for _, *colour in shown)
        assert most_flashes(times, light, 0.1013 * most) <= 3  # coefficients are rounded to 1/256
        assert most_flashes(times, [float(r) for r in redness], most * 20 / 320) <= 3
        if requests:  # and what was asked for last is reached
            assert list(shown[-1][1:]) == [value * most // 255 for value in requests[-1][1]]


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0)])
def test_a_strobe_is_held_and_counted_and_a_slow_beat_is_not(
    bench: Bench, colour: tuple[int, int, int]
) -> None:
    part, _, _ = bench.fit(LIGHT)
    for _ in range(4):  # 2 Hz
        for one in (colour, (0, 0, 0)):
            part.set(*one, 0)
            bench.run(252_000)
    assert part.held == 0
    bench.run(2_000_000)
    before = len(bench.lights)
    for _ in range(10):  # 10 Hz for a second
        for one in (colour, (0, 0, 0)):
            part.set(*one, 0)
            bench.run(52_000)
    assert part.held > 0
    assert len(bench.lights) - before <= 6
    assert f"{part.held} requests held" in part.test()


def test_the_guard_still_knows_after_a_night_of_rest(bench: Bench) -> None:
    part, _, _ = bench.fit(LIGHT)
    for value in (255, 0, 255, 0, 255):
        part.set(value, value, value, 0)
        bench.run(40_000)
    for _ in range(int(700e6 // 1e6)):  # past half the ticks' range
        bench.us += 1_000_000
        part.step(bench.ticks())
    part.set(0, 0, 0, 0)
    bench.run(100_000)
    assert colours(bench)[-1][1:] == (0, 0, 0)
    assert part.held == 0


def test_a_fade_takes_its_time_and_arrives(bench: Bench) -> None:
    part, _, _ = bench.fit(LIGHT | {"brightness": 100})
    part.set(255, 128, 0, 1000)
    began = bench.us
    bench.run(500_000)
    _, red, green, blue = colours(bench)[-1]
    assert red == pytest.approx(50, abs=3)
    assert green == pytest.approx(25, abs=2)
    assert blue == 0
    bench.run(600_000)
    assert colours(bench)[-1][1:] == (100, 50, 0)
    assert bench.lights[-1][0] - began == pytest.approx(1_000_000, abs=30_000)
    assert len(bench.lights[-1][1]) == 3 * 8
    count = len(bench.lights)
    bench.run(2_000_000)
    assert len(bench.lights) == count  # a light at rest needs no interrupts switched off
    part.end()
    assert colours(bench)[-1][1:] == (0, 0, 0)


# --- buttons ---------------------------------------------------------------------------------


def press(bench: Bench, down_us: int, bounces: int = 4) -> None:
    """Down for a while, with a contact that bounces for some milliseconds."""
    for level in (0, 1):
        for _ in range(bounces):
            bench.pins.drive(15, level)
            bench.run(0)
            bench.us += 700
            bench.pins.drive(15, 1 - level)
            bench.us += 300
        bench.pins.drive(15, level)
        bench.run(down_us)


def test_a_bouncing_press_counts_once_and_early(bench: Bench) -> None:
    part, _, _ = bench.fit(STOP)
    told: list[int] = []
    part.on_press = lambda: told.append(bench.us)
    bench.run(100_000)
    began = bench.us
    press(bench, 150_000)
    assert len(told) == 1
    assert told[0] - began < 40_000  # while it is still down
    for _ in range(3):
        press(bench, 60_000)
    assert len(told) == 4
    assert part.test() == "up, pressed 4 times so far"


def test_a_spark_is_no_press(bench: Bench) -> None:
    part, _, _ = bench.fit(STOP)
    part.on_press = lambda: pytest.fail("nobody pressed")
    bench.run(100_000)
    for _ in range(20):
        bench.pins.drive(15, 0)
        bench.us += 5000
        bench.pins.drive(15, 1)
        bench.run(50_000)


def test_a_press_while_the_loop_waits_is_acted_on_at_once_and_told_later(bench: Bench) -> None:
    part, _, _ = bench.fit(STOP)
    acted: list[int] = []
    told: list[int] = []
    part.at_once = lambda: acted.append(bench.us)
    part.on_press = lambda: told.append(bench.us)
    bench.run(100_000)
    bench.pins.drive(15, 0)
    bench.us += 80_000
    bench.pins.drive(15, 1)
    assert len(acted) == 1
    assert not told
    bench.run(50_000)
    assert len(acted) == len(told) == 1


def test_a_button_pressed_at_power_on_does_nothing_until_it_is_let_go(bench: Bench) -> None:
    bench.pins.drive(15, 0)
    part, _, _ = bench.fit(STOP)
    told: list[int] = []
    part.on_press = lambda: told.append(bench.us)
    bench.run(500_000)
    assert not told
    with pytest.raises(OSError, match="pin \\(15\\)"):
        part.test()
    bench.pins.drive(15, 1)
    bench.run(100_000)
    press(bench, 100_000)
    assert len(told) == 1


def test_a_stuck_button_is_a_fault_until_it_is_free(bench: Bench) -> None:
    part, _, _ = bench.fit(STOP)
    told: list[int] = []
    part.on_press = lambda: told.append(bench.us)
    bench.run(100_000)
    bench.pins.drive(15, 0)
    bench.run(29_000_000)
    assert part.fault is None
    bench.run(3_000_000)
    assert "pressed for 30 s" in part.fault
    assert "(15)" in part.fault
    bench.pins.drive(15, 1)
    bench.run(40_000_000)
    assert part.fault is None
    press(bench, 100_000)
    assert len(told) == 2


# --- microphone ------------------------------------------------------------------------------


def sine(dbfs: float, hz: float = 1000) -> Callable[[int], int]:
    peak = 8_388_607 * 10 ** (dbfs / 20)
    return lambda n: round(peak * math.sin(2 * math.pi * hz * n / 16000))


@pytest.mark.parametrize(("dbfs", "db_spl"), [(-26, 94), (0, 120), (-60, 60), (-85, 35)])
def test_the_rooms_loudness_is_the_datasheets(bench: Bench, dbfs: float, db_spl: float) -> None:
    part, _, (outlet,) = bench.fit(MICROPHONE)
    bench.i2s[0].hears = sine(dbfs)
    bench.run(1_500_000)
    assert part.fault is None
    assert min(outlet.samples) == 4  # nothing while the microphone wakes up
    assert outlet.counter == pytest.approx(15, abs=1)
    scale = part.streams[0]["scale"]
    for data in outlet.samples.values():
        assert int.from_bytes(data, "little") * scale == pytest.approx(db_spl, abs=0.3)
    assert part.test().startswith(f"room {db_spl}.") or part.test().startswith(
        f"room {db_spl - 1}."
    )


@given(st.integers(1, 1 << 29), st.integers(0, 511), st.integers(0, 2047), st.integers(1, 2000))
def test_decibels_without_floats_equal_those_with(
    high: int, middle: int, low: int, count: int
) -> None:
    for sums in ([0, high, middle, low], [0, 0, middle, low + 1], [0, high & 1023, middle, low]):
        total = sums[1] * (1 << 20) + sums[2] * (1 << 11) + sums[3]
        if total:
            exact = 120 + 10 * math.log10(total / count / 2**37)
            assert functions("inmp441").centi_db(sums, count) / 100 == pytest.approx(
                max(0, exact), abs=0.05
            )


@given(st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=1, max_size=320))
def test_the_sum_of_squares_is_exact_in_its_upper_20_bits(samples: list[int]) -> None:
    sums = [0, 0, 0, 0]
    for _ in range(3):
        _plain.rms32(bytearray(struct.pack(f"<{len(samples)}i", *samples)), len(samples), sums)
    exact = sum((sample >> 12) ** 2 for sample in samples)
    assert sums[1] * (1 << 20) + sums[2] * (1 << 11) + sums[3] == 3 * exact
    assert all(0 <= part < 1 << 30 for part in sums)
    assert sums[0] == max(abs(sample >> 12) for sample in samples)


def test_a_microphone_that_says_nothing_at_all_names_its_wires_and_comes_back(
    bench: Bench,
) -> None:
    part, _, _ = bench.fit(MICROPHONE)
    bench.run(4_000_000)
    assert any(fault and "L/R" in fault and "SD (pin 8)" in fault for fault in bench.faults)
    for _ in range(60):
        bench.i2s[-1].hears = sine(-60)
        bench.run(1_000_000)
    assert part.fault is None


def test_an_i2s_that_stops_is_opened_again(bench: Bench) -> None:
    part, _, (outlet,) = bench.fit(MICROPHONE)
    bench.i2s[0].hears = sine(-60)
    began = bench.us
    bench.run(2_000_000)
    bench.i2s[0].works = False
    bench.run(700_000)
    assert any(fault and "SCK (pin 6)" in fault for fault in bench.faults)
    for _ in range(10):
        bench.i2s[-1].hears = sine(-60)
        bench.run(500_000)
    assert part.fault is None
    assert outlet.counter == pytest.approx((bench.us - began) / 1e5, abs=2)


def test_sound_that_nobody_fetched_in_time_uses_up_its_numbers(bench: Bench) -> None:
    part, _, (outlet,) = bench.fit(MICROPHONE)
    bench.i2s[0].hears = sine(-60)
    began = bench.us
    bench.run(2_000_000)
    for _ in range(5):
        bench.i2s[0].late_us = 300_000
        bench.run(1_000_000)
    assert part.fault is None
    assert part.lost == 5
    assert outlet.counter == pytest.approx((bench.us - began) / 1e5, abs=3)


def test_a_capture_begins_at_the_tick_it_was_asked_for(bench: Bench) -> None:
    part, _, _ = bench.fit(MICROPHONE)
    receiver = bench.i2s[0]
    receiver.hears = lambda n: (n % 8_000_000) + 1000
    bench.run(1_000_000)
    buffer = bytearray(4 * 1000)
    wanted = bench.us + 123_456
    part.capture(buffer, wanted % TICKS)
    bench.run(120_000)
    assert not part.captured()
    bench.run(300_000)
    assert part.captured()
    samples = np.frombuffer(buffer, "<i4") >> 8
    assert (np.diff(samples) == 1).all()
    first_us = receiver.began_us + (int(samples[0]) - 1000) * 62.5
    assert first_us == pytest.approx(wanted, abs=100)
    assert part.captured_at == pytest.approx(first_us % TICKS, abs=100)


def test_the_virtual_microphone_hears_the_speaker_late_weak_and_upright(bench: Bench) -> None:
    heard_at: list[int] = []

    class Played:
        """As firmware/virtual/played.py: here the speaker plays one step up, long ago begun."""

        latest: Any = None
        recent = bytearray(b"\x01")

        def sample_at(self, us: int) -> int:
            heard_at.append(us)
            return 16384 if us >= step_us else 0

    Played.latest = Played()
    step_us = bench.us + 10_000
    model = importlib.import_module("models.inmp441").Model({}, None, Played)
    half = bytearray(128)
    left = []
    for _ in range(20):
        bench.us += 1000
        model.samples(half, 16)
        left.append([struct.unpack_from("<i", half, 8 * i)[0] / 2**31 for i in range(16)])
        assert not any(half[4::8])  # it speaks on the left only
    sound = np.array(left).ravel()
    came_ms = np.argmax(sound > 0.005) / 16
    assert came_ms == pytest.approx(10 + 1.2, abs=0.2)
    assert 20 * math.log10(sound[-16:].mean() / 0.5) == pytest.approx(-30, abs=0.3)
    assert 20 * math.log10(sound[:100].std() * math.sqrt(2)) == pytest.approx(-87, abs=2)


# --- supply ----------------------------------------------------------------------------------


def test_a_weak_supply_is_told_in_volts_and_forgotten_when_it_recovers(bench: Bench) -> None:
    def volts(value: float) -> None:
        bench.adc = lambda: round(value / 3.0 / 3.3 * 65535)

    volts(5.0)
    part, _, _ = bench.fit(SUPPLY)
    assert part.test() == "5.00 V"
    volts(4.2)
    bench.run(1_000_000)
    assert part.fault is None  # a motor that starts is no fault
    bench.run(3_000_000)
    assert "4.20 V" in part.fault
    assert "pin 29" in part.fault
    assert "cable" in part.fault
    with pytest.raises(OSError, match=r"4\.20 V"):
        part.test()
    volts(4.9)
    bench.run(5_000_000)
    assert part.fault is None


def test_the_virtual_supply_is_what_the_driver_reads(bench: Bench) -> None:
    model = importlib.import_module("models.supply").Model(SUPPLY, None)
    bench.adc = model.read_u16
    part, _, _ = bench.fit(SUPPLY)
    assert part.test() == "5.00 V"
    model.fault = "low"
    bench.run(4_000_000)
    assert "4.10 V" in part.fault


# --- all of them -----------------------------------------------------------------------------


def test_sampling_and_polling_allocate_nothing() -> None:
    told = dict(line.split(" ", 1) for line in run("driver_memory.py").splitlines())
    assert told.pop("litter") == "allocates"
    assert told.pop("counts") == "10 0 True True"
    assert set(told.values()) == {"ok"}
    assert len(told) == 7
