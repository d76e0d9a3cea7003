"""Cues, touches, light and buttons: at their moment, below their limits, and never after a STOP.

The truth is what the board's I2S, its haptics chip and its lights really did. Two virtual boards with every
part: the first one's sleeper has slow waves of known phase, the second one's EEG is flat.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import math
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import dreampods as dp
from dreampods.firmware.dreampod import wire
from dreampods.firmware.dreampod.level import peak_of
from dreampods.fleet import Cue, Follow, News, Pod
from dreampods.registry import FleetFolder
from rig import Played, true_pod_us, wrapped

pytestmark = pytest.mark.virtual

_WAVE_HZ, _WAVE_UV, _NOISE_UV = 0.9, 75.0, 5.0
_LEVEL = 0.05
_PEAK = round(_LEVEL * 32767)
_KEPT_S = 0.3  # until what has played is in its file, the I2S's depth included
_AT_ONCE_MS = 125  # ring 80, a buffer 20, DMA 4, and the way there
_SILENT_MS = 200
_FINGER_MS = 50  # how often a virtual board looks whether somebody presses


def _recordings(folder: Path) -> Path:
    seconds, rate = 300, 50
    t = np.arange(seconds * 250) / 250
    noise = _NOISE_UV * np.random.default_rng(1).standard_normal(len(t))
    np.savez(
        folder / "eeg.npz", eeg=(_WAVE_UV * np.cos(2 * np.pi * _WAVE_HZ * t) + noise)[:, None]
    )
    np.savetxt(folder / "sine.csv", np.sin(2 * np.pi * np.arange(seconds * rate) / rate))
    body = """
credit = "made for this test"
pulse = { file = "sine.csv", rate_hz = 50 }
breath = { file = "sine.csv", rate_hz = 50 }
"""
    eeg = 'eeg = { file = "eeg.npz", array = "eeg", rate_hz = 250, unit = "uV" }\n'
    (folder / "sleepers.toml").write_text(
        '[[sleeper]]\nname = "waves"' + body + eeg + '[[sleeper]]\nname = "flat"' + body
    )
    return folder


class Bench:
    """The pods under test, what they tell, and what they really did."""

    def __init__(self, fleet: dp.Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.folder = folder
        self.news: list[News] = []

    def home(self, pod: Pod) -> Path:
        return self.folder / pod.name

    def begin(self) -> Pod:
        """Forget what was; the pod is out of any stop."""
        self.fleet.news()
        self.news.clear()
        for pod in self.fleet.pods:
            pod.open_sound()
            pod.close_sound()
        return self.fleet.pods[0]

    async def look(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.news += self.fleet.news()
            await asyncio.sleep(0.01)

    async def until(self, met: Callable[[], object], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not met():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}; {self.news}"
            await self.look(0.01)

    def told(self, kind: str) -> list[str]:
        """What news of a kind say."""
        return [item.text for item in self.news if item.kind == kind]

    def true_ns(self, pod: Pod, pod_us: int) -> float:
        """True time of a pod time not long ago."""
        now_ns = time.monotonic_ns()
        ago_us = wrapped(true_pod_us(pod, self.home(pod), now_ns) - pod_us)
        ppb = json.loads((self.home(pod) / "crystal.json").read_text())["ppb"]
        return now_ns - ago_us * 1e3 / (1 + ppb * 1e-9)

    def press(self, pod: Pod, button: str | None) -> None:
        """Hold a button down; None lets go."""
        path = self.home(pod) / "buttons.json"
        path.write_text(json.dumps({button: True} if button else {}))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def opened(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    home = tmp_path_factory.mktemp("cues")
    fleet = dp.open_pods("virtual-full:2", recordings=_recordings(home), folder=home / "pods")
    runner.run(fleet.__aenter__())
    try:
        yield Bench(fleet, home / "pods")
    finally:
        runner.run(fleet.__aexit__(None, None, None))


@pytest.fixture
def bench(runner: asyncio.Runner, opened: Bench) -> Iterator[Bench]:
    async def ready():
        await opened.until(
            lambda: all(pod.state == "ready" and pod.clock.map for pod in opened.fleet.pods),
            15,
            "the pods are there",
        )

    runner.run(ready())
    yield opened
    for pod in opened.fleet.pods:
        opened.press(pod, None)


def _soon(pod: Pod, seconds: float) -> int:
    return int(pod.clock.map.to_pod_us(time.monotonic_ns() + seconds * 1e9)) & 0xFFFFFFFF


def _sounds(pcm: np.ndarray, pause_frames: int) -> list[tuple[int, int]]:
    """First and last frame of each sound: what is not silent, with less than a pause in between."""
    loud = np.nonzero(pcm.any(axis=1))[0]
    if not len(loud):
        return []
    cuts = np.nonzero(np.diff(loud) > pause_frames)[0]
    return list(zip(loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, len(loud) - 1]], strict=True))


# --- sounds and touches ----------------------------------------------------------------------


def test_sounds_begin_at_their_time_to_the_sample(runner, bench, measured):
    cues = [
        Cue(wire.CUE_TONE, 0.05, 0.0, _LEVEL, 1000),
        Cue(wire.CUE_PINK, 0.05, 0.0, _LEVEL),
        Cue(wire.CUE_TONE, 0.3, 0.1, _LEVEL, 440),
        Cue(wire.CUE_PINK, 0.1, 0.02, _LEVEL),
    ]

    async def body():
        pod = bench.begin()
        rate = pod.sound.rate_hz
        times = [_soon(pod, 0.3) + 500_000 * i + 37 * i for i in range(len(cues))]
        numbers = [pod.cue(cue, at & 0xFFFFFFFF) for cue, at in zip(cues, times, strict=True)]
        await bench.look(0.3 + 0.5 * len(cues) + _KEPT_S)
        assert bench.told("cue") == [f"{number:05d}" for number in numbers]
        played = Played(bench.home(pod))
        for cue, at in zip(cues, times, strict=True):
            due = (bench.true_ns(pod, at) * 1e-3 - played.start_us) / played.frame_us
            first = round(due) - rate // 20
            seen = played.pcm[first : round(due) + rate * 9 // 20].astype(float)
            assert (
                np.abs(seen[:, 0] - seen[:, 1]).max() < 4
            )  # the ramp goes on between two channels
            seen = seen[:, 0]
            sound = np.nonzero(seen)[0]
            length = round(cue.duration_s * rate)
            ramp = round(cue.ramp_s * rate)
            if cue.kind == wire.CUE_TONE:
                n = np.arange(length)
                shape = np.ones(length)
                if ramp:
                    shape = np.minimum(1, np.minimum(n, length - n) / ramp)
                wanted = _PEAK * shape * np.sin(2 * np.pi * cue.pitch * n / rate)
                rests = [np.abs(seen[k : k + length] - wanted).max() for k in range(rate // 10)]
                begun = int(np.argmin(rests))
                # Nothing else, nothing less, nothing more
                assert min(rests) < 4
                rest = seen.copy()
                rest[begun : begun + length] = 0
                assert not rest.any()
            else:
                begun = sound[0]
                assert abs(sound[-1] + 1 - sound[0] - length) <= (8 if ramp else 2)
                loud = np.abs(seen[begun + ramp : begun + length - ramp])
                assert 0.2 * _PEAK < loud.max() <= _PEAK
            off = begun + first - due
            measured(f"cue {cue.kind} of {cue.duration_s} s, begun off by", off, "samples")
            assert abs(off) <= (4 if cue.kind == wire.CUE_PINK and ramp else 1) + 0.5
        # A chip's own count, told once a second
        await bench.look(1.1)
        assert pod.stats["cues"] >= len(cues)

    runner.run(body())


def test_a_cue_at_once_is_heard_after_the_rings_depth(runner, bench, measured):
    async def body():
        pod = bench.begin()
        await bench.look(0.1)
        asked_ns = time.monotonic_ns()
        pod.cue(Cue(wire.CUE_TONE, 0.05, 0.0, _LEVEL, 1000))
        bench.fleet.flush()
        await bench.look(0.2 + _KEPT_S)
        played = Played(bench.home(pod))
        there = played.between(asked_ns, time.monotonic_ns())
        (sound,) = _sounds(there, 100)
        after_ms = (played.host_ns(played.frame(asked_ns) + sound[0]) - asked_ns) * 1e-6
        measured("at once is after", after_ms, "ms")
        assert 0 < after_ms < _AT_ONCE_MS

    runner.run(body())


def test_late_cues_are_dropped_and_told(runner, bench):
    async def body():
        pod = bench.begin()
        begun_ns = time.monotonic_ns()
        late = pod.stats["cues_late"]
        numbers = [
            pod.cue(Cue(wire.CUE_PINK, level=_LEVEL), _soon(pod, -0.2)),
            pod.cue(Cue(wire.CUE_HAPTIC, pitch=1), _soon(pod, -0.2)),
        ]
        await bench.until(lambda: len(bench.told("cue-late")) == 2, 1, "both are told")
        assert sorted(bench.told("cue-late")) == [f"{number:05d}" for number in numbers]
        assert not bench.told("cue")
        await bench.look(1.1)
        assert pod.stats["cues_late"] == late + 2
        assert not Played(bench.home(pod)).between(begun_ns, time.monotonic_ns()).any()
        assert not _touches(bench, pod, begun_ns)

    runner.run(body())


def _touches(bench: Bench, pod: Pod, since_ns: float) -> list[tuple[float, int, float]]:
    """True time in us, effect and volts of what the haptics chip played."""
    path = bench.home(pod) / "haptics.json"
    if not path.exists():
        return []
    return [tuple(entry) for entry in json.loads(path.read_text()) if entry[0] * 1e3 > since_ns]


def test_touches_are_made_at_their_time(runner, bench, measured):
    async def body():
        pod = bench.begin()
        begun_ns = time.monotonic_ns()
        effects = [1, 47, 47, 14, 123]
        times = [_soon(pod, 0.2 + 0.3 * i) for i in range(len(effects))]
        for effect, at in zip(effects, times, strict=True):
            pod.cue(Cue(wire.CUE_HAPTIC, pitch=effect), at)
        await bench.look(0.3 * len(effects) + 0.2)
        touches = _touches(bench, pod, begun_ns)
        assert [effect for _, effect, _ in touches] == effects
        assert all(0 < volts <= 2.0 for _, _, volts in touches)
        late_ms = [
            touch[0] * 1e-3 - bench.true_ns(pod, at) * 1e-6
            for touch, at in zip(touches, times, strict=True)
        ]
        measured("touch after its time, mean", float(np.mean(late_ms)), "ms")
        measured("touch after its time, worst", max(late_ms), "ms")
        assert min(late_ms) >= -0.1
        assert max(late_ms) < 20
        assert len(bench.told("cue")) == len(effects)

    runner.run(body())


def test_a_touch_that_could_not_be_made_is_not_told_as_made(runner, bench):
    async def body():
        pod = bench.begin()
        number = pod.cue(Cue(wire.CUE_HAPTIC, pitch=124))  # the library has 123 effects
        await bench.until(lambda: bench.told("refused"), 1, "it is told")
        assert f"touch {number}" in bench.told("refused")[0]
        assert not bench.told("cue")

    runner.run(body())


def test_nothing_sounds_after_a_stop(runner, bench, measured):
    async def body():
        pod = bench.begin()
        pod.cue(Cue(wire.CUE_TONE, 2.0, 0.01, _LEVEL, 440))
        pod.cue(Cue(wire.CUE_PINK, 0.1, 0.01, _LEVEL), _soon(pod, 0.9))
        await bench.look(0.5)
        stopped_ns = time.monotonic_ns()
        bench.fleet.stop()
        await bench.look(0.3)
        pod.cue(Cue(wire.CUE_TONE, 0.1, 0.0, _LEVEL, 440))
        await bench.look(0.8 + _KEPT_S)
        played = Played(bench.home(pod))
        assert np.abs(played.between(stopped_ns - 100e6, stopped_ns)).max() > _PEAK * 0.9
        after = played.between(stopped_ns, time.monotonic_ns())
        last = np.nonzero(after.any(axis=1))[0].max(initial=0)
        measured("silent after stop", last * played.frame_us / 1000, "ms")
        assert last * played.frame_us / 1000 < _SILENT_MS
        assert len(after) * played.frame_us > 900_000

    runner.run(body())


# --- the ceiling -----------------------------------------------------------------------------


def _dba(pod: Pod, pcm: np.ndarray) -> float:
    """Of a tone of 1 kHz, where the A-weighting is nothing."""
    rms = math.sqrt(float(np.mean(pcm[:, 0].astype(float) ** 2)))
    return pod.limits["full_scale_dba"] + 20 * math.log10(max(rms, 1e-3) * math.sqrt(2) / 32767)


async def _level_of_a_loud_cue(bench: Bench, pod: Pod) -> float:
    """dBA of a cue as loud as there can be, once the pod has had its moment to turn it down."""
    begun_ns = time.monotonic_ns()
    pod.cue(Cue(wire.CUE_TONE, 2.0, 0.01, 1.0, 1000))
    await bench.look(2.1 + _KEPT_S)
    played = Played(bench.home(pod))
    there = played.between(begun_ns, time.monotonic_ns()).astype(int)
    assert np.abs(there).max() <= peak_of(pod.limits, {})
    ((_, last),) = _sounds(there, 200)
    return _dba(pod, there[last - 16000 : last - 800])


def test_the_ceiling_holds_for_cues(runner, bench, measured):
    async def body():
        pod = bench.begin()
        level = await _level_of_a_loud_cue(bench, pod)
        measured("a cue of full scale is turned down to", level, "dBA")
        assert pod.limits["ceiling_dba"] - 4 < level <= pod.limits["ceiling_dba"]

    runner.run(body())


def test_only_the_pods_own_key_changes_its_ceiling(run, tmp_path, measured):
    async def body():
        recordings = _recordings(tmp_path)
        async with dp.open_pods(
            "virtual-wifi:1", recordings=recordings, folder=tmp_path / "pods"
        ) as fleet:
            bench = Bench(fleet, tmp_path / "pods")
            pod = bench.begin()
            (record,) = FleetFolder.load(fleet.virtual.fleet).pods()

            async def refused(why: str) -> None:
                await bench.until(lambda: bench.told("refused"), 2, f"it is refused: {why}")
                (text,) = bench.told("refused")
                assert why in text
                bench.news.clear()

            # The loudest first: what was turned down comes back by less than 1 dB a second
            for dba in (65.0, 45.0):
                pod.set_ceiling(dba, record.key)
                level = await _level_of_a_loud_cue(bench, pod)
                measured(f"with a ceiling of {dba:.0f} dBA", level, "dBA")
                assert dba - 4 < level <= dba
            assert not bench.told("refused")
            pod.set_ceiling(65.0, bytes(32))
            await refused("the key is not the one")
            pod.set_ceiling(pod.limits["hard_dba"] + 0.01, record.key)
            await refused("hard limit")
            # A frame that was kept from another life of the pod
            value = struct.pack(wire.LIMIT_FORMAT, pod.boot_id ^ 2, 6500)
            pod.protocol.send(wire.LIMIT, value + hmac.digest(record.key, value, "sha256"))
            await refused("earlier life")
            assert await _level_of_a_loud_cue(bench, pod) <= 45

    run(body())


# --- buttons and light -----------------------------------------------------------------------


def test_the_stop_button_silences_whatever_the_host_sends(runner, bench, measured):
    async def body():
        pod = bench.begin()
        form = pod.sound
        pod.open_sound()
        chunk_us = form.chunk_frames * 1_000_000 // form.rate_hz
        t = np.arange(form.chunk_frames) / form.rate_hz
        sine = np.round(5000 * np.sin(2 * np.pi * 1000 * t)).astype("<i2")
        chunk = np.repeat(sine[:, None], form.channels, axis=1).tobytes()
        play_us = _soon(pod, 0.2)
        begun, pressed_ns, sent = time.monotonic(), 0, 0
        while time.monotonic() < begun + 3:
            while sent * chunk_us < (time.monotonic() - begun) * 1e6:
                pod.play(play_us + sent * chunk_us, chunk)
                sent += 1
            if not pressed_ns and time.monotonic() > begun + 1:
                pressed_ns = time.monotonic_ns()
                bench.press(pod, "stop")
            await bench.look(0.01)
        bench.press(pod, None)
        played = Played(bench.home(pod))
        assert np.abs(played.between(pressed_ns - 100e6, pressed_ns)).max() > 500
        after = played.between(pressed_ns, time.monotonic_ns())
        silent_ms = np.nonzero(after.any(axis=1))[0].max(initial=0) * played.frame_us / 1000
        measured("silent after the button", silent_ms, "ms")
        assert silent_ms < _SILENT_MS + _FINGER_MS
        assert len(after) * played.frame_us > 1_500_000
        assert len(bench.told("stop-pressed")) == 1
        assert bench.told("stopped")

    runner.run(body())


def test_the_wake_button_is_told_once_for_each_press(runner, bench):
    async def body():
        pod = bench.begin()
        for _ in range(2):
            bench.press(pod, "wake-me")
            await bench.look(0.2)
            bench.press(pod, None)
            await bench.look(0.2)
        assert len(bench.told("wake")) == 2
        assert not bench.told("stop-pressed")

    runner.run(body())


async def _lights(bench: Bench, pod: Pod, seconds: float) -> list[tuple[float, bytes]]:
    """What the lights showed in a while: pod seconds, and green, red, blue of the first."""
    seen: dict[int, bytes] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ValueError, FileNotFoundError):  # is being written
            shown = json.loads((bench.home(pod) / "lights.json").read_text())
            strip = bytes.fromhex(shown["bytes"])
            assert strip == strip[:3] * 8
            seen[shown["ticks_us"]] = strip[:3]
        await bench.look(0.01)
    return [(ticks * 1e-6, colour) for ticks, colour in seen.items()]


def test_light_fades(runner, bench):
    async def body():
        pod = bench.begin()
        pod.light(0, 0, 0, 0.0)
        await bench.look(1.5)
        pod.light(255, 128, 0, 1.0)
        shown = await _lights(bench, pod, 1.4)
        reds = [colour[1] for _, colour in shown]
        assert len(set(reds)) > 10  # not all at once
        assert reds == sorted(reds)
        assert shown[-1][1] == bytes((32, 64, 0))  # a quarter of full: what the board allows
        first, last = (at for at, colour in shown if colour[1] in (reds[1], 64))
        assert 0.8 < last - first < 1.2

    runner.run(body())


def test_strobing_stays_below_three_flashes_a_second(runner, bench, measured):
    async def body():
        pod = bench.begin()
        pod.light(0, 0, 0, 0.0)
        await bench.look(1.5)

        async def strobe():
            for i in range(40):
                white = 255 * (i % 2 == 0)
                pod.light(white, white, white, 0.0)
                await asyncio.sleep(0.1)

        strobing = asyncio.create_task(strobe())
        shown = await _lights(bench, pod, 4.2)
        await strobing
        pod.light(0, 0, 0, 0.5)
        changes, extreme, rising = [], 0, False
        for at, colour in shown:
            light = colour[0]
            if (extreme - light if rising else light - extreme) >= 64 * 0.1:
                changes.append(at)
                rising, extreme = not rising, light
            elif rising == (light > extreme):
                extreme = light
        at = np.array(changes)
        most = max(int(np.sum((at >= start) & (at < start + 1))) for start in at)
        measured("flashes in the worst second", most / 2, "")
        assert len(changes) > 4  # it does flash
        assert most <= 6  # a flash is a change and its opposite

    runner.run(body())


# --- the closed loop -------------------------------------------------------------------------


def _phase_at(pod: Pod, pod_us: list[float]) -> np.ndarray:
    """Phase of the sleeper's wave at pod times, in rad, by a fit of what the host received."""
    eeg = pod.stream("eeg")
    values = eeg.latest(20)[:, 0].astype(float)
    number = eeg.next_number - len(values) + np.arange(len(values))
    origin = eeg.pod_us(number[0])
    t = np.array([eeg.pod_us(n) - origin for n in number]) * 1e-6
    turn = 2 * np.pi * _WAVE_HZ
    model = np.column_stack([np.cos(turn * t), np.sin(turn * t), np.ones(len(t))])
    keep = np.isfinite(values)
    (a, b, _), *_ = np.linalg.lstsq(model[keep], values[keep], rcond=None)
    assert math.hypot(a, b) == pytest.approx(_WAVE_UV, rel=0.1)
    lead = math.atan2(b, a)
    return turn * np.array([wrapped(us - origin % 2**32) for us in pod_us]) * 1e-6 - lead


@pytest.mark.parametrize("phase", [0.0, -math.pi / 2])
def test_the_pod_cues_by_itself_at_the_asked_phase(phase, runner, bench, measured):
    async def body():
        pod = bench.begin()
        flat = bench.fleet.pods[1]
        for each in bench.fleet.pods:
            each.sense({"eeg"})
        await bench.look(1.1)
        counted, not_counted = pod.stats["loop_cues"], flat.stats["loop_cues"]
        begun_ns = time.monotonic_ns()
        for each in bench.fleet.pods:
            each.follow(
                Follow(centre_hz=_WAVE_HZ, phase=phase, refractory_s=1.0),
                Cue(wire.CUE_PINK, 0.05, 0.0, _LEVEL),
            )
        await bench.look(14)
        for each in bench.fleet.pods:
            each.follow(None)
        await bench.look(1.2)
        played = Played(bench.home(pod))
        start = played.frame(begun_ns)
        sounds = _sounds(played.between(begun_ns, time.monotonic_ns()), 1600)
        now_ns = time.monotonic_ns()
        now_us = true_pod_us(pod, bench.home(pod), now_ns)
        onsets = [
            (now_us + (played.host_ns(start + first) - now_ns) * 1e-3) % 2**32
            for first, _ in sounds
        ]
        off = np.angle(np.exp(1j * (_phase_at(pod, onsets) - phase)), deg=True)
        measured("cues", len(off), "")
        measured("phase off, mean", float(off.mean()), "degrees")
        measured("phase off, SD", float(off.std()), "degrees")
        assert len(off) >= 8
        assert np.abs(off).max() < 30
        assert abs(off.mean()) < 10
        assert pod.stats["loop_cues"] - counted == len(off)
        assert len(bench.told("cue")) == len(off)
        assert flat.stats["loop_cues"] == not_counted
        assert not Played(bench.home(flat)).between(begun_ns, time.monotonic_ns()).any()
        for each in bench.fleet.pods:
            each.sense(set())

    runner.run(body())


# --- a session -------------------------------------------------------------------------------


def test_a_session_keeps_a_sleeper_who_pressed_stop_silent_even_after_a_reset(
    runner, bench, tmp_path
):
    async def body():
        pod, other = bench.fleet.pods
        unit = bench.fleet.virtual.pods[0]
        pressed_ns = killed_ns = 0
        news: list[News] = []
        async with dp.Session(
            bench.fleet, dp.load_scene("tide"), tmp_path / "session", seconds=13
        ) as session:
            async for moment in session:
                news += moment.news
                if not pressed_ns and moment.t > 4:
                    before = Played(bench.home(pod))
                    pressed_ns = time.monotonic_ns()
                    bench.press(pod, "stop")
                if not killed_ns and moment.t > 6:
                    bench.press(pod, None)
                    killed_ns = time.monotonic_ns()
                    before = Played(bench.home(pod))
                    os.kill(unit["pid"], signal.SIGKILL)
        assert [item.pod for item in news if item.kind == "stop-pressed"] == [pod.name]
        assert [item.pod for item in news if item.kind == "returned"] == [pod.name]
        assert before.between(pressed_ns - 500e6, pressed_ns).any()
        silent_ns = pressed_ns + (_SILENT_MS + _FINGER_MS) * 1e6
        assert not before.between(silent_ns, killed_ns).any()
        anew = Played(bench.home(pod))
        assert anew.start_us * 1e3 > killed_ns
        assert len(anew.pcm) * anew.frame_us > 3e6
        assert not anew.pcm.any()
        assert Played(bench.home(other)).between(killed_ns + 2e9, killed_ns + 4e9).any()

    runner.run(body())
