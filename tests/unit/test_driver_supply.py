"""The supply that the board runs on, against the virtual board's own model, in simulated time."""

from __future__ import annotations

import importlib.util

import pytest
from driver_bench import SUPPLY, Bench


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
