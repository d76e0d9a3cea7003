"""Buttons, against the virtual board's own model, in simulated time."""

from __future__ import annotations

import pytest
from driver_bench import STOP, Bench


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
