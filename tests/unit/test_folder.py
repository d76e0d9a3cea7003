"""A session's folder: what it refuses, what a kill and a full disk leave of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_xdf import load, no_file_longer_than

from dreampods.errors import RecordingError
from dreampods.recording import SessionFolder, open_whole


def tone(frames: int, start: int = 0) -> np.ndarray:
    t = (start + np.arange(frames)) / 32000
    left = 0.25 * np.sin(2 * np.pi * 220 * t)
    return np.column_stack([left, -left]).astype(np.float32)


def test_everything_written_is_there(tmp_path: Path) -> None:
    with SessionFolder(tmp_path / "new" / "session") as folder:
        stream = folder.xdf.add_stream("a/pulse", "PPG", ["pulse"], ["V"], 50, "float32")
        folder.xdf.samples(stream, 0.0, np.ones(50))
        folder.event("surge", 1.25, pods=["ä", "b"], level=np.float32(0.5), unknown=float("nan"))
        sound = folder.audio("alder", 32000)
        sound.write(tone(40000))
        assert not (folder.path / "session.json").exists()
        folder.finish({"seconds": 1.0, "pods": [{"name": "ä", "ppm": np.inf}]})
    out = tmp_path / "new" / "session"
    assert sorted(p.name for p in out.iterdir()) == [
        "events.jsonl",
        "mix",
        "session.json",
        "streams.xdf",
    ]
    assert json.loads((out / "session.json").read_text()) == {
        "seconds": 1.0,
        "pods": [{"name": "ä", "ppm": None}],
    }
    assert json.loads((out / "events.jsonl").read_text()) == {
        "session_s": 1.25,
        "kind": "surge",
        "pods": ["ä", "b"],
        "level": 0.5,
        "unknown": None,
    }
    assert load(out / "streams.xdf")[0]["footer"]["info"]["sample_count"] == ["50"]
    heard, rate_hz = soundfile.read(out / "mix" / "alder.flac")
    assert rate_hz == 32000
    np.testing.assert_allclose(heard, tone(40000), atol=1 / 32768)


def test_an_event_is_on_disk_at_once(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path / "s")
    for k in range(3):
        folder.event("tick", k, text="line\nbreak")
        lines = (tmp_path / "s" / "events.jsonl").read_text().splitlines()
        assert [json.loads(line)["session_s"] for line in lines] == list(range(k + 1))
    folder.close()


def test_sound_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    with SessionFolder(tmp_path / "s") as folder:
        folder.audio("loud", 32000).write(np.tile(np.float32([[1.5, -1.5]]), (5000, 1)))
    heard, _ = soundfile.read(tmp_path / "s" / "mix" / "loud.flac")
    assert (heard[:, 0] > 0.99).all()
    assert (heard[:, 1] < -0.99).all()


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    with SessionFolder(tmp_path / "s") as folder:
        for name in ("../../up", "a/b", "..", "größe 1"):
            folder.audio(name, 32000).write(tone(10))
    written = list(tmp_path.rglob("*.flac"))
    assert len(written) == 4
    assert all(p.parent == tmp_path / "s" / "mix" for p in written)


def test_sound_of_another_shape_is_refused(tmp_path: Path) -> None:
    with SessionFolder(tmp_path / "s") as folder:
        sound = folder.audio("a", 32000)
        for shape in ((100,), (100, 1), (2, 100)):
            with pytest.raises(ValueError, match="shape"):
                sound.write(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("left", ["session.json", "streams.xdf"])
def test_a_folder_with_a_session_is_refused_and_left_alone(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_text("precious")
    with pytest.raises(RecordingError, match="already holds a session"):
        SessionFolder(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [left]
    assert (tmp_path / left).read_text() == "precious"


def test_a_place_that_cannot_be_a_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RecordingError, match="not a folder") as told:
            SessionFolder(out)
        assert "\n" not in str(told.value)
    with pytest.raises(RecordingError, match="cannot make the session folder /proc/nowhere"):
        SessionFolder("/proc/nowhere")


def test_a_full_disk_leaves_every_file_readable(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path / "s")
    stream = folder.xdf.add_stream("a", "EEG", ["x"], ["uV"], 250, "float64")
    sound = folder.audio("a", 32000)
    rng = np.random.default_rng(0)
    told: dict[str, str] = {}
    with no_file_longer_than(60_000):
        for k in range(200):
            noise = rng.normal(0, 0.1, (640, 2)).astype(np.float32)
            for what, act in (
                ("xdf", partial(folder.xdf.samples, stream, float(k), rng.normal(size=250))),
                ("flush", folder.xdf.flush),
                ("event", partial(folder.event, "tick", k, text="x" * 500)),
                ("audio", partial(sound.write, noise)),
            ):
                try:
                    act()
                except RecordingError as error:
                    told[what] = str(error)
        with pytest.raises(RecordingError):
            folder.finish({"long": "x" * 70_000})
    assert {"flush", "event", "audio"} <= set(told)
    assert not any("\n" in text for text in told.values())
    out = tmp_path / "s"
    assert sorted(p.name for p in out.iterdir()) == ["events.jsonl", "mix", "streams.xdf"]
    assert len(load(out / "streams.xdf")[0]["time_series"]) > 5000
    assert len([json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]) > 99
    assert len(soundfile.read(out / "mix" / "a.flac")[0]) > 10_000


KILLED = """
import sys, time
import numpy as np
from dreampods.recording import SessionFolder
folder = SessionFolder(sys.argv[1])
stream = folder.xdf.add_stream("a", "EEG", ["x"], ["uV"], 50, "float32")
sound = folder.audio("a", 32000)
rng = np.random.default_rng(0)
frames = 0
while True:
    sound.write(rng.normal(0, 0.1, (640, 2)).astype(np.float32))
    frames += 640
    folder.xdf.samples(stream, frames / 32000, [frames])
    folder.event("tick", frames / 32000)
    print(frames, flush=True)
    time.sleep(0.002)
"""


def test_a_killed_host_leaves_all_but_the_last_second(tmp_path: Path) -> None:
    out = tmp_path / "s"
    host = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    frames = 0
    deadline = time.monotonic() + 30
    while frames < 6 * 32000 and time.monotonic() < deadline:
        frames = int(host.stdout.readline())
    host.send_signal(signal.SIGKILL)
    frames = int((host.stdout.read().splitlines() or [frames])[-1])
    host.wait()
    host.stdout.close()
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert events[-1]["session_s"] >= frames / 32000
    heard, _ = soundfile.read(out / "mix" / "a.flac")
    assert frames - len(heard) < 32000
    assert heard.std() == pytest.approx(0.1, rel=0.05)
    whole, _ = open_whole(out / "streams.xdf")
    assert len(load(whole)) == 1
    assert not (out / "session.json").exists()


def test_closing_is_idempotent_and_reaches_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SessionFolder(tmp_path / "s")
    sound = folder.audio("a", 32000)
    sound.write(tone(10_000))

    def fail() -> None:
        raise RecordingError("the disk is gone")

    monkeypatch.setattr(folder.xdf, "close", fail)
    with pytest.raises(RecordingError, match="the disk is gone"):
        folder.close()
    assert len(soundfile.read(tmp_path / "s" / "mix" / "a.flac")[0]) == 10_000
    with pytest.raises(ValueError, match="closed"):
        folder.event("late", 1.0)
    monkeypatch.undo()
    folder.close()
    folder.close()
