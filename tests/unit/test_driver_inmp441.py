"""The microphone, against the virtual board's own model, in simulated time."""

from __future__ import annotations

import importlib.util
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dreampod import _plain
from driver_bench import MICROPHONE, TICKS, Bench, functions
from hypothesis import given
from hypothesis import strategies as st


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
