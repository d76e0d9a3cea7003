"""Sensors on the chip's own ADC, against the virtual board's own model, in simulated time."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
from driver_bench import PULSE, Bench


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
