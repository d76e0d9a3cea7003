"""Parts fall off, answer nonsense, fall silent, hang their bus: it is told, and the others never notice.

One virtual board with every part runs and senses through all of it; its real firmware is broken part by
part by what faults.json asks of the models. A part that is out leaves a gap of the length it was out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dreampods as dp
from dreampods.firmware.dreampod import wire
from dreampods.fleet import Cue, News, Pod, Stream
from rig import LOOP_MOST_MS

pytestmark = pytest.mark.virtual

_TOLD_WITHIN_S = 8.0  # the thermometer's silence takes six seconds to be one
_MENDED_WITHIN_S = 10.0
_TOUCHES, _TOUCH_EVERY_S = 4, 0.4
_LOOK_S = 0.2  # until the board has looked at faults.json, and some more
_SETTLE_S = 0.5
_SCENES_MOST = 4
_PACE_TOLERANCE = (
    0.004  # a chip's oscillator is up to a thousandth off, the motion chip's nominal 0.2 %
)
_SAMPLES_TOLERANCE = 1.6  # a part that starts anew begins anywhere within a period

_STREAMS = {
    "eeg": ("eeg",),
    "pulse": ("pulse",),
    "adc": ("breath", "skin-conductance"),
    "motion": ("motion",),
    "temperature": ("temperature",),
    "haptics": (),
}
# What the wrong chip in its place says of itself
_WRONG = {
    "eeg": "ID reads 0x92",
    "pulse": "reads part 0x11",
    "adc": "0x7ff0",
    "motion": "reads identity 0x69",
    "temperature": "reads identity 0x0116",
    "haptics": "STATUS reads 0x60",
}
_ON_I2C = [part for part in _STREAMS if part != "eeg"]
_I2C_WIRES = "SDA (pin 4), SCL (pin 5)"
_EEG_WIRES = "CS (pin 17)"


def _wires_of(part: str) -> str:
    return _EEG_WIRES if part == "eeg" else _I2C_WIRES


def _recordings(folder: Path) -> Path:
    """A sleeper for the board's models."""
    seconds, rate = 60, 50
    np.savetxt(folder / "sine.csv", np.sin(2 * np.pi * np.arange(seconds * rate) / rate))
    t = np.arange(seconds * 250) / 250
    np.savez(folder / "eeg.npz", eeg=50 * np.sin(2 * np.pi * 10 * t)[:, None])
    (folder / "sleepers.toml").write_text(
        """
[[sleeper]]
name = "s0"
credit = "made for this test"
eeg = { file = "eeg.npz", array = "eeg", rate_hz = 250, unit = "uV" }
pulse = { file = "sine.csv", rate_hz = 50 }
breath = { file = "sine.csv", rate_hz = 50 }
"""
    )
    return folder


class Bench:
    """The pod under test, what it tells, and the hands that break its parts."""

    def __init__(self, fleet: dp.Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.pod: Pod = fleet.pods[0]
        self.news: list[News] = []
        self.loop_worst_us = 0
        self._stale = self.pod.stats
        self._faults = folder / self.pod.name / "faults.json"

    def breaks(self, **faults: dict[str, str]) -> None:
        """`breaks(parts={...}, buses={...})`; nothing: all is well again."""
        self._faults.write_text(json.dumps(faults))

    def begin(self) -> None:
        """Forget what happened before."""
        self.fleet.news()
        self.news.clear()
        self.loop_worst_us = 0
        self._stale = self.pod.stats

    async def until(self, met: Callable[[], object], within_s: float, what: str) -> None:
        """Look on until a condition is met."""
        deadline = time.monotonic() + within_s
        while not met():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}; {self.news}"
            await self.look(0.01)

    async def look(self, seconds: float) -> None:
        """Look on for a while, and take note of what the pod tells."""
        end = time.monotonic() + seconds
        while True:
            self.news += self.fleet.news()
            if self.pod.stats is not self._stale:
                self.loop_worst_us = max(
                    self.loop_worst_us, self.pod.stats.get("loop_worst_us", 0)
                )
            if time.monotonic() >= end:
                return
            await asyncio.sleep(0.01)

    async def next_stats(self) -> None:
        """Wait for the pod's next count, which covers the second that has just passed."""
        before = self.pod.stats
        await self.until(lambda: self.pod.stats is not before, 2, "the next count")

    def told(self, kind: str, part: str, words: str = "") -> list[News]:
        """News of a kind that name this part, and have these words in them."""
        return [
            item
            for item in self.news
            if item.kind == kind and item.text.startswith(part) and words in item.text
        ]

    async def steady(self) -> None:
        """Every part works and every stream has begun."""
        await self.until(lambda: self.pod.state == "ready", 10, "the pod is there")
        self.pod.sense({stream.name for stream in self.pod.streams})

        def all_flow() -> bool:
            return self.pod.stats.get("faults") == 0 and all(
                _pairs(stream) for stream in self.pod.streams
            )

        await self.until(all_flow, 15, "all streams flow")


def _pairs(stream: Stream) -> int:
    return len(stream._pairs)


def _newest(stream: Stream) -> tuple[int, float]:
    """Number and pod time of a sample that just came, by the pod itself."""
    return stream._pairs[-1]


def _fits_the_time(stream: Stream, before: tuple[int, float]) -> float:
    """By how many samples a stream's number is off the time that has passed; it must be next to none."""
    number, pod_us = _newest(stream)
    expected = (pod_us - before[1]) * 1e-6 * stream.rate_hz
    off = number - before[0] - expected
    assert abs(off) <= _SAMPLES_TOLERANCE + _PACE_TOLERANCE * expected, (
        f"{stream.name}: {number - before[0]} samples in the time of {expected:.1f}"
    )
    return off


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def opened(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One board for all tests of this file: to open it takes longer than to break it."""
    home = tmp_path_factory.mktemp("parts")
    fleet = dp.open_pods("virtual-full:1", recordings=_recordings(home), folder=home / "pods")
    runner.run(fleet.__aenter__())
    try:
        yield Bench(fleet, home / "pods")
    finally:
        runner.run(fleet.__aexit__(None, None, None))


@pytest.fixture
def bench(runner: asyncio.Runner, opened: Bench) -> Iterator[Bench]:
    """The board with all its parts at work, and again afterwards."""
    runner.run(opened.steady())
    yield opened
    opened.breaks()


async def _through(
    bench: Bench, broken: tuple[str, ...], scene: Callable[[], Any], measured: Callable[..., None]
) -> None:
    """Play a scene of faults in these parts; hold that the others' streams and the loop are as ever.

    The loop's longest turn is the pod's own figure, but the PC may stop the whole process for
    longer. What the firmware does, it does each time: a turn that was too long counts if the same scene
    has one whenever it is played.
    """
    out = {name for part in broken for name in _STREAMS[part]}
    whole = [stream for stream in bench.pod.streams if stream.name not in out]
    for left in reversed(range(_SCENES_MOST)):
        bench.begin()
        lost = {stream.name: stream.lost for stream in whole}
        before = {stream.name: _newest(stream) for stream in bench.pod.streams}
        await scene()
        await bench.look(_SETTLE_S)
        await bench.next_stats()
        measured("longest turn of the loop", bench.loop_worst_us / 1000, "ms")
        if bench.loop_worst_us > LOOP_MOST_MS * 1000 and left:
            await bench.steady()
            continue
        for stream in whole:
            assert stream.lost == lost[stream.name], f"{stream.name} lost samples too"
        for item in bench.news:
            assert item.kind != "fault" or item.text.startswith(broken), item.text
        for stream in bench.pod.streams:
            assert _newest(stream)[0] > before[stream.name][0] or stream.rate_hz <= 1
            _fits_the_time(stream, before[stream.name])
        assert bench.loop_worst_us <= LOOP_MOST_MS * 1000
        return


async def _until_back(bench: Bench, part: str, lost: dict[str, int], expect_gap: bool) -> None:
    """The part is told to work again, and its streams have the gap."""

    def back() -> bool:
        flows = all(
            bench.pod.stream(name).lost > lost[name] or not expect_gap for name in _STREAMS[part]
        )
        return bool(bench.told("mended", part)) and flows

    await bench.until(back, _MENDED_WITHIN_S, f"{part} is back")


def _lost_of(bench: Bench, part: str) -> dict[str, int]:
    return {name: bench.pod.stream(name).lost for name in _STREAMS[part]}


@pytest.mark.parametrize("part", list(_STREAMS))
def test_a_part_that_falls_off_and_a_wrong_one_in_its_place_are_told(
    part, runner, bench, measured
):
    async def scene():
        lost = _lost_of(bench, part)
        bench.breaks(parts={part: "absent"})
        # Without an answer SPI reads zeros; only I2C knows that nobody is there
        words = "0x00" if part == "eeg" else "does not answer"
        await bench.until(
            lambda: bench.told("fault", part, words), _TOLD_WITHIN_S, f"{part} is absent"
        )
        told = bench.told("fault", part, words)[0].text
        assert _wires_of(part) in told and "check" in told and "\n" not in told, told
        bench.breaks(parts={part: "wrong-identity"})
        await bench.until(
            lambda: bench.told("fault", part, _WRONG[part]),
            _TOLD_WITHIN_S,
            f"{part} is another chip",
        )
        told = bench.told("fault", part, _WRONG[part])[0].text
        assert _wires_of(part) in told and "check" in told and "\n" not in told, told
        bench.breaks()
        await _until_back(bench, part, lost, expect_gap=True)

    runner.run(_through(bench, (part,), scene, measured))


@pytest.mark.soak
@pytest.mark.parametrize("part", [part for part, streams in _STREAMS.items() if streams])
def test_a_part_that_answers_but_has_fallen_silent_is_told(part, runner, bench, measured):
    async def scene():
        lost = _lost_of(bench, part)
        bench.breaks(parts={part: "silent"})
        await bench.until(lambda: bench.told("fault", part), _TOLD_WITHIN_S, f"{part} is silent")
        told = bench.told("fault", part)[0].text
        assert ("check" in told and "pulses" in told) or "no samples" in told, told
        bench.breaks()
        await _until_back(bench, part, lost, expect_gap=True)

    runner.run(_through(bench, (part,), scene, measured))


def test_refused_transfers_are_counted_and_cost_no_sample(runner, bench, measured):
    async def scene():
        before = bench.pod.stats["bus_errors"]
        bench.breaks(parts=dict.fromkeys(_ON_I2C, "nak"))
        for _ in range(_TOUCHES):  # of itself the haptics' chip is asked once a second only
            bench.pod.cue(Cue(wire.CUE_HAPTIC, pitch=1))
            await bench.look(_TOUCH_EVERY_S)
        await bench.next_stats()
        measured("transfers refused", bench.pod.stats["bus_errors"] - before, "")
        assert bench.pod.stats["bus_errors"] > before + 10
        bench.breaks()
        assert len([item for item in bench.news if item.kind == "cue"]) == _TOUCHES
        assert not [item for item in bench.news if item.kind == "fault"]

    # Nothing is out: the parts themselves must not lose any either
    runner.run(_through(bench, (), scene, measured))


@pytest.mark.parametrize("part", ["eeg", "pulse", "motion"])
def test_samples_that_a_part_lost_by_itself_are_a_gap(part, runner, bench, measured):
    async def scene():
        lost = _lost_of(bench, part)
        overflows = bench.pod.stats["sample_overflows"]
        bench.breaks(parts={part: "overflow"})
        await bench.look(0.5)
        await bench.next_stats()
        bench.breaks()
        # The gap ends, and is seen, with the next whole block
        await bench.until(
            lambda: all(bench.pod.stream(name).lost > lost[name] for name in lost),
            _TOLD_WITHIN_S,
            f"{part} has a gap",
        )
        assert bench.pod.stats["sample_overflows"] > overflows

    runner.run(_through(bench, (part,), scene, measured))


@pytest.mark.parametrize("line", ["sda", "scl"])
def test_a_bus_held_low_is_told_freed_and_its_parts_come_back(line, runner, bench, measured):
    async def scene():
        parts = ["pulse", "adc", "motion", "haptics", "temperature"]
        lost = {part: _lost_of(bench, part) for part in parts}
        bench.breaks(buses={"i2c0": f"stuck-{line}"})
        # SDA is free after nine clocks, perhaps before a sample was due; most parts never notice
        sure = ["adc"] if line == "sda" else parts[:3]
        for part in sure:
            words = _I2C_WIRES if line == "sda" else "SCL (pin 5) is held low"
            await bench.until(
                lambda part=part, words=words: bench.told("fault", part, words),
                _TOLD_WITHIN_S,
                f"{part} has no bus",
            )
        if line == "scl":
            told = bench.told("fault", "pulse")[0].text
            assert _I2C_WIRES in told and "short" in told and "pull-up" in told
            bench.breaks()
        for part in sure:
            await _until_back(bench, part, lost[part], expect_gap=line == "scl")
        await bench.until(lambda: bench.pod.stats["faults"] == 0, _MENDED_WITHIN_S, "all back")
        bench.breaks()

    runner.run(_through(bench, tuple(_ON_I2C), scene, measured))


@pytest.mark.parametrize(
    "absent",
    [("eeg", "adc", "haptics"), ("pulse", "motion", "temperature")],
    ids=["eeg-adc-haptics", "pulse-motion-temperature"],
)
def test_without_a_part_at_power_on_the_pod_says_so_and_the_rest_works(
    absent, runner, bench, measured
):
    async def body():
        bench.begin()
        bench.breaks(parts=dict.fromkeys(absent, "absent"))
        await bench.look(_LOOK_S)
        first = bench.pod.boot_id
        bench.pod.sense(set())
        bench.pod.restart()
        await bench.until(
            lambda: bench.pod.boot_id != first and bench.pod.state == "ready", 15, "it is back"
        )
        faults = {part["name"]: part["fault"] for part in bench.pod.dictionary["parts"]}
        for part, fault in faults.items():
            if part in absent:
                assert fault.startswith(part) and _wires_of(part) in fault, fault
            else:
                assert fault is None, fault
        bench.pod.sense({stream.name for stream in bench.pod.streams})
        out = {name for part in absent for name in _STREAMS[part]}
        await bench.until(
            lambda: all(_pairs(s) for s in bench.pod.streams if s.name not in out),
            5,
            "the rest works",
        )
        assert not any(_pairs(s) for s in bench.pod.streams if s.name in out)
        bench.breaks()
        for part in absent:
            await bench.until(lambda part=part: bench.told("mended", part), 10, f"{part} is back")
        await bench.until(lambda: all(_pairs(s) for s in bench.pod.streams), 5, "all streams flow")

    runner.run(body())
