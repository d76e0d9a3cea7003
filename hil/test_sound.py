"""Sound plays when it was asked to, falls silent when told to, and when nobody tells any more."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from dreampods.firmware.dreampod.level import peak_of
from rig import Played

pytestmark = pytest.mark.virtual

_AMPLITUDE = 8000


def _chunks(pod, start_ns: float, seconds: float, wave):
    """Give a pod a stretch of sound from a host time on; `wave(session seconds)` is its sound."""
    form = pod.sound
    chunk_us = form.chunk_frames * 1_000_000 // form.rate_hz
    first_us = int(pod.clock.map.to_pod_us(start_ns))
    for k in range(int(seconds * 1e6 / chunk_us)):
        play_us = first_us + k * chunk_us
        t = (k * form.chunk_frames + np.arange(form.chunk_frames)) / form.rate_hz
        pcm = np.repeat(np.round(wave(t)).astype("<i2")[:, None], form.channels, axis=1)
        pod.play(play_us, pcm.tobytes())


def _click(t):
    return np.where((t >= 0.5) & (t < 0.51), _AMPLITUDE, 0)


def _tone(t):
    return _AMPLITUDE * np.sin(2 * np.pi * 440 * t)


def test_pods_play_at_the_same_moment(run, open_rig, tmp_path, measured):
    async def body():
        async with open_rig() as fleet:
            await asyncio.sleep(3)
            start_ns = time.monotonic_ns() + 200_000_000
            for pod in fleet.pods:
                pod.open_sound()
                _chunks(pod, start_ns, 0.8, _click)
                pod.close_sound()
            await asyncio.sleep(1.6)
            asked_ns = start_ns + 0.5e9
            found = []
            for pod in fleet.pods:
                played = Played(tmp_path / "pods" / pod.name)
                frame = np.nonzero(played.pcm[:, 0] > _AMPLITUDE // 2)[0][0]
                found.append(played.host_ns(frame))
                assert pod.total("late") == 0
            errors_us = (np.array(found) - asked_ns) / 1e3
            measured("sound against its time, mean", float(errors_us.mean()), "us")
            measured("sound between pods", float(np.ptp(errors_us)), "us")
            assert np.abs(errors_us).max() < 1000
            assert np.ptp(errors_us) < 1000

    run(body())


def test_stop_is_silence_within_200_ms(run, open_rig, tmp_path, measured):
    async def body():
        async with open_rig() as fleet:
            start_ns = time.monotonic_ns() + 100_000_000
            for pod in fleet.pods:
                pod.open_sound()
                _chunks(pod, start_ns, 0.9, _tone)
            await asyncio.sleep(0.5)
            stopped_ns = time.monotonic_ns()
            fleet.stop()
            await asyncio.sleep(0.6)
            for pod in fleet.pods:
                played = Played(tmp_path / "pods" / pod.name)
                before = played.between(stopped_ns - 100e6, stopped_ns)
                assert np.abs(before).max() > _AMPLITUDE // 2
                after = played.between(stopped_ns, time.monotonic_ns())[:, 0]
                last = np.nonzero(after)[0].max(initial=0)
                measured(f"{pod.name} silent after stop", last * played.frame_us / 1000, "ms")
                assert not played.between(stopped_ns + 200e6, time.monotonic_ns()).any()

    run(body())


def test_late_sound_is_dropped_counted_and_the_rest_plays(run, open_rig, tmp_path):
    async def body():
        async with open_rig() as fleet:
            pod = fleet.pods[0]
            start_ns = time.monotonic_ns() - 60_000_000
            pod.open_sound()
            _chunks(pod, start_ns, 0.8, _tone)
            pod.close_sound()
            await asyncio.sleep(2.2)
            assert 2 <= pod.total("late") <= 12
            played = Played(tmp_path / "pods" / pod.name)
            there = played.between(start_ns + 300e6, start_ns + 700e6)
            assert np.abs(there).max() > _AMPLITUDE // 2
            assert any(item.kind == "late" for item in fleet.news())

    run(body())


def test_nothing_exceeds_the_ceiling(run, open_rig, tmp_path):
    async def body():
        async with open_rig() as fleet:
            pod = fleet.pods[0]
            pod.open_sound()
            _chunks(
                pod,
                time.monotonic_ns() + 100e6,
                0.6,
                lambda t: 32767 * np.sign(np.sin(2 * np.pi * 100 * t)),
            )
            pod.close_sound()
            await asyncio.sleep(2.0)
            played = Played(tmp_path / "pods" / pod.name)
            assert np.abs(played.pcm.astype(int)).max() == peak_of(pod.limits, {})
            assert pod.stats["ceiling_hits"] > 0

    run(body())
