"""Cuts a stretch of one signal out of a file of recordings: EDF, NumPy archive or CSV table.

Every reader answers in one form, float64 (samples, channels) at one rate, so that nothing later
needs to know where a signal came from. A file that is shorter than promised is refused instead of
being padded, and a hole in time-stamped data is refused instead of being bridged: a replayed
sleeper must not contain seconds that nobody lived.
"""

import csv
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreampods.errors import RecordingError

# Wireless sensors drop a few samples at a time, which a straight line bridges without changing a
# pulse or a breath. From a quarter of a second on, a whole upstroke of the pulse can be missing.
MAX_BRIDGED_GAP_S = 0.25


@dataclass(frozen=True, slots=True)
class Cut:
    """What to take: which file, which channels of which array, and which seconds.

    `channels` are labels (EDF, CSV with a header line) or indices from 0 (NumPy, CSV); None takes
    all of them. `rate_hz` is None where the file states it (EDF). `seconds` None takes all that
    follows `start_s`. `intervals_ms` names a second array, the milliseconds since the previous
    sample, for sensors that stamp each sample; such a signal is laid on a grid of `rate_hz`.
    """

    file: Path
    array: str | None = None
    intervals_ms: str | None = None
    channels: tuple[str | int, ...] | None = None
    rate_hz: float | None = None
    start_s: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch as it was recorded: `values` (samples, channels), `labels` one per channel.

    `unit` is what the file says, or "" where it says nothing.
    """

    values: NDArray[np.float64]
    rate_hz: float
    labels: tuple[str, ...]
    unit: str = ""


def read(cut: Cut) -> Piece:
    """The stretch that `cut` describes; RecordingError where the file does not hold it."""
    readers = {".edf": _read_edf, ".npz": _read_npz, ".csv": _read_csv}
    reader = readers.get(cut.file.suffix.lower())
    if reader is None:
        raise RecordingError(f"{cut.file}: cannot read this kind of file; use .edf, .npz or .csv")
    if not cut.file.is_file():
        raise RecordingError(f"{cut.file}: no such file; correct its name or bring it here")
    piece = reader(cut)
    if not np.isfinite(piece.values).all():
        raise RecordingError(
            f"{cut.file}: holds values that are no numbers between {cut.start_s:g} and "
            f"{cut.start_s + len(piece.values) / piece.rate_hz:g} s; choose other seconds"
        )
    return piece


def _read_edf(cut: Cut) -> Piece:
    try:
        import edfio
    except ImportError:
        raise RecordingError(
            f"{cut.file}: reading EDF needs edfio; run: pip install 'dreampods[export]'"
        ) from None
    try:
        with warnings.catch_warnings():
            # edfio only warns about a truncated file. Turned into an error, because a cut that
            # still fits would otherwise hide that the copy is damaged.
            warnings.simplefilter("error", UserWarning)
            signals = {signal.label: signal for signal in edfio.read_edf(cut.file).signals}
    except (ValueError, IndexError, OSError, UserWarning) as reason:
        raise _damaged(cut.file, reason) from reason
    names = tuple(signals) if cut.channels is None else cut.channels
    for name in names:
        if name not in signals:
            raise RecordingError(f"{cut.file}: no channel {name!r}; it has {_listed(signals)}")
    chosen = [signals[str(name)] for name in names]
    rates = {float(signal.sampling_frequency) for signal in chosen}
    if len(rates) != 1:
        raise RecordingError(f"{cut.file}: channels of different rates; name those of one rate")
    rate_hz = rates.pop()
    if cut.rate_hz not in (None, rate_hz):
        raise RecordingError(f"{cut.file}: is at {rate_hz:g} Hz; leave rate_hz out")
    units = {str(signal.physical_dimension) for signal in chosen}
    if len(units) != 1:
        raise RecordingError(f"{cut.file}: channels of different units; name those of one unit")
    values = np.stack([np.asarray(signal.data, np.float64) for signal in chosen], axis=1)
    labels = tuple(str(name) for name in names)
    return Piece(_take(cut, values, rate_hz), rate_hz, labels, units.pop())


def _read_npz(cut: Cut) -> Piece:
    try:
        with np.load(cut.file, allow_pickle=False) as archive:
            names = list(archive.files)
            for wanted in (cut.array, cut.intervals_ms):
                if wanted is not None and wanted not in names:
                    raise RecordingError(
                        f"{cut.file}: no array {wanted!r}; it has {_listed(names)}"
                    )
            if cut.array is None:
                raise RecordingError(f"{cut.file}: say which array; it has {_listed(names)}")
            values = np.asarray(archive[cut.array], np.float64)
            intervals_ms = None if cut.intervals_ms is None else archive[cut.intervals_ms]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as reason:
        raise _damaged(cut.file, reason) from reason
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or values.size == 0:
        raise RecordingError(
            f"{cut.file}: {cut.array!r} has shape {values.shape}; needed: samples, or samples and "
            "channels"
        )
    # A recording has far more samples than channels, so the longer side is time.
    values = values if values.shape[0] >= values.shape[1] else values.T
    values, labels = _select(cut, values, tuple(str(k) for k in range(values.shape[1])))
    rate_hz = _stated_rate(cut)
    if intervals_ms is None:
        return Piece(_take(cut, values, rate_hz), rate_hz, labels)
    return Piece(_take_stamped(cut, values, intervals_ms, rate_hz), rate_hz, labels)


def _read_csv(cut: Cut) -> Piece:
    try:
        with cut.file.open(newline="", encoding="utf-8") as lines:
            first = next(csv.reader(lines), [])
        headed = any(not _is_number(cell) for cell in first)
        values = np.loadtxt(cut.file, delimiter=",", skiprows=int(headed), ndmin=2)
    except (ValueError, OSError) as reason:
        raise _damaged(cut.file, reason) from reason
    names = [name.strip() for name in first] if headed else [str(k) for k in range(len(first))]
    values, labels = _select(cut, values, tuple(names))
    rate_hz = _stated_rate(cut)
    return Piece(_take(cut, values, rate_hz), rate_hz, labels)


def _select(
    cut: Cut, values: NDArray[np.float64], names: tuple[str, ...]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The chosen columns of `values` (samples, channels) and their names."""
    if cut.channels is None:
        return values, names
    columns = []
    for channel in cut.channels:
        if isinstance(channel, str) and channel in names:
            columns.append(names.index(channel))
        elif isinstance(channel, int) and 0 <= channel < len(names):
            columns.append(channel)
        else:
            raise RecordingError(f"{cut.file}: no channel {channel!r}; it has {_listed(names)}")
    return values[:, columns], tuple(names[column] for column in columns)


def _take(cut: Cut, values: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    first = round(cut.start_s * rate_hz)
    last = len(values) if cut.seconds is None else first + round(cut.seconds * rate_hz)
    if not 0 <= first < last <= len(values):
        raise _outside(cut, len(values) / rate_hz)
    return values[first:last]


def _take_stamped(
    cut: Cut, values: NDArray[np.float64], intervals_ms: NDArray[Any], rate_hz: float
) -> NDArray[np.float64]:
    """Irregular samples on a regular grid; dropped samples are bridged, holes are refused."""
    if intervals_ms.shape != values.shape[:1] or not (intervals_ms >= 0).all():
        raise RecordingError(
            f"{cut.file}: {cut.intervals_ms!r} must hold one interval, not negative, per sample "
            f"of {cut.array!r}"
        )
    time_s = np.cumsum(intervals_ms, dtype=np.float64) / 1e3
    end_s = float(time_s[-1]) if cut.seconds is None else cut.start_s + cut.seconds
    if not 0 <= cut.start_s < end_s <= time_s[-1]:
        raise _outside(cut, float(time_s[-1]))
    # From the last sample at or before the start to the first at or after the end.
    first = max(int(np.searchsorted(time_s, cut.start_s, side="right")) - 1, 0)
    last = int(np.searchsorted(time_s, end_s)) + 1
    gaps_s = np.diff(time_s[first:last])
    if len(gaps_s) == 0 or gaps_s.max() > MAX_BRIDGED_GAP_S:
        at = int(np.argmax(gaps_s)) if len(gaps_s) else 0
        raise RecordingError(
            f"{cut.file}: {cut.array!r} has a hole at {time_s[first + at]:.1f} s, longer than "
            f"{MAX_BRIDGED_GAP_S} s; choose other seconds"
        )
    grid_s = cut.start_s + np.arange(round((end_s - cut.start_s) * rate_hz)) / rate_hz
    return np.stack([np.interp(grid_s, time_s, column) for column in values.T], axis=1)


def _stated_rate(cut: Cut) -> float:
    if cut.rate_hz is None:
        raise RecordingError(f"{cut.file}: does not say its rate; give rate_hz")
    return cut.rate_hz


def _outside(cut: Cut, held_s: float) -> RecordingError:
    wanted = "to its end" if cut.seconds is None else f"to {cut.start_s + cut.seconds:g} s"
    return RecordingError(
        f"{cut.file}: holds {held_s:g} s, wanted {cut.start_s:g} s {wanted}; choose other "
        "seconds, or bring the whole file if this one was cut short"
    )


def _damaged(file: Path, reason: BaseException) -> RecordingError:
    text = " ".join(str(reason).split()) or type(reason).__name__
    return RecordingError(f"{file}: damaged or cut short ({text}); bring a whole copy")


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
