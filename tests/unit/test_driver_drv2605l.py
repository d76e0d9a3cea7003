"""The driver of a motor that is felt, against the virtual board's own model, in simulated time."""

from __future__ import annotations

import math

import pytest
from driver_bench import HAPTICS, Bench, functions
from hypothesis import given
from hypothesis import strategies as st


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
