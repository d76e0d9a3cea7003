"""The EEG converter, against the virtual board's own model, in simulated time."""

from __future__ import annotations

from typing import Any

import pytest
from driver_bench import EEG, TICKS, Bench, Outlet, functions
from hypothesis import given, settings
from hypothesis import strategies as st


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
