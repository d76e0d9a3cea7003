"""A report tells what was measured, beside its chance, with its gaps, and from any wreck."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_session import DATA, plain_bodies, real_bodies, write_session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreampods.errors import RecordingError
from dreampods.recording import SessionFolder, write_report
from dreampods.recording.drawing import broken_line, robust_limits, spread
from dreampods.recording.figures_sleepers import spectrum_over_time, upward_crossings
from dreampods.recording.reading import Recorded, Track, read_session
from dreampods.recording.together import agreement_of, order_of, pairs_of

SECONDS = 45


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "session"
    write_session(folder, plain_bodies(SECONDS, 4), SECONDS)
    write_report(folder)
    return folder


def text_of(html: str) -> str:
    """What a reader reads: no style, no drawing."""
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    html = re.sub(r"<svg.*?</svg>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\u202f", " "))


def words_drawn(html: str) -> list[str]:
    """The texts inside the figures."""
    return [
        "".join(node.itertext())
        for svg in re.findall(r"<svg.*?</svg>", html, flags=re.S)
        for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


class Balance(HTMLParser):
    """Fails on an element that is closed out of order or never."""

    VOID = ("meta", "br", "img", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag != "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_is_one_whole_page_that_fetches_nothing(finished: Path) -> None:
    html = (finished / "report.html").read_text()
    page = Balance()
    page.feed(html)
    assert not page.open
    assert html.count("<svg") > 8
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html)
    assert not re.search(r"url\((?!#)", html)
    ids = re.findall(r'<clipPath id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_it_names_what_when_who_and_whose(finished: Path) -> None:
    text = text_of((finished / "report.html").read_text())
    for part in (
        "tide",
        "4 sleepers · 45 s · 23 November 2026, 22:04 UTC+01:00",
        "alder birch cedar dogwood",
        "Mei et al. 2018",
        "hazel: no frame for 1 s",
        "surge",
        "micropython 1.28.0 unix (virtual)",
        "What this page does not say.",
    ):
        assert part in text


def test_its_figures_are_those_of_the_recording(finished: Path) -> None:
    session = read_session(finished)
    order = order_of(session)
    assert order is not None
    text = text_of((finished / "report.html").read_text())
    assert f"Mean order R {order.value.mean():.2f} by chance {order.chance.mean():.2f}" in text
    assert f"{0.05 * 4:.1f} expected by chance" in text
    lost = 250 * 2 + 50 * 2 + 50 * 2
    assert f"lost {lost}" in text
    state = session.track("cedar", "state")
    assert state is not None
    assert "Late sound 3 chunks; 0 underruns" in text


def test_every_synchrony_figure_stands_beside_its_chance(finished: Path) -> None:
    html = (finished / "report.html").read_text()
    text, drawn = text_of(html), words_drawn(html)
    for tile in ("Mean order R", "Time in clear order", "Pairs above chance"):
        assert "chance" in text[text.index(tile) : text.index(tile) + 60]
    pairs = pairs_of(read_session(finished))
    assert len(pairs) == 6
    for pair in pairs:
        assert f"{np.nanmean(pair.plv):.2f}" in drawn
        assert f"chance {np.nanmean(pair.chance):.2f}" in drawn
    assert any(words.startswith("chance, on") for words in drawn)
    assert "mean, and the span of chance" in drawn


def without(session: Path, out: Path, *labels: str) -> Path:
    """The same session, recorded without some channels."""
    whole = read_session(session)
    with SessionFolder(out) as folder:
        for track in whole.tracks.values():
            keep = [k for k, label in enumerate(track.labels) if label not in labels]
            if keep:
                stream = folder.xdf.add_stream(
                    track.name,
                    track.type,
                    [track.labels[k] for k in keep],
                    [track.units[k] for k in keep],
                    track.rate_hz,
                    "float64",
                )
                folder.xdf.samples(stream, track.time_s, track.values[:, keep])
    return out


def test_without_a_recorded_chance_no_synchrony_is_shown(finished: Path, tmp_path: Path) -> None:
    pairs = [pair.a + "~" + pair.b for pair in pairs_of(read_session(finished))]
    bare = without(
        finished,
        tmp_path / "bare",
        "order_chance",
        "breath_phase_rad",
        *[f"{pair}:chance" for pair in pairs],
    )
    html = write_report(bare).read_text()
    text = text_of(html)
    assert "Mean order R" not in text
    assert "Pairs above chance" not in text
    assert "With the others" not in text
    assert "order R" not in words_drawn(html)
    assert "The sleepers" in text


def test_a_single_sleeper_is_no_group(tmp_path: Path) -> None:
    write_session(tmp_path / "s", plain_bodies(20, 1), 20)
    html = write_report(tmp_path / "s").read_text()
    assert "1 sleeper ·" in text_of(html)
    assert "Mean order R" not in text_of(html)
    assert "order R" not in words_drawn(html)


def test_a_killed_session_still_gives_a_report_that_says_so(tmp_path: Path) -> None:
    folder = write_session(tmp_path / "s", plain_bodies(SECONDS, 2), SECONDS, finish=False)
    folder.xdf.flush()
    with (tmp_path / "s" / "streams.xdf").open("ab") as file:
        file.write(b"\x04\xff\x00\x00\x00\x03\x00torn")
    with (tmp_path / "s" / "events.jsonl").open("a") as file:
        file.write('{"session_s": 3, "ki')
    text = text_of(write_report(tmp_path / "s").read_text())
    assert "There is no session.json: the session did not end in order." in text
    assert "The last 11 bytes of streams.xdf are a torn chunk" in text
    assert "Line 7 of events.jsonl is no whole event" in text
    assert "tide" in text
    assert "alder" in text
    assert "participant" not in text
    folder.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 40])
def test_a_session_killed_before_its_first_sound_gives_a_report(
    finished: Path, tmp_path: Path, count: int
) -> None:
    with SessionFolder(tmp_path / "s") as folder:
        for track in read_session(finished).tracks.values():
            stream = folder.xdf.add_stream(
                track.name, track.type, track.labels, track.units, track.rate_hz, "float64"
            )
            values = track.values[:count].copy()
            if "level_dbfs" in track.labels:
                values[
                    :, track.labels.index("level_dbfs")
                ] = -200.0  # as written while nothing plays
            folder.xdf.samples(stream, track.time_s[:count], values)
    assert "cedar" in text_of(write_report(tmp_path / "s").read_text())


def test_streams_alone_are_enough(finished: Path, tmp_path: Path) -> None:
    shutil.copy(finished / "streams.xdf", tmp_path)
    text = text_of(write_report(tmp_path).read_text())
    # Without the session's own count, the samples missing between two others are counted.
    assert re.search(r"cedar 10 750 250 500 2 150 50 100 2 150 50 100", text)


def test_what_is_no_session_is_told_in_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RecordingError, match=r"has no streams\.xdf") as told:
            write_report(folder)
        assert "\n" not in str(told.value)
    (tmp_path / "streams.xdf").write_text("not at all")
    with pytest.raises(RecordingError, match="is not an XDF file"):
        write_report(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "streams", "clock", "sound", "samples", "lost", "ppm", "?"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("seconds", "scene", "started", "recordings", "warnings", "pods"), JSON
        ),
    )
)
def test_no_summary_can_stop_a_report(tmp_path: Path, summary: dict[str, Any]) -> None:
    out = tmp_path / "s"
    shutil.rmtree(out, ignore_errors=True)
    with SessionFolder(out) as folder:
        stream = folder.xdf.add_stream("a/breath", "Respiration", ["breath"], ["V"], 50, "float32")
        folder.xdf.samples(stream, 3.0, np.ones(100))
    (out / "session.json").write_text(json.dumps(summary))
    Balance().feed(write_report(out).read_text())


def test_repeated_material_is_told(tmp_path: Path) -> None:
    write_session(tmp_path / "s", plain_bodies(20, 2), 20)
    summary = json.loads((tmp_path / "s" / "session.json").read_text())
    summary["pods"][0]["material_s"] = 12.0
    summary["pods"][1]["material_s"] = 75.0
    (tmp_path / "s" / "session.json").write_text(json.dumps(summary))
    text = text_of(write_report(tmp_path / "s").read_text())
    assert "alder sleeper 1 · replayed, began again every 12 s" in text
    assert text.count("began again") == 1


def test_names_cannot_write_into_the_page(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script> $\\frac$ &amp;'
    with SessionFolder(tmp_path / "s") as folder:
        for kind in ("eeg", "state"):
            stream = folder.xdf.add_stream(f"{evil}/{kind}", "EEG", [evil], [evil], 50, "float32")
            folder.xdf.samples(stream, 0.0, np.arange(500) % 50)
        folder.event(evil, 1.0, **{evil: evil})
        folder.finish({"scene": evil, "warnings": [evil], "pods": [{"name": evil}]})
    html = write_report(tmp_path / "s").read_text()
    Balance().feed(html)
    assert "<script" not in html
    assert any(evil in words for words in words_drawn(html))


def track(time_s: Any, values: Any = None, rate_hz: float = 10.0, type: str = "EEG") -> Track:
    time_s = np.asarray(time_s, dtype=float)
    values = np.zeros(len(time_s)) if values is None else np.asarray(values, dtype=float)
    return Track("a/x", type, ("x",), ("uV",), rate_hz, time_s, values.reshape(len(time_s), -1))


def test_a_gap_is_found_counted_and_not_bridged() -> None:
    time_s = np.concatenate([np.arange(0, 30), np.arange(50, 80)]) / 10
    broken = track(time_s)
    (gap,) = broken.gaps(8.0)
    assert gap == pytest.approx((2.9, 5.0))
    assert broken.missing == 20
    assert broken.gaps(20.0)[1] == pytest.approx((7.9, 20.0))
    x, y = broken_line(time_s, np.ones(60), broken.longest_step_s)
    assert np.flatnonzero(np.isnan(y)).tolist() == [30]
    assert np.isnan(x[30])
    assert np.isnan(broken.at(np.array([4.0]), "x")).all()


def test_a_single_lost_sample_of_a_sensor_is_a_gap() -> None:
    time_s = np.delete(np.arange(100) / 10, 40)
    assert len(track(time_s).gaps(10.0)) == 1
    assert track(time_s).missing == 1
    # The host's own notes may come a little late.
    assert not track(time_s, type="State").gaps(10.0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 5000), st.integers(5, 60))
def test_a_long_trace_keeps_its_extremes_and_its_gaps(seed: int, count: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(count) < 0.02, 30.0, 1.0)
    time_s, values = np.cumsum(steps), rng.normal(size=count)
    x, y = broken_line(time_s, values, 1.5, columns)
    assert np.nanmax(y) == values.max()
    assert np.nanmin(y) == values.min()
    assert np.isnan(y).sum() == (steps[1:] > 1.5).sum()
    assert (np.diff(x[~np.isnan(x)]) >= 0).all()
    # No line across a gap: between two drawn points that touch, no step of the data is a gap.
    starts, ends = time_s[:-1][steps[1:] > 1.5], time_s[1:][steps[1:] > 1.5]
    for start, end in zip(starts, ends, strict=True):
        assert not ((x[:-1] <= start) & (x[1:] >= end)).any()


def test_an_artefact_does_not_flatten_a_trace() -> None:
    values = np.sin(np.arange(10_000) / 10)
    values[5000:5010] = 1e6
    low, high = robust_limits(values)
    assert -1.5 < low < -1
    assert 1 < high < 1.5


def test_labels_are_moved_apart_in_their_order() -> None:
    places = spread([0.5, 0.5, 0.1, 0.51], 0.1)
    assert np.diff(sorted(places)).min() > 0.0999
    assert np.argsort(places, kind="stable").tolist() == [2, 0, 1, 3]


def test_device_times_follow_a_crystal_that_drifts_and_restarts(tmp_path: Path) -> None:
    with SessionFolder(tmp_path / "s") as folder:
        stream = folder.xdf.add_stream("a/breath", "Respiration", ["x"], ["V"], 10, "float64")
        folder.event("start", 0.0, host_s=7000.0)
        for boot, (host_s, device_s) in enumerate(((7000.0, 500.0), (7030.0, 2.0))):
            for second in range(20):
                # 100 ppm fast in the first ten seconds, right afterwards
                wrong_s = 100e-6 * min(second, 10) * (boot == 0)
                at = device_s + second + wrong_s
                folder.xdf.samples(stream, at, second + np.arange(10) / 10 + 30 * boot)
                folder.xdf.clock_offset(stream, at, host_s + second - at)
    session = read_session(tmp_path / "s")
    breath = session.track("a", "breath")
    assert breath is not None
    truth = breath.values[:, 0]
    assert np.abs(breath.time_s - truth).max() < 1e-4
    assert len(breath.gaps(50.0)) == 1


def recorded(phases: np.ndarray) -> Recorded:
    """A session of these breath phases (sleepers, n) at 10 Hz, all of full confidence."""
    time_s = np.arange(phases.shape[1]) / 10
    labels = ("breath_phase_rad", "breath_confidence")
    tracks = {
        f"p{k}/state": Track(
            f"p{k}/state",
            "State",
            labels,
            ("", ""),
            10.0,
            time_s,
            np.column_stack([phase, np.ones(len(phase))]),
        )
        for k, phase in enumerate(phases)
    }
    pods = [f"p{k}" for k in range(len(phases))]
    return Recorded(Path(), True, {}, [], tracks, pods, len(time_s) / 10, [])


def independent(rng: np.random.Generator, sleepers: int, seconds: int) -> np.ndarray:
    """Breaths at 10 to 20 a minute whose rate wanders by a tenth, as sleepers' does."""
    rate_hz = rng.uniform(10, 20, (sleepers, 1)) / 60
    wander = 0.1 * rng.normal(size=(sleepers, seconds * 10)) * np.sqrt(10)
    return np.cumsum(2 * np.pi * rate_hz * (1 + wander) / 10, axis=1) + rng.uniform(
        0, 2 * np.pi, (sleepers, 1)
    )


@pytest.mark.parametrize(("seconds", "most"), [(60, 0.10), (300, 0.07)])
def test_independent_sleepers_lie_within_the_span_of_chance(seconds: int, most: float) -> None:
    rng = np.random.default_rng(3)
    outside = total = 0
    for _ in range(60):
        agreement = agreement_of(recorded(independent(rng, 8, seconds)))
        assert agreement is not None
        outside += int((np.abs(agreement.mean) > agreement.reach).sum())
        total += 8
    assert 0.02 < outside / total < most


def test_sleepers_in_step_lie_beyond_it() -> None:
    rng = np.random.default_rng(4)
    phases = independent(rng, 6, 120)
    phases[:3] = phases[0] + rng.normal(0, 0.2, (3, 1))
    agreement = agreement_of(recorded(phases))
    assert agreement is not None
    assert (agreement.mean[:3] > agreement.reach[:3]).all()


def test_agreement_leaves_out_who_was_not_measured() -> None:
    phases = np.tile(np.arange(1200) / 10 * 2 * np.pi / 4, (3, 1))
    phases[2, 600:] = np.nan
    agreement = agreement_of(recorded(phases))
    assert agreement is not None
    assert np.isnan(agreement.value[2, 600:]).all()
    np.testing.assert_allclose(agreement.mean, 1.0, atol=1e-9)


def test_too_short_a_session_has_no_span_of_chance_and_so_no_agreement() -> None:
    assert agreement_of(recorded(independent(np.random.default_rng(0), 4, 30))) is None


def test_the_band_of_the_order_parameter_holds_95_percent() -> None:
    rng = np.random.default_rng(5)
    phases = rng.uniform(0, 2 * np.pi, (16, 20_000))
    value = np.abs(np.exp(1j * phases).mean(axis=0))
    session = recorded(phases[:2])
    values = np.column_stack([value, np.full(20_000, np.sqrt(np.pi / 64))])
    session.tracks["group"] = Track(
        "group",
        "Synchrony",
        ("order_parameter", "order_chance"),
        ("", ""),
        10.0,
        np.arange(20_000) / 10,
        values,
    )
    order = order_of(session)
    assert order is not None
    assert order.share_above == pytest.approx(0.05, abs=0.01)


def test_a_rhythm_stands_in_the_spectrum_and_a_gap_does_not() -> None:
    t = np.arange(250 * 40) / 250
    keep = (t < 15) | (t >= 20)
    eeg = track(t[keep], np.sin(2 * np.pi * 11 * t[keep]), rate_hz=250.0)
    time_s, freq_hz, power_db = spectrum_over_time(eeg, 40.0)
    hole = (time_s > 15) & (time_s < 20)
    assert hole.any()
    assert np.isnan(power_db[:, hole]).all()
    sure = (time_s < 13.5) | (time_s > 21.5)
    assert np.isfinite(power_db[:, sure]).all()
    assert set(freq_hz[power_db[:, sure].argmax(axis=0)]) == {11.0}


def test_full_lungs_are_marked_once_a_breath() -> None:
    t = np.arange(600) / 10
    phase = np.angle(np.exp(1j * (2 * np.pi * 0.25 * t - 1.0)))
    state = Track(
        "a/state",
        "State",
        ("breath_phase_rad", "breath_confidence"),
        ("", ""),
        10.0,
        t,
        np.column_stack([phase, np.where(t < 40, 0.9, 0.1)]),
    )
    at_s = upward_crossings(state)
    expected = (1.0 / (2 * np.pi) + np.arange(15)) / 0.25
    np.testing.assert_allclose(at_s, expected[expected < 40], atol=0.01)


def test_recording_needs_neither_matplotlib_nor_pyxdf(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = sys.modules['pyxdf'] = None\n"
        "from dreampods.recording import SessionFolder, write_report\n"
        "from dreampods.errors import RecordingError\n"
        "SessionFolder(sys.argv[1]).finish({})\n"
        "try: write_report(sys.argv[1])\n"
        "except RecordingError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "a report needs matplotlib and pyxdf: pip install 'dreampods[report]'\n"
    write_report(tmp_path / "s")


def test_an_empty_session_gives_a_report(tmp_path: Path) -> None:
    SessionFolder(tmp_path / "s").finish({"seconds": 0.0, "scene": "tide", "pods": []})
    assert "0 sleepers · 0 s" in text_of(write_report(tmp_path / "s").read_text())


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings in {DATA}; set DREAMPODS_DATA")
def test_two_who_replay_one_recording_stand_out_of_eight_real_ones(tmp_path: Path) -> None:
    write_session(tmp_path / "s", real_bodies(60), 60)
    pairs = {(pair.a, pair.b): pair for pair in pairs_of(read_session(tmp_path / "s"))}
    same = [pairs["elm", "ginkgo"], pairs["fir", "hazel"]]
    assert min(pair.share_above for pair in same) == 1.0
    assert min(np.nanmean(pair.plv) for pair in same) > 0.99
    write_report(tmp_path / "s")
