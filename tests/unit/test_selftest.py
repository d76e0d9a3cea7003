"""The self-test: what it says of healthy and of broken virtual pods, and how it judges what it hears."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dreampods as dp
from dreampods.commands import selftest
from dreampods.errors import DreampodsError, LinkError
from dreampods.firmware.dreampod import wire
from dreampods.fleet import Fleet, Pod
from dreampods.image import architecture, build_image
from dreampods.testing import Heard, Loopback, Outcome, examine, judge
from dreampods.testing.seen import calibration_item
from dreampods.virtual.supervisor import crystal_ppb, find_micropython

BOARD = "virtual-full"
SAMPLE_US = 62.5
SPEAKER, MICROPHONE = {"sck": 10, "ws": 11, "sd": 12}, {"sck": 6, "ws": 7, "sd": 8}
FAULTS = {
    2: {"parts": {"pulse": "absent", "microphone": "silent"}},
    3: {"buses": {"i2c0": "stuck-scl"}},
}
SPOILT = "dreampod/cue.mpy"


@dataclass
class Ward:
    """Pods, each with its own trouble, and what came of their tests."""

    outcomes: list[Outcome] = field(default_factory=list)
    while_playing: Outcome | None = None
    items_after_stop: list[str] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)

    def text(self, number: int, item: str) -> str:
        """What a pod's failed item says."""
        found = self.outcomes[number - 1].item(item)
        assert found is not None and found.status == "failed", found
        return found.text


def spoil(folder: Path) -> None:
    """Turn one bit of a file over in a pod's flash."""
    content = build_image(BOARD, architecture(BOARD)).files[f"a/{SPOILT}"]
    flash = folder / "flash.bin"
    raw = bytearray(flash.read_bytes())
    at = raw.find(content[600:664])
    assert at > 0
    with flash.open("r+b") as file:
        file.seek(at)
        file.write(bytes((raw[at] ^ 1,)))


async def stop_in_the_middle(fleet: Fleet, pod: Pod, ward: Ward) -> None:
    """Say stop once the first item is there."""
    before = pod.protocol.free_slots
    pod.reports.clear()
    pod.test(7)
    for _ in range(500):
        await asyncio.sleep(0.01)
        if pod.reports:
            break
    fleet.stop()
    await asyncio.sleep(3.0)
    ward.items_after_stop = [str(report.content["item"]) for report in pod.reports]
    ward.states.append(pod.stats["state"])
    pod.open_sound()
    await asyncio.sleep(0.5)
    ward.slots = [before, pod.protocol.free_slots]
    ward.while_playing = await examine(fleet, pod, lambda *_: None)
    await asyncio.sleep(1.5)  # its state comes once a second
    ward.states.append(pod.stats["state"])


async def examine_all(folder: Path) -> Ward:
    ward = Ward()
    async with dp.open_pods(f"{BOARD}:4", folder=folder) as fleet:
        for number, faults in FAULTS.items():
            (folder / f"pod-{number}" / "faults.json").write_text(json.dumps(faults))
        spoil(folder / "pod-4")
        await asyncio.sleep(4.0)  # until the drivers have noticed
        ward.outcomes = await asyncio.gather(
            *(examine(fleet, pod, lambda *_: None) for pod in fleet.pods)
        )
        await stop_in_the_middle(fleet, fleet.pods[0], ward)
    return ward


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    try:
        find_micropython()
    except LinkError as error:
        pytest.skip(str(error))
    yield asyncio.run(examine_all(tmp_path_factory.mktemp("ward")))


def test_a_healthy_pod_passes_in_every_item(ward: Ward) -> None:
    outcome = ward.outcomes[0]
    failed = [item for item in outcome.items if item.status == "failed"]
    assert outcome.passed, (outcome.error, failed)
    fitted = {item.name for item in outcome.items if item.status == "ok"}
    assert fitted >= {
        "firmware", "memory", "flash", "loop", "spi0", "i2c0", "eeg", "pulse", "adc", "motion",
        "temperature", "haptics", "light", "wake-me", "stop", "microphone", "sound", "loopback",
        "clock", "link",
    }  # fmt: skip


def test_the_pod_hears_itself_as_late_and_as_loud_as_its_model_has_it(ward: Ward) -> None:
    loopback = ward.outcomes[0].item("loopback")
    assert loopback is not None
    # The model takes whole samples, the last one that was played: 0 to 1 sample more than its 1.2 ms
    least_us, most_us = 1200, 1200 + SAMPLE_US
    assert least_us - SAMPLE_US < loopback.values["latency_us"] < most_us + SAMPLE_US
    assert loopback.values["gain_db"] == pytest.approx(-30.1, abs=0.5)
    assert loopback.values["margin"] > 2


def test_the_crystal_is_measured_within_its_uncertainty(ward: Ward) -> None:
    clock = ward.outcomes[0].item("clock")
    assert clock is not None
    error_ppm = clock.values["ppm"] - crystal_ppb(1) / 1000
    assert abs(error_ppm) < 5 * clock.values["sigma_ppm"]


def test_a_missing_part_is_named_with_its_wires_by_itself_and_on_its_bus(ward: Ward) -> None:
    for item in ("pulse", "i2c0"):
        text = ward.text(2, item)
        assert "pulse" in text and "0x57" in text and "SDA (pin 4), SCL (pin 5)" in text
    pins = ward.outcomes[1].item("pulse")
    assert pins is not None and pins.pins == {"sda": 4, "scl": 5}


def test_a_dead_microphone_is_told_from_a_dead_speaker(ward: Ward) -> None:
    assert "SD (pin 8)" in ward.text(2, "microphone")
    assert "the microphone, which does not work" in ward.text(2, "loopback")


def test_a_wire_held_low_is_named_and_the_rest_of_the_pod_still_tested(ward: Ward) -> None:
    assert "SCL (pin 5) is held low" in ward.text(3, "i2c0")
    for part in ("pulse", "adc", "motion", "temperature", "haptics"):
        assert part in ward.text(3, part) and "SCL (pin 5)" in ward.text(3, part)
    eeg, loopback = ward.outcomes[2].item("eeg"), ward.outcomes[2].item("loopback")
    assert eeg is not None and eeg.status == "ok"
    assert loopback is not None and loopback.status == "ok"


def test_one_bit_turned_over_in_flash_is_found_and_its_file_named(ward: Ward) -> None:
    assert f"/a/{SPOILT} is missing or spoilt: flash the pod again" in ward.text(4, "flash")


def test_a_stop_ends_a_test_at_once_and_gives_the_sound_its_room_back(ward: Ward) -> None:
    assert "end" not in ward.items_after_stop
    assert ward.states[0] == wire.STATE_STOPPED
    assert ward.slots[0] == ward.slots[1]


def test_a_pod_that_plays_is_not_tested_and_plays_on(ward: Ward) -> None:
    assert ward.while_playing is not None
    assert "is not tested: while sound plays" in ward.while_playing.error
    assert not ward.while_playing.passed
    assert ward.states[1] == wire.STATE_PLAYING


# --- the judge of what was heard -------------------------------------------------------------


def heard(gain: float = 0.03, delay: int = 340, noise: float = 3e-5, rate: int = 16000) -> Heard:
    """A train of five pulses as a microphone may hear it, `delay` samples into the recording."""
    pulse = [*(round(8000 * x) for x in (0.4, 0.9, 0.9, 0.4)), *([-1733] * 12)]
    train = np.zeros(352 + len(pulse))
    for start in (0, 32, 128, 288, 352):
        train[start : start + len(pulse)] = np.array(pulse) / 32768
    samples = np.random.default_rng(1).normal(0, noise, 960)
    samples[delay : delay + len(train)] += gain * train
    return Heard(samples, float(rate), -20_000.0, train)


def judged(sound: Heard) -> tuple[str, str]:
    item = judge(Loopback.measured(sound), SPEAKER, MICROPHONE, 80.0)
    return item.status, item.text


@given(st.integers(315, 440), st.floats(-45, -15), st.booleans())
def test_level_latency_and_polarity_are_found_wherever_they_are(
    delay: int, gain_db: float, upside_down: bool
) -> None:
    gain = 10 ** (gain_db / 20) * (-1 if upside_down else 1)
    found = Loopback.measured(heard(gain, delay, noise=1e-6))
    assert found.latency_us == pytest.approx(delay * SAMPLE_US - 20_000, abs=SAMPLE_US / 4)
    assert found.gain_db == pytest.approx(gain_db, abs=0.1)
    assert (found.margin < 1) == upside_down


@pytest.mark.parametrize(
    ("sound", "status", "advice"),
    [
        (heard(), "ok", "right way up"),
        (heard(gain=-0.03), "failed", "swap the two wires of the speaker"),
        (heard(gain=0), "failed", "SCK (pin 10), SD (pin 12), WS (pin 11); the microphone's SCK"),
        (heard(gain=0.0005, noise=1e-6), "failed", "too quiet"),
        (heard(gain=0.5), "failed", "too loud"),
        (heard(delay=500), "failed", "ms after its time"),
    ],
)
def test_each_way_to_sound_wrong_has_its_advice(sound: Heard, status: str, advice: str) -> None:
    verdict, text = judged(sound)
    assert verdict == status and advice in text


def test_an_incomplete_recording_is_refused_not_judged() -> None:
    head = {"bytes": 3840, "pulse": [1], "starts": [0], "rate_hz": 16000, "train_rate_hz": 16000}
    with pytest.raises(ValueError, match="720 of 3840 bytes"):
        Heard.from_reports(head | {"first_us": 0}, {0: bytes(720)})


# --- what the host knows ---------------------------------------------------------------------


def test_an_old_calibration_fails_and_none_is_no_failure() -> None:
    pod = Pod("port", "pod-1")
    today = datetime.date(2026, 6, 1)
    assert calibration_item(pod, today).status == "not fitted"
    pod.dictionary = {"calibration": {"date": "2026-03-01", "full_scale_dba": 82.5}}
    fresh = calibration_item(pod, today)
    assert fresh.status == "ok" and "92 days old" in fresh.text
    pod.dictionary = {"calibration": {"date": "2024-03-01", "full_scale_dba": 82.5}}
    assert calibration_item(pod, today).status == "failed"


def command(*words: str) -> None:
    parser = argparse.ArgumentParser()
    selftest.add_to(parser.add_subparsers())
    options = parser.parse_args(["selftest", *words])
    options.command(options)


def test_the_command_reports_a_port_that_cannot_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rig" / "report.json"
    with pytest.raises(SystemExit) as ended:
        command(str(tmp_path / "nothing"), "--json", str(file))
    assert ended.value.code == 1
    report = json.loads(file.read_text())
    assert not report["passed"] and "nothing" in report["pods"][0]["error"]
    assert "0 of 1 pods passed; failed:" in capsys.readouterr().out


def test_the_command_wants_to_know_which_pods() -> None:
    with pytest.raises(DreampodsError, match="say which pods"):
        command()
