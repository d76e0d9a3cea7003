"""Pods on a network hold sessions as those on a cable do; a Wi-Fi that goes, a wrong host: all is told.

The network is this computer's own: the pods' firmware really talks TLS, and is found by mDNS.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dreampods as dp
from dreampods.firmware.dreampod import wire
from dreampods.fleet import News, Pod
from dreampods.image import architecture, build_image, write_bundle
from dreampods.registry import FleetFolder
from dreampods.resonance.ima import encode_ima
from rig import Played, lost_samples

pytestmark = pytest.mark.virtual

_SECONDS = 10
_BACK_WITHIN_S = 30.0
_CONSENT = '[participant.pod-1]\nname = "a test"\nuses = ["sense", "record", "share"]\n'


async def _until(fleet: dp.Fleet, kind: str, heard: list[News]) -> News:
    """The first news of this kind from now on; all news on the way are kept in `heard`."""
    until = time.monotonic() + _BACK_WITHIN_S
    while time.monotonic() < until:
        for item in fleet.news():
            heard.append(item)
            if item.kind == kind:
                return item
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {kind!r} within {_BACK_WITHIN_S:.0f} s, but {heard}")


def _tone(pod: Pod, start_ns: int, seconds: float) -> None:
    """A tone from a host time on."""
    form = pod.sound
    chunk_us = form.chunk_frames * 1_000_000 // form.rate_hz
    first_us = int(pod.clock.map.to_pod_us(start_ns))
    for number in range(int(seconds * 1e6 / chunk_us)):
        frames = number * form.chunk_frames + np.arange(form.chunk_frames)
        wave = np.round(8000 * np.sin(2 * np.pi * 440 * frames / form.rate_hz)).astype("<i2")
        pcm = np.repeat(wave[:, None], form.channels, axis=1)
        pod.play(first_us + number * chunk_us, encode_ima(pcm))


def test_a_session_over_wi_fi_loses_nothing(run, open_rig, tmp_path, measured):
    async def body():
        async with open_rig("virtual-wifi:2") as fleet:
            assert all(pod.port.startswith("tcp://") for pod in fleet.pods)
            assert all(pod.sound.codec == wire.CODEC_IMA for pod in fleet.pods)
            async with dp.Session(
                fleet, dp.load_scene("tide"), tmp_path / "session", seconds=_SECONDS
            ) as session:
                async for _ in session:
                    pass

    run(body())
    summary = json.loads((tmp_path / "session" / "session.json").read_text())
    for pod in summary["pods"]:
        assert lost_samples(pod) == {}
        for stream in pod["streams"]:
            assert stream["samples"] >= (_SECONDS - 1) * stream["rate_hz"]
        assert pod["sound"]["chunks"] >= (_SECONDS - 1) / 0.03
        assert pod["sound"]["late"] == 0
        assert pod["sound"]["underruns"] == 0
        assert pod["sound"]["i2s_slips"] == 0
        measured(f"{pod['name']} sigma", pod["clock"]["sigma_us"], "us")
        assert pod["clock"]["sigma_us"] < 500
        played = Played(tmp_path / "pods" / pod["name"])
        assert np.abs(played.pcm).max() > 300


@pytest.mark.soak
def test_a_pod_whose_wi_fi_goes_fades_and_comes_back_with_it(run, open_rig, tmp_path, measured):
    async def body():
        heard: list[News] = []
        async with open_rig("virtual-wifi:1") as fleet:
            pod, folder = fleet.pods[0], tmp_path / "pods" / "pod-1"
            life = pod.boot_id
            fleet.news()
            pod.open_sound()
            _tone(pod, time.monotonic_ns() + 200_000_000, 0.7)
            await asyncio.sleep(0.6)
            gone_ns = time.monotonic_ns()
            (folder / "faults.json").write_text('{"wifi": "gone"}')
            lost = await _until(fleet, "lost", heard)
            measured("noticed after", (lost.host_ns - gone_ns) * 1e-6, "ms")
            assert lost.host_ns - gone_ns < 1e9
            await asyncio.sleep(max(0.0, 6.5 - (time.monotonic_ns() - gone_ns) * 1e-9))
            played = Played(folder)
            assert np.abs(played.between(gone_ns - 200e6, gone_ns)).max() > 1000
            bed = played.between(gone_ns + 1500e6, gone_ns + 3000e6).astype(int)
            assert 0 < np.abs(bed).max() < 330
            rest = played.between(gone_ns + 6000e6, time.monotonic_ns())
            assert len(rest) and not rest.any()

            (folder / "faults.json").write_text("{}")
            there_ns = time.monotonic_ns()
            back = await _until(fleet, "returned", heard)
            measured("back after", (back.host_ns - there_ns) * 1e-9, "s")
            assert pod.boot_id == life, "it waited; it did not reset"
            pod.open_sound()
            _tone(pod, time.monotonic_ns() + 1_500_000_000, 0.5)
            await asyncio.sleep(2.5)
            assert np.abs(Played(folder).between(there_ns, time.monotonic_ns())).max() > 1000

    run(body())


def test_another_fleets_host_gets_one_line_and_the_next_good_host_is_told(run, open_rig, tmp_path):
    async def visit(fleet_folder: Path) -> list[News]:
        async with dp.open_pods("tcp://pod-1.local", fleet=fleet_folder) as fleet:
            await asyncio.sleep(0.5)
            return fleet.news()

    async def body():
        FleetFolder.create(tmp_path / "theirs", "theirs")
        with _simulated(tmp_path / "sim") as (_, ours):
            with pytest.raises(dp.LinkError) as told:
                await visit(tmp_path / "theirs")
            assert "belongs to another fleet; give its own by --fleet" in str(told.value)
            assert "\n" not in str(told.value)
            refused = [item.text for item in await visit(ours) if item.kind == "turned-away"]
            assert any("refused 127.0.0.1" in text for text in refused), refused

    run(body())


def test_a_stranger_hinders_neither_a_rollback_nor_a_test(tmp_path):
    FleetFolder.create(tmp_path / "theirs", "theirs")

    def do(command: str, fleet: Path) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "dreampods", command, "tcp://pod-1.local"]
        return subprocess.run(
            [*words, "--fleet", str(fleet)], capture_output=True, text=True, timeout=120
        )

    with _simulated(tmp_path / "sim") as (_, ours):
        for command, told in (("rollback", "slot b is empty"), ("selftest", "1 of 1 pods passed")):
            assert "belongs to another fleet" in do("rollback", tmp_path / "theirs").stderr
            done = do(command, ours)
            assert told in done.stdout + done.stderr


@pytest.mark.soak
def test_a_pod_that_stood_still_or_restarted_is_met_again_by_itself(run, open_rig, measured):
    async def body():
        heard: list[News] = []
        async with open_rig("virtual-wifi:1") as fleet:
            pod, pid = fleet.pods[0], fleet.virtual.pods[0]["pid"]
            life = pod.boot_id
            fleet.news()
            os.kill(pid, signal.SIGSTOP)
            await _until(fleet, "lost", heard)
            os.kill(pid, signal.SIGCONT)
            await _until(fleet, "returned", heard)
            assert pod.boot_id == life
            os.kill(pid, signal.SIGKILL)
            killed_ns = time.monotonic_ns()
            lost = await _until(fleet, "lost", heard)
            assert "the port is gone" in lost.text
            back = await _until(fleet, "returned", heard)
            measured("back after its power went", (back.host_ns - killed_ns) * 1e-9, "s")
            assert pod.boot_id != life
            assert pod.boots == 2

    run(body())


@contextlib.contextmanager
def _simulated(out: Path) -> Iterator[tuple[list[list[str]], Path]]:
    """`dreampods sim 1 --board virtual-wifi`: the lines it prints, and where its fleet's keys are."""
    command = [sys.executable, "-m", "dreampods", "sim", "1", "--board", "virtual-wifi"]
    sim = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE, text=True)
    try:
        yield [sim.stdout.readline().split()], out / "fleet"
    finally:
        sim.send_signal(signal.SIGINT)
        sim.wait(10)


@pytest.mark.soak
def test_run_takes_the_address_that_sim_prints(tmp_path):
    (tmp_path / "consent.toml").write_text(_CONSENT)
    with _simulated(tmp_path / "sim") as (lines, keys):
        name, port, folder = lines[0]
        assert (name, port) == ("pod-1", "tcp://pod-1.local")
        assert (Path(folder) / "flash.bin").exists()
        command = [sys.executable, "-m", "dreampods", "run", "tide", "--pods", port]
        options = ["--seconds", "5", "--consent", "consent.toml", "--out", "night"]
        done = subprocess.run(
            [*command, *options, "--fleet", str(keys)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "night" / "session.json").read_text())
    assert [pod["name"] for pod in summary["pods"]] == ["pod-1"]
    assert summary["pods"][0]["sound"]["underruns"] == 0
    assert (tmp_path / "night" / "report.html").exists()


@pytest.mark.soak
def test_a_pod_is_updated_and_taken_back_over_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr("dreampods.image.build.RELEASE", 1000)
    image = build_image("virtual-wifi", architecture("virtual-wifi"))

    def do(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dreampods", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == int(fails), done.stderr
        return done.stderr if fails else done.stdout

    with _simulated(tmp_path / "sim") as (lines, folder):
        bundle, port, keys = str(tmp_path / "next"), lines[0][1], ("--fleet", str(folder))
        write_bundle(image, FleetFolder.load(folder).signing_key, Path(bundle))
        assert "nothing to go back to" in do("rollback", port, *keys, fails=True)
        assert "updated: release 1000 in slot b" in do("update", bundle, port, *keys)
        assert "nothing to do" in do("update", bundle, port, *keys)
        assert "in slot a" in do("rollback", port, *keys)
        assert "no fleet there" in do("rollback", port, "--fleet", str(tmp_path), fails=True)
