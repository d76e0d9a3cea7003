"""The I2C drivers against models of their chips: values, numbering, and every way a wire can fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from i2c_bus import BUS, Recorder, Rig
from test_micropython import run

PULSE = {
    "name": "pulse",
    "driver": "max30102",
    "bus": "i2c0",
    "address": 87,
    "rate_hz": 100,
    "block": 10,
}
ADC = {
    "name": "adc",
    "driver": "ads1115",
    "bus": "i2c0",
    "address": 72,
    "rate_hz": 50,
    "block": 5,
    "inputs": [
        {"stream": "breath", "input": 0, "unit": "V", "scale": 1.0, "offset": 0.0},
        {"stream": "skin-conductance", "input": 1, "unit": "uS", "scale": 10.0, "offset": 0.0},
    ],
}
MOTION = {
    "name": "motion",
    "driver": "lsm6dso",
    "bus": "i2c0",
    "address": 106,
    "rate_hz": 52,
    "block": 4,
}
SKIN = {
    "name": "temperature",
    "driver": "tmp117",
    "bus": "i2c0",
    "address": 73,
    "rate_hz": 1,
    "block": 1,
}
PARTS = (PULSE, ADC, MOTION, SKIN)
each_part = pytest.mark.parametrize("spec", PARTS, ids=[spec["driver"] for spec in PARTS])

ADC_VOLT_PER_COUNT = 3.3 / 65535  # of the tapes
TAPE_HZ = 50
NANOAMPERES = 4096 / 2**18


def write_tapes(folder: Path, frames: np.ndarray[Any, Any]) -> Path:
    """The same recording as pulse and as breath."""
    (folder / "tape").mkdir(exist_ok=True)
    card = {"rate_hz": TAPE_HZ, "channels": 1, "unit": "V", "unit_per_count": ADC_VOLT_PER_COUNT}
    (folder / "tape" / "tape.json").write_text(
        json.dumps({"signals": {"pulse": card, "breath": card}})
    )
    for name in ("pulse", "breath"):
        (folder / "tape" / f"{name}.u16").write_bytes(frames.astype("<u2").tobytes())
    return folder


def steady(folder: Path, value: int) -> Path:
    return write_tapes(folder, np.full(100, value))


def sawtooth(folder: Path, seconds: int) -> Path:
    """A recording whose value tells the time."""
    frames = seconds * TAPE_HZ
    return write_tapes(folder, np.arange(frames) * 65536 // frames)


def rate_hz(rig: Rig) -> float:
    """The pace of the chip's own oscillator, or of the pod's where the pod paces it."""
    nominal = {"max30102": 100.0, "lsm6dso": 6667 / 128, "tmp117": 1.0, "ads1115": 50.0}
    hz = nominal[rig.part.spec["driver"]]
    return (
        hz if rig.part.spec["driver"] == "ads1115" else hz * (1 + rig.model.oscillator_ppb / 1e9)
    )


def assert_numbers_tell_the_time(rig: Rig, stream: Recorder, within: float) -> None:
    """A sample's number times the chip's period is when it was taken, as far as its stamp can say."""
    numbers = np.array(sorted(stream.samples))
    stamps_s = np.array([rig.us(stream.samples[number][1]) for number in numbers]) / 1e6
    taken = stamps_s * rate_hz(rig)
    wrong = taken - numbers
    wrong -= np.median(wrong)
    assert np.abs(wrong).max() < within, f"numbers are off by {np.abs(wrong).max():.2f} samples"


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 20_000, 65_535])
def test_the_pulse_is_light_in_nanoamperes_which_falls_when_blood_rises(
    value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, steady(tmp_path, value), PULSE)
    rig.run(1)
    samples = [values for values, _ in rig.streams[0].samples.values()]
    assert len(samples) > 90
    infrared = 180 + 100_000 - (value - 32768) * 1000 // 65536
    red = 180 + 90_000 - (value - 32768) * 500 // 65536
    assert samples == [[infrared * NANOAMPERES, red * NANOAMPERES]] * len(samples)


@pytest.mark.parametrize("value", [0, 20_000, 65_535])
def test_voltages_come_out_in_the_units_of_the_board_data(
    value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, steady(tmp_path, value), ADC)
    rig.run(1)
    breath, skin = rig.streams
    assert len(breath.samples) > 45
    assert abs(len(breath.samples) - len(skin.samples)) <= 1
    step_v = 4.096 / 32768
    for values, _ in breath.samples.values():
        assert abs(values[0] - value * ADC_VOLT_PER_COUNT) <= step_v / 2 + 1e-12
    assert {values[0] for values, _ in skin.samples.values()} == {5.0}


def test_a_sleeper_has_warm_skin_and_lies_under_one_g(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, SKIN)
    rig.run(10)
    temperatures = [values[0] for values, _ in rig.streams[0].samples.values()]
    assert 9 <= len(temperatures) <= 10
    assert set(temperatures) == {4378 * 0.0078125}
    assert rig.part.test() == "34.20 degC"

    rig = Rig(monkeypatch, steady(tmp_path, 65_535), MOTION)
    rig.run(2)
    x, y, z = np.array([values for values, _ in rig.streams[0].samples.values()]).T
    assert len(x) > 95
    assert np.allclose(x, 320 * 0.000061)
    assert np.allclose(y, 79 * 0.000061)
    assert np.allclose(z, 1.0, atol=0.000061)


@each_part
def test_test_tells_what_was_measured(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(3)
    assert {
        "pulse": "revision 3, infrared 1565 nA, red 1409 nA",
        "adc": "converts 2 inputs",
        "motion": "x 0.02 g, y 0.00 g, z 1.00 g",
        "temperature": "34.20 degC",
    }[spec["name"]] == rig.part.test()


# --- numbering --------------------------------------------------------------------------------


@each_part
def test_a_sample_s_number_says_when_it_was_taken(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(30)
    assert rig.faults == [None]
    assert rig.bus.errors == rig.part.errors == 0
    for stream in rig.streams:
        assert stream.skipped == 0
        assert stream.count >= 29 * spec["rate_hz"] * 0.998
        assert_numbers_tell_the_time(rig, stream, within=1.0)


def assert_nothing_is_shifted(
    rig: Rig, column: int, span: float, tape_s: int, within: float = 0.9
) -> None:
    """Each sample's value is that of a sawtooth at the time that its number says."""
    stream = rig.streams[0]
    scale = stream.spec["scale"]
    off = []
    for number, (values, _) in stream.samples.items():
        taken_s = (number + 1) / rate_hz(rig)
        phase = (values[column] / scale) / span % 1
        difference = (phase - taken_s / tape_s + 0.5) % 1 - 0.5
        if 0.05 < taken_s / tape_s % 1 < 0.95:  # the seam is interpolated over
            off.append(difference * tape_s * rate_hz(rig))
    assert len(off) > 50
    round_samples = tape_s * rate_hz(rig)
    off_samples = (np.array(off) - off[0] + round_samples / 2) % round_samples - round_samples / 2
    off_samples -= np.median(off_samples)
    assert np.abs(off_samples).max() < within, (
        f"shifted by {np.abs(off_samples).max():.2f} samples"
    )


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stalls=st.lists(st.integers(1, 4000), min_size=1, max_size=4))
@example(stalls=[238, 153, 434])  # a sample comes between the pointers' reading and their writing
def test_the_pulse_loses_no_number_when_its_fifo_overflows(
    stalls: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, sawtooth(tmp_path, 5), PULSE)
    for stall_ms in stalls:
        rig.run(0.7)
        rig.stall(stall_ms / 1000)
    rig.run(0.7)
    assert rig.faults == [None]
    if max(stalls) > 350:
        assert rig.streams[0].skipped > 0
    if max(stalls) < 270:
        assert rig.streams[0].skipped == 0
    assert_nothing_is_shifted(rig, 0, -1000.0, 5)


@pytest.mark.parametrize("stall_s", [3.0, 10.5, 15.25])
def test_movement_loses_no_number_when_its_fifo_overflows(
    stall_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, sawtooth(tmp_path, 2), MOTION)
    rig.run(3)
    rig.stall(stall_s)
    rig.run(5)
    assert rig.faults == [None]
    lost = max(0, stall_s * rate_hz(rig) - 512)
    assert abs(rig.streams[0].skipped - lost) < 6
    assert_nothing_is_shifted(rig, 1, 160.0, 2)


@each_part
def test_an_overflowing_fifo_is_told_in_numbers(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spec["driver"] in ("tmp117", "ads1115"):
        pytest.skip("has no FIFO")
    tape_s = 5 if spec is PULSE else 2
    rig = Rig(monkeypatch, sawtooth(tmp_path, tape_s), spec)
    rig.run(2)
    assert rig.streams[0].skipped == 0
    rig.model.fault = "overflow"
    rig.run(2)
    rig.model.fault = None
    assert rig.streams[0].skipped > spec["rate_hz"] / 2
    rig.run(2)
    assert rig.faults == [None]
    assert_nothing_is_shifted(rig, *((0, -1000.0) if spec is PULSE else (1, 160.0)), tape_s)


@pytest.mark.parametrize("spec", [ADC, SKIN], ids=["ads1115", "tmp117"])
def test_conversions_that_came_too_late_have_used_up_their_numbers(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    for stall_s in (0.0, 0.93, 4.4, 0.05, 2.01):
        rig.stall(stall_s)
        rig.run(3.3)
    assert rig.faults == [None]
    for stream in rig.streams:
        assert stream.skipped > 0
        assert_numbers_tell_the_time(rig, stream, within=1.0)


def test_sampling_leaves_nothing_to_be_collected() -> None:
    left = dict(line.split() for line in run("drivers_memory.py").splitlines())
    assert int(left.pop("litter")) > 0
    assert left == dict.fromkeys(("pulse", "adc", "motion", "temperature"), "0")


# --- faults -----------------------------------------------------------------------------------

IDENTITIES = {
    "max30102": "reads part 0x11 instead of 0x15 at address 0x57: check that it is a MAX30102",
    "ads1115": "reads thresholds 0x8000 0x7ff0 instead of 0x8000 0x7fff at address 0x48: check that",
    "lsm6dso": "reads identity 0x69 instead of 0x6c at address 0x6a: check that it is an LSM6DSO",
    "tmp117": "reads identity 0x0116 instead of 0x0117 at address 0x49: check that it is a TMP117",
}


@each_part
def test_another_chip_is_named_and_its_successor_is_taken(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(1)
    rig.model.fault = "wrong-identity"
    rig.wires.absent.add(spec["address"])
    rig.run(0.5)
    rig.wires.absent.clear()
    rig.run(5)
    assert rig.part.fault.startswith(f"{spec['name']} ({spec['driver'].upper()}): ")
    assert IDENTITIES[spec["driver"]] in rig.part.fault
    assert "SDA (pin 4), SCL (pin 5)" in rig.part.fault
    with pytest.raises(OSError, match="instead of"):
        rig.part.test()
    rig.model.fault = None
    rig.run(20)
    assert rig.part.fault is None


@each_part
def test_an_absent_part_is_reported_with_its_wires_and_taken_when_it_comes(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.wires.absent.add(spec["address"])
    rig.part._begun = False
    rig.run(60)
    assert rig.part.fault == (
        f"{spec['name']} ({spec['driver'].upper()}): does not answer at address "
        f"0x{spec['address']:02x}: check its supply, SDA (pin 4), SCL (pin 5)"
    )
    assert rig.bus.errors > 3
    rig.wires.absent.clear()
    rig.run(35)
    assert rig.part.fault is None
    assert rig.faults[-1] is None


@each_part
def test_a_part_that_was_never_there_does_not_keep_the_bus_busy(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.wires.absent.add(spec["address"])
    rig.run(5)
    before = rig.wires.transfers
    rig.run(120)
    assert rig.wires.transfers - before < 40  # tries 1, 2, 4, 8, 16, 30, 30 s apart


@pytest.mark.parametrize("kind", ["i2c", "soft_i2c"])
@each_part
def test_a_part_that_holds_sda_lets_go_after_nine_clocks(
    spec: dict[str, Any], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec, BUS | {"kind": kind})
    rig.run(12)
    rig.wires.fault = "stuck-sda"
    rig.run(4)
    assert rig.wires.fault is None
    assert rig.wires.clocks >= 9
    assert rig.wires.stops >= 1
    assert rig.part.fault is None
    for stream in rig.streams:
        last = max(stream.samples)
        assert rig.time.us - rig.us(stream.samples[last][1]) < 2_000_000
        assert_numbers_tell_the_time(rig, stream, within=2.1)


@each_part
def test_a_clock_wire_held_low_is_named_and_its_release_noticed(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(12)
    rig.wires.fault = "stuck-scl"
    rig.run(20)
    assert "SCL (pin 5) is held low: check for a short" in rig.part.fault
    rig.wires.fault = None
    rig.run(35)
    assert rig.part.fault is None
    for stream in rig.streams:
        assert stream.skipped > 0
        assert_numbers_tell_the_time(rig, stream, within=2.5)


@each_part
def test_a_transfer_refused_now_and_then_is_counted_and_costs_nothing(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(2)
    rig.wires.fault = "nak-5th"
    rig.run(10)
    assert rig.bus.errors > 15
    assert rig.faults == [None]
    for stream in rig.streams:
        assert stream.skipped == 0
        assert_numbers_tell_the_time(rig, stream, within=1.0)


@each_part
def test_a_part_that_refuses_every_register_is_a_loose_wire(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(2)
    rig.wires.fault = "nak"
    rig.run(3)
    assert f"does not answer at address 0x{spec['address']:02x}" in rig.part.fault
    rig.wires.fault = None
    rig.run(35)
    assert rig.part.fault is None


@each_part
def test_a_part_that_answers_and_has_nothing_to_say_is_reported(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, spec)
    rig.run(12)
    rig.model.fault = "silent"
    rig.run(10)
    assert "answers but gives no samples" in rig.part.fault
    assert rig.faults[1:] == [rig.part.fault], "a start that brings no samples is not a recovery"
    rig.model.fault = None
    rig.run(35)
    assert rig.part.fault is None


def test_a_pulse_sensor_that_lost_its_supply_is_set_up_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch, tmp_path, PULSE)
    rig.run(12)
    rig.model._power_on()
    rig.run(0.3)
    assert rig.faults[1:] == [
        "pulse (MAX30102): lost its supply for a moment: check its supply wire and ground",
        None,
    ]
    assert_numbers_tell_the_time(rig, rig.streams[0], within=2.5)


def test_a_rate_the_chip_does_not_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spec, message in (
        (PULSE | {"rate_hz": 60}, "MAX30102: 60 Hz is not one of"),
        (MOTION | {"rate_hz": 60}, "LSM6DSO: 60 Hz is not one of"),
        (SKIN | {"rate_hz": 2}, "TMP117: 2 Hz is not 1"),
        (ADC | {"rate_hz": 250}, "ADS1115: 2 inputs at 250 Hz are too many"),
    ):
        with pytest.raises(ValueError, match=message):
            Rig(monkeypatch, tmp_path, spec)
