"""Cables spoil bytes, pods and hosts die in mid-session: what was good goes on, what was lost is told."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import pyxdf

import dreampods as dp
from dreampods.virtual import VirtualPods
from rig import Faulty, Played, lost_samples

pytestmark = pytest.mark.virtual


def _flip(data: bytes, dice: random.Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(1 + len(spoiled) // 200):
        spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(8)
    return bytes(spoiled)


def _drop(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + data[at + dice.randint(1, 8) :]


def _double(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[: at + 1] + data[at:]


@pytest.mark.parametrize("fault", [_flip, _drop, _double], ids=["flipped", "dropped", "doubled"])
def test_spoiled_bytes_are_counted_never_accepted_and_the_link_recovers(
    fault, run, tapes, tmp_path, measured
):
    async def body():
        dice = random.Random(1)
        pods = VirtualPods(1, recordings=tapes, folder=tmp_path / "pods")
        cable = Faulty((await pods.start())[0])
        try:
            async with dp.open_pods(cable.port) as fleet:
                pod = fleet.pods[0]
                pod.sense({"eeg", "pulse", "breath"})
                pod.open_sound()
                seen: list[np.ndarray] = []
                pod.on_samples = lambda _pod, stream, values: (
                    seen.append(values[:, 0]) if stream.name == "eeg" else None
                )
                await asyncio.sleep(0.5)
                cable.spoil = lambda data: (
                    fault(data, dice) if data and dice.random() < 0.3 else data
                )
                end = time.monotonic() + 4
                while time.monotonic() < end:
                    past_us = pod.clock.map.to_pod_us(time.monotonic_ns()) - 1e6
                    pod.play(
                        int(past_us), bytes(960)
                    )  # too late to be heard: the link is of interest
                    await asyncio.sleep(0.015)
                cable.spoil = lambda data: data
                cleared = time.monotonic()
                before = pod.stats.get("rx_frames", 0)
                blocks = len(seen)
                while pod.state != "ready" or pod.protocol.backlog or len(seen) == blocks:
                    assert time.monotonic() - cleared < 1.0, (
                        f"not recovered within 1 s: {pod.state}, {pod.protocol.backlog} frames wait"
                    )
                    await asyncio.sleep(0.01)
                measured("recovered after", 1000 * (time.monotonic() - cleared), "ms")
                await asyncio.sleep(1.2)
                assert pod.stats["rx_frames"] > before
                assert pod.protocol.corrupt + pod.protocol.lost_frames > 0
                assert (
                    pod.stats["rx_corrupt"]
                    + pod.stats["rx_out_of_order"]
                    + pod.stats["rx_skipped"]
                    > 0
                )
                # Whatever was accepted is the recording, sample for sample
                tape = np.fromfile(tmp_path / "pods" / "pod-1" / "tape" / "eeg.i32", "<i4")
                values = np.concatenate(seen)
                counts = values[np.isfinite(values)] / pod.stream("eeg").scale
                assert set(counts.round()) <= set(tape)
        finally:
            cable.close()
            await pods.close()

    run(body())


def _start_session(tmp_path, tapes, seconds):
    out = tmp_path / "session"
    host = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dreampods",
            "run",
            "tide",
            "--pods",
            "virtual:2",
            "--seconds",
            str(seconds),
            "--out",
            str(out),
            "--recordings",
            str(tapes),
        ],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (out / "events.jsonl").exists():
        assert host.poll() is None, host.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return out, host


def test_a_killed_host_leaves_silence_and_a_whole_record(tmp_path, tapes, measured):
    out, host = _start_session(tmp_path, tapes, 60)
    time.sleep(8)
    killed_ns = time.monotonic_ns()
    host.send_signal(signal.SIGKILL)
    host.wait()
    time.sleep(5.8)
    for name in ("pod-1", "pod-2"):
        played = Played(out / "pods" / name)
        assert np.abs(played.between(killed_ns - 500e6, killed_ns)).max() > 300
        # The stream is gone within 1 s; what remains is the pod's own quiet bed
        bed = np.abs(played.between(killed_ns + 1000e6, killed_ns + 5500e6).astype(int)).max()
        measured(f"{name} bed", 20 * np.log10(max(1, bed) / 32767), "dBFS")
        assert bed < 330
        rest = played.between(killed_ns + 5500e6, time.monotonic_ns())
        assert len(rest) and not rest.any()
    streams, _ = pyxdf.load_xdf(out / "streams.xdf")
    eeg = next(stream for stream in streams if stream["info"]["name"][0] == "pod-1/eeg")
    last_s = eeg["time_stamps"][-1]
    measured("lost of the record", killed_ns * 1e-9 - last_s, "s")
    assert killed_ns * 1e-9 - last_s < 1.0
    report = subprocess.run(
        [sys.executable, "-m", "dreampods", "report", str(out)], capture_output=True, text=True
    )
    assert report.returncode == 0, report.stderr


def test_a_killed_pod_is_noticed_the_others_play_on_and_it_rejoins(
    run, open_rig, tapes, tmp_path, measured
):
    async def body():
        async with open_rig("virtual:3") as fleet:
            unit = fleet.virtual.pods[1]
            news, killed = [], None
            async with dp.Session(
                fleet, dp.load_scene("tide"), tmp_path / "session", seconds=14
            ) as session:
                async for moment in session:
                    news += moment.news
                    if killed is None and moment.t > 5:
                        killed = time.monotonic_ns()
                        os.kill(unit["pid"], signal.SIGKILL)
        lost = next(item for item in news if item.kind == "lost")
        assert lost.pod == "pod-2"
        measured("noticed after", (lost.host_ns - killed) * 1e-6, "ms")
        assert lost.host_ns - killed < 1e9
        returned = next(item for item in news if item.kind == "returned" and item.host_ns > killed)
        measured("rejoined after", (returned.host_ns - killed) * 1e-9, "s")
        summary = json.loads((tmp_path / "session" / "session.json").read_text())
        for pod in summary["pods"]:
            assert pod["boots"] == (2 if pod["name"] == "pod-2" else 1)
            assert pod["sound"]["chunks"] > (400 if pod["name"] == "pod-2" else 800)
            if pod["name"] != "pod-2":
                assert pod["sound"]["underruns"] == 0
                assert lost_samples(pod) == {}
        again = Played(tmp_path / "pods" / "pod-2")
        assert np.abs(again.pcm).max() > 300

    run(body())


def test_an_interrupted_session_stops_the_sound_and_keeps_the_record(tmp_path, tapes):
    out, host = _start_session(tmp_path, tapes, 60)
    time.sleep(5)
    interrupted_ns = time.monotonic_ns()
    host.send_signal(signal.SIGINT)
    assert host.wait(60) == 130
    assert b"Traceback" not in host.stderr.read()
    assert json.loads((out / "session.json").read_text())["stopped"] == "interrupted"
    assert (out / "report.html").exists()
    for name in ("pod-1", "pod-2"):
        played = Played(out / "pods" / name)
        assert np.abs(played.between(interrupted_ns - 500e6, interrupted_ns)).max() > 300
        # 200 ms from the stop, and what the host needs to come to it
        assert not played.between(interrupted_ns + 400e6, time.monotonic_ns()).any()
