"""A session counts only its own, is one at a time, keeps to consent, and does not end with its terminal."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import pyxdf
import soundfile

import dreampods as dp
from rig import lost_samples

pytestmark = pytest.mark.virtual


def test_two_sessions_in_turn_each_count_their_own(run, open_rig, tmp_path):
    async def body():
        async with open_rig("virtual:2") as fleet:
            for name in ("one", "two"):
                async with dp.Session(
                    fleet, dp.load_scene("tide"), tmp_path / name, seconds=3
                ) as session:
                    with pytest.raises(dp.DreampodsError, match="already"):
                        await dp.Session(fleet, dp.load_scene("tide"), tmp_path / "x").__aenter__()
                    async for _ in session:
                        pass
        for name in ("one", "two"):
            summary = json.loads((tmp_path / name / "session.json").read_text())
            assert (tmp_path / name / "report.html").exists()
            for pod in summary["pods"]:
                assert 150 <= pod["sound"]["chunks"] <= 201  # of 15 ms, in 3 s
                assert pod["sound"]["late"] == 0
                assert lost_samples(pod) == {}
                for stream in pod["streams"]:
                    assert stream["samples"] < 5 * stream["rate_hz"]

    run(body())


def test_what_is_taken_back_is_not_kept_any_more(run, open_rig, tmp_path):
    async def body():
        async with open_rig("virtual:2") as fleet, dp.Session(
            fleet, dp.load_scene("tide"), tmp_path / "s", seconds=8
        ) as session:
            async for moment in session:
                if moment.t > 3 and session.consent.allows("pod-1", "record"):
                    session.revoke("pod-1", "record")
                    session.revoke("pod-2", "share")
                    revoked_s = time.monotonic()
                if moment.t > 5:
                    assert moment.pods[1].send_gain_db == -120
        streams, _ = pyxdf.load_xdf(tmp_path / "s" / "streams.xdf")
        last = {stream["info"]["name"][0]: stream["time_stamps"][-1] for stream in streams}
        assert last["pod-1/eeg"] < revoked_s + 0.5
        assert last["group"] < revoked_s + 0.5
        assert last["pod-2/eeg"] > revoked_s + 3
        for name, longest_s in (("pod-1", 4.5), ("collective", 4.5)):
            sound, rate = soundfile.read(tmp_path / "s" / "mix" / f"{name}.flac")
            assert len(sound) / rate < longest_s

    run(body())


def test_a_terminal_that_goes_away_does_not_end_the_session(tmp_path, tapes):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "dreampods", "run", "tide", "--pods", "virtual:1"]
    options = ["--seconds", "6", "--out", str(out), "--recordings", str(tapes)]
    run = subprocess.Popen([*command, *options], stderr=subprocess.PIPE)
    run.stderr.readline()
    run.stderr.close()
    run.wait(60)
    summary = json.loads((out / "session.json").read_text())
    assert summary["stopped"] is None
    assert summary["seconds"] == 6
    assert (out / "report.html").exists()


def test_leaving_early_stops_the_sound_and_says_so(run, open_rig, tmp_path):
    async def body():
        async with open_rig("virtual:1") as fleet:
            async with dp.Session(
                fleet, dp.load_scene("tide"), tmp_path / "s", seconds=30
            ) as session:
                async for moment in session:
                    if moment.t > 2:
                        break
            await asyncio.sleep(0.1)
            assert fleet.pods[0].stats["state"] != 1
        summary = json.loads((tmp_path / "s" / "session.json").read_text())
        assert summary["stopped"] == "left before its end"
        assert np.isclose(summary["seconds"], 2, atol=0.6)

    run(body())
