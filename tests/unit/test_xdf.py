"""XDF as others read it: pyxdf is the oracle, also for files that a kill or a full disk left."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dreampods.errors import RecordingError
from dreampods.recording import XdfWriter, open_whole, xdf

XML_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1
).filter(lambda text: text.strip() == text)


def load(source: Any, **options: Any) -> list[dict[str, Any]]:
    """The streams of a file, with times exactly as they were stamped unless asked otherwise."""
    plain = {"synchronize_clocks": False, "dejitter_timestamps": False}
    return pyxdf.load_xdf(source, **(plain | options))[0]


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """The system takes what fits and refuses the rest, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@st.composite
def numeric_chunks(draw: st.DrawFn) -> tuple[str, int, list[np.ndarray]]:
    dtype = draw(st.sampled_from(["float32", "float64", "int32", "int16"]))
    channels = draw(st.integers(1, 5))
    shapes = st.tuples(st.integers(0, 40), st.just(channels))
    return dtype, channels, draw(st.lists(hnp.arrays(dtype, shapes), min_size=1, max_size=4))


@settings(max_examples=60, deadline=None)
@given(
    numeric_chunks(),
    st.floats(1e-3, 1e5),
    st.floats(-1e9, 1e9),
    st.data(),
)
def test_any_numbers_and_labels_come_back(
    chunks: tuple[str, int, list[np.ndarray]], rate_hz: float, first_s: float, data: st.DataObject
) -> None:
    dtype, channels, parts = chunks
    labels = data.draw(st.lists(XML_TEXT, min_size=channels, max_size=channels))
    name = data.draw(XML_TEXT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.xdf"
        writer = XdfWriter(path)
        stream = writer.add_stream(name, "EEG", labels, ["uV"] * channels, rate_hz, dtype)
        stamps = []
        for number, part in enumerate(parts):
            at = first_s + 100.0 * number
            writer.samples(stream, at, part)
            stamps += [at, *[None] * (len(part) - 1)][: len(part)]
            if number % 2:
                writer.flush()
        writer.close()
        (read,) = load(path)
    values = np.concatenate(parts)
    info = read["info"]
    assert info["name"] == [name]
    assert [c["label"][0] for c in info["desc"][0]["channels"][0]["channel"]] == labels
    assert float(info["nominal_srate"][0]) == rate_hz
    # pyxdf gives an empty stream no type.
    assert read["time_series"].dtype == values.dtype or not len(values)
    np.testing.assert_array_equal(read["time_series"], values)
    assert read["footer"]["info"]["sample_count"] == [str(len(values))]
    for stamp, expected in zip(read["time_stamps"], stamps, strict=True):
        assert expected is None or stamp == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.text()), max_size=20))
def test_any_text_markers_come_back(markers: list[tuple[float, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.xdf"
        writer = XdfWriter(path)
        stream = writer.add_stream("events", "Markers", ["kind"], [""], 0, "string")
        writer.samples(stream, [at for at, _ in markers], [text for _, text in markers])
        writer.close()
        (read,) = load(path)
    texts = [text.encode(errors="replace").decode() for _, text in markers]
    assert [row[0] for row in read["time_series"]] == texts
    assert list(read["time_stamps"]) == [at for at, _ in markers]


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1))
def test_a_pods_odd_name_never_breaks_the_file(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odd.xdf"
        writer = XdfWriter(path)
        writer.add_stream(name, "EEG", [name], [name], 250, "float32", desc={"given": name})
        writer.close()
        assert len(load(path)) == 1


def test_description_keeps_its_nesting(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    desc = {"pod": {"board": "RPI <PICO> & co", "pins": [1, 2]}, "synchronization": {"sigma": 0.1}}
    writer.add_stream("a", "EEG", ["x"], ["V"], 10, "int16", source_id="uid:1", desc=desc)
    writer.close()
    info = load(tmp_path / "a.xdf")[0]["info"]
    assert info["source_id"] == ["uid:1"]
    assert info["desc"][0]["pod"][0] == {"board": ["RPI <PICO> & co"], "pins": ["1", "2"]}
    assert info["desc"][0]["synchronization"][0] == {"sigma": ["0.1"]}


def test_a_gap_keeps_its_place_and_width_in_a_reader_with_its_defaults(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "gap.xdf")
    stream = writer.add_stream("p", "PPG", ["pulse"], ["V"], 50, "float32")
    writer.samples(stream, 10.0, np.zeros(50))
    writer.samples(stream, 11.4, np.ones(50))
    writer.close()
    (read,) = pyxdf.load_xdf(tmp_path / "gap.xdf")[0]
    expected = np.concatenate([10.0 + np.arange(50) / 50, 11.4 + np.arange(50) / 50])
    np.testing.assert_allclose(read["time_stamps"], expected, atol=1e-9)


def test_clock_offsets_turn_device_times_into_host_times(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "clock.xdf")
    stream = writer.add_stream("p", "PPG", ["pulse"], ["V"], 50, "float32")
    ahead_s, drift = 300.0, 40e-6
    for second in range(60):
        device_s = ahead_s + second
        writer.samples(stream, device_s, np.zeros(50))
        host_s = 5000.0 + second * (1 + drift)
        writer.clock_offset(stream, device_s, host_s - device_s)
    writer.close()
    (read,) = pyxdf.load_xdf(tmp_path / "clock.xdf")[0]
    truth = 5000.0 + np.arange(3000) / 50 * (1 + drift)
    np.testing.assert_allclose(read["time_stamps"], truth, atol=1e-6)


@pytest.mark.parametrize(
    ("first_s", "values", "says"),
    [
        (0.0, np.zeros((3, 3)), r"\(3, 3\).*\(n, 2\)"),
        (0.0, np.zeros(4), r"\(4,\)"),
        (np.nan, np.zeros((3, 2), dtype=int), "not finite"),
        ([0.0, 1.0], np.zeros((3, 2), dtype=int), "3 samples"),
        (0.0, np.full((1, 2), 40000), "does not fit into int16"),
        (0.0, np.full((1, 2), 2**64 - 1, dtype=np.uint64), "does not fit into int16"),
        (0.0, np.full((1, 2), 0.5), "float64"),
    ],
)
def test_what_would_be_stored_wrongly_is_refused_and_leaves_no_trace(
    tmp_path: Path, first_s: Any, values: Any, says: str
) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    stream = writer.add_stream("a", "EEG", ["x", "y"], ["V", "V"], 10, "int16")
    with pytest.raises(ValueError, match=says):
        writer.samples(stream, first_s, values)
    writer.samples(stream, 1.0, [[-32768, 32767]])
    writer.close()
    np.testing.assert_array_equal(
        load(tmp_path / "a.xdf")[0]["time_series"], np.array([[-32768, 32767]])
    )


def test_wrong_streams_are_refused(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    with pytest.raises(ValueError, match="no stream 1"):
        writer.samples(1, 0.0, [[1]])
    with pytest.raises(ValueError, match="one each"):
        writer.add_stream("a", "EEG", ["x", "y"], ["V"], 10, "int16")
    with pytest.raises(ValueError, match="uint8"):
        writer.add_stream("a", "EEG", ["x"], ["V"], 10, "uint8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rate_hz"):
        writer.add_stream("a", "EEG", ["x"], ["V"], -1, "int16")
    with pytest.raises(ValueError, match="XML element"):
        writer.add_stream("a", "EEG", ["x"], ["V"], 10, "int16", desc={"two words": 1})
    stream = writer.add_stream("e", "Markers", ["kind"], [""], 0, "string")
    with pytest.raises(ValueError, match="list of strings"):
        writer.samples(stream, 0.0, "abc")
    writer.close()
    assert len(load(tmp_path / "a.xdf")) == 1


def test_a_file_that_exists_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.xdf").write_text("precious")
    with pytest.raises(RecordingError, match="already exists"):
        XdfWriter(tmp_path / "a.xdf")
    assert (tmp_path / "a.xdf").read_text() == "precious"


def small_file(path: Path) -> list[tuple[int, int]]:
    """Write a file of every kind of chunk; return (size, samples of stream 1) after each chunk."""
    writer = XdfWriter(path)
    at = []

    def note(samples: int) -> None:
        at.append((path.stat().st_size, samples))

    note(0)
    eeg = writer.add_stream("eeg", "EEG", ["x", "y"], ["uV", "uV"], 250, "int16")
    note(0)
    marks = writer.add_stream("events", "Markers", ["kind"], [""], 0, "string")
    note(0)
    for k in range(3):
        writer.samples(eeg, k * 1.0, np.arange(10 * k, 10 * k + 10).reshape(5, 2))
        writer.flush()
        note(5 * k + 5)
        writer.samples(marks, k * 1.0, ["größer"])
        writer.flush()
        note(5 * k + 5)
        writer.clock_offset(eeg, k * 1.0, 0.25)
        note(5 * k + 5)
    writer.close()
    return at


def test_cut_anywhere_it_opens_with_all_whole_chunks_before(tmp_path: Path) -> None:
    at = small_file(tmp_path / "whole.xdf")
    data = (tmp_path / "whole.xdf").read_bytes()
    assert len(at) == 12
    torn = tmp_path / "torn.xdf"
    for cut in range(len(data) + 1):
        torn.write_bytes(data[:cut])
        if cut < 4:
            with pytest.raises(RecordingError, match="not an XDF file"):
                open_whole(torn)
            continue
        whole, left = open_whole(torn)
        assert whole.getbuffer().nbytes + left == cut
        streams = load(whole)
        samples = max((count for size, count in at if size <= cut), default=0)
        found = streams[0]["time_series"] if streams else np.zeros((0, 2))
        np.testing.assert_array_equal(found, np.arange(2 * samples).reshape(-1, 2))


def test_cut_between_chunks_any_reader_opens_it(tmp_path: Path) -> None:
    for size, samples in small_file(tmp_path / "whole.xdf")[1:]:
        data = (tmp_path / "whole.xdf").read_bytes()[:size]
        assert len(load(BytesIO(data))[0]["time_series"]) == samples


def test_boundaries_let_a_reader_find_its_place_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xdf, "BOUNDARY_EVERY_S", 0.0)
    sizes = [size for size, _ in small_file(tmp_path / "a.xdf")]
    data = bytearray((tmp_path / "a.xdf").read_bytes())
    data[sizes[2]] = 77  # the length of the first chunk of samples
    assert len(load(BytesIO(bytes(data)))[0]["time_series"]) == 10


def test_nothing_is_held_back_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(xdf.time, "monotonic", lambda: now[0])
    path = tmp_path / "a.xdf"
    writer = XdfWriter(path)
    first = writer.add_stream("a", "EEG", ["x"], ["V"], 10, "int16")
    second = writer.add_stream("b", "EEG", ["x"], ["V"], 10, "int16")
    writer.samples(first, 0.0, [1])
    assert not len(load(path)[0]["time_series"])
    now[0] += xdf.HOLD_S
    writer.samples(second, 0.0, [1])
    assert [len(stream["time_series"]) for stream in load(path)] == [1, 1]


def test_a_full_disk_is_told_in_one_line_and_recording_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "full.xdf"
    writer = XdfWriter(path)
    stream = writer.add_stream("a", "EEG", ["x"], ["V"], 100, "int32")
    with no_file_longer_than(5000):
        written = 0
        with pytest.raises(RecordingError, match="free some space") as told:
            while True:
                writer.samples(stream, written * 1.0, np.full(100, written))
                writer.flush()
                written += 1
        assert "\n" not in str(told.value)
        assert written > 3
        assert len(load(path)[0]["time_series"]) == 100 * written
    writer.samples(stream, 99.0, np.full(100, 99))
    writer.close()
    (read,) = load(path)
    assert list(read["time_series"][::100, 0]) == [*range(written), 99]
    assert read["footer"]["info"]["sample_count"] == [str(100 * (written + 1))]


KILLED = """
import itertools, sys, time
import numpy as np
from dreampods.recording import XdfWriter
writer = XdfWriter(sys.argv[1])
names = ["w", "x", "y", "z"]
streams = [writer.add_stream(f"s{k}", "EEG", names, names, 250, "float32") for k in range(8)]
print("recording", flush=True)
while True:
    now = time.time()
    for stream in streams:
        writer.samples(stream, now, np.full((5, 4), now))
    time.sleep(0.01)
"""


def test_killed_at_any_moment_it_opens_and_lacks_less_than_a_second(tmp_path: Path) -> None:
    for attempt in range(4):
        path = tmp_path / f"{attempt}.xdf"
        host = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert host.stdout is not None
        host.stdout.readline()
        time.sleep(1.1 + 0.173 * attempt)
        host.send_signal(signal.SIGKILL)
        killed_s = time.time()
        host.wait()
        host.stdout.close()
        streams = load(path)
        assert len(streams) == 8
        for stream in streams:
            assert killed_s - stream["time_stamps"].max() < 1.0


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.close()
    size = (tmp_path / "a.xdf").stat().st_size
    writer.close()
    assert (tmp_path / "a.xdf").stat().st_size == size
    with pytest.raises(ValueError, match="closed"):
        writer.add_stream("a", "EEG", ["x"], ["V"], 10, "int16")
