"""Writes a sleeper as a tape: the numbers that the sensors of a virtual pod will count.

A virtual pod models its converters down to their registers, so a tape holds raw counts at the
sensor's own rate: the firmware then does everything that it does on a real board, scaling and
range included.

Rates are changed with a windowed sinc that is evaluated where each output sample lies between the
input's. That is a polyphase filter which needs no small whole ratio: 256, 360 or 116.99 Hz all
become 250 Hz without a rounding that would stretch time.

A tape is played in a loop. Its seam is laid where the end resembles the beginning most, within one
cycle of the signal, and there faded over: a breath that ends goes on as the breath that began, so
that a phase measured across the seam turns evenly.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreampods.errors import RecordingError

from .sleepers import Signal, Sleeper

# ADS1299 at gain 24: reference 4.5 V, 24 bits of two's complement (datasheet SBAS499, 9.5.1).
EEG_VOLT_PER_COUNT = 4.5 / 24 / 2**23
_EEG_COUNTS = 2**23 - 1

# MicroPython's ADC.read_u16: 65535 at the 3.3 V supply.
ADC_VOLT_PER_COUNT = 3.3 / 65535
# Sensors with an amplifier keep away from the rails; the highest and lowest hundredth of the
# recording are left the rest of the range, so that a peak is not cut flat.
_ADC_LOW_V, _ADC_HIGH_V = 0.4, 2.9

# Kaiser 8 stops at about 80 dB. With 32 zero crossings on each side the flank is 16 % of the band,
# so a corner at 92 % of the lower Nyquist frequency is at full attenuation there.
_CROSSINGS, _KAISER, _CORNER = 32, 8.0, 0.92
# Positions between two samples that are told apart: for the common rates all there are; for the
# others an error below -90 dB, and a table of kernels that does not grow with the recording.
_PHASES = 2**15


@dataclass(frozen=True, slots=True)
class _Track:
    """A sensor: its rate, how its counts are kept, and how the loop's seam is made."""

    rate_hz: int
    suffix: str
    dtype: str
    unit: str
    unit_per_count: float
    fade_s: float
    search_s: float  # about the longest cycle, within which the seam may lie; 0: no cycle
    baseline_s: float  # what is slower than this the sensor's amplifier holds back; 0: nothing


# An optical pulse sensor is coupled by a capacitor, because the pulse is a hundredth of the light.
# Recordings made without one drift by many pulses; they are brought to what the pod's sensor sees.
_TRACKS = {
    "eeg": _Track(250, "i32", "<i4", "uV", EEG_VOLT_PER_COUNT * 1e6, 0.5, 0.0, 0.0),
    "pulse": _Track(50, "u16", "<u2", "V", ADC_VOLT_PER_COUNT, 0.5, 1.5, 2.8),
    "breath": _Track(50, "u16", "<u2", "V", ADC_VOLT_PER_COUNT, 1.0, 6.0, 0.0),
}


def write_tape(sleeper: Sleeper, folder: Path) -> None:
    """Write `eeg.i32`, `pulse.u16`, `breath.u16` (those that exist) and `tape.json` to `folder`.

    The arrays are little-endian: int32 (samples, 1 to 4 channels) at 250 Hz, uint16 (samples,) at
    50 Hz. `tape.json` says what they hold, whose recordings they are, and in `seconds` when each
    begins to repeat; it is written last, so that a folder that has one is whole. RecordingError
    when a signal is too short to loop or is flat, or when the folder cannot be written.
    """
    described: dict[str, object] = {}
    arrays: dict[str, bytes] = {}
    for kind, signal in sleeper.signals.items():
        track = _TRACKS[kind]
        where = f"sleeper {sleeper.name!r}, {kind}"
        counts = _counts(where, track, signal)
        arrays[f"{kind}.{track.suffix}"] = counts.astype(track.dtype).tobytes()
        described[kind] = {
            "rate_hz": track.rate_hz,
            "channels": counts.shape[1],
            "labels": list(signal.labels),
            "unit": track.unit,
            "unit_per_count": track.unit_per_count,
            "seconds": len(counts) / track.rate_hz,
        }
    card = {
        "name": sleeper.name,
        "credit": sleeper.credit,
        "stretches": sleeper.stretches,
        "signals": described,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tape.json").unlink(missing_ok=True)
        for name, data in arrays.items():
            (folder / name).write_bytes(data)
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        (folder / "tape.json").write_text(text, encoding="utf-8")
    except OSError as reason:
        raise RecordingError(
            f"{folder}: cannot hold a tape ({reason.strerror}); choose another folder or make room"
        ) from reason


def _counts(where: str, track: _Track, signal: Signal) -> NDArray[np.float64]:
    values = signal.values.reshape(len(signal.values), -1)
    needed_s = (
        2 * track.fade_s + track.search_s + 2 * _CROSSINGS / min(signal.rate_hz, track.rate_hz)
    )
    if signal.seconds < needed_s:
        raise RecordingError(
            f"{where}: {signal.seconds:g} s are too short to loop; give at least {needed_s:.1f} s"
        )
    values = resample(values, signal.rate_hz, track.rate_hz)
    if track.baseline_s:
        values = without_baseline(values, round(track.baseline_s * track.rate_hz))
    values = loop(
        values, round(track.fade_s * track.rate_hz), round(track.search_s * track.rate_hz)
    )
    if track.unit == "uV":
        return np.clip(np.rint(values / track.unit_per_count), -_EEG_COUNTS - 1, _EEG_COUNTS)
    low, high = np.percentile(values, (1, 99))
    if not high > low:
        raise RecordingError(f"{where}: is flat; choose other seconds or another channel")
    volt = _ADC_LOW_V + (values - low) / (high - low) * (_ADC_HIGH_V - _ADC_LOW_V)
    counts: NDArray[np.float64] = np.clip(np.rint(volt / track.unit_per_count), 0, 65535)
    return counts


def resample(values: NDArray[np.float64], from_hz: float, to_hz: float) -> NDArray[np.float64]:
    """`values` (samples, channels) at another rate, band-limited; sample 0 stays where it is.

    The ends are continued by their point reflection, which keeps level and slope.
    """
    if from_hz == to_hz:
        return values
    slower = min(1.0, to_hz / from_hz)
    reach = math.ceil(_CROSSINGS / slower)
    count = math.floor((len(values) - 1) * to_hz / from_hz + 1e-9) + 1
    position = np.arange(count) * (from_hz / to_hz)
    nearest = np.floor(position).astype(np.intp)
    phase, which = np.unique(np.rint((position - nearest) * _PHASES), return_inverse=True)
    taps = np.arange(1 - reach, reach + 1)
    distance = taps - phase[:, np.newaxis] / _PHASES
    window = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1.0 - (distance / reach) ** 2)))
    kernel = np.sinc(_CORNER * slower * distance) * window
    # Without this a constant would come out with a ripple of the window's stop band.
    kernel /= kernel.sum(axis=1, keepdims=True)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    result = np.zeros((count, values.shape[1]))
    for column, tap in enumerate(taps):
        result += kernel[which, column, np.newaxis] * padded[nearest + (tap + reach)]
    return result


def without_baseline(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """`values` (samples, channels) less their average over a Hann window of `width` samples.

    What is slower than one cycle per `width` goes, what is faster than two stays; nothing is
    shifted in time.
    """
    window = np.hanning((width | 1) + 2)[1:-1]  # odd, so that it has a middle
    half = len(window) // 2
    padded = np.pad(values, ((half, half), (0, 0)), mode="reflect")
    slow = [np.convolve(column, window / window.sum(), mode="valid") for column in padded.T]
    level: NDArray[np.float64] = np.stack(slow, axis=1)
    return values - level


def loop(values: NDArray[np.float64], fade: int, search: int) -> NDArray[np.float64]:
    """`values` (samples, channels) shortened so that its end runs on into its beginning.

    The result ends up to `search` + `fade` samples early, where the `fade` samples that follow
    resemble the first ones most; its first `fade` samples change over from those to the
    beginning. Beyond the fade no sample is moved, so signals that were recorded together stay so.
    """
    head = values[:fade]
    starts = np.arange(len(values) - fade - search, len(values) - fade + 1)
    misfit = [np.square(values[start : start + fade] - head).sum() for start in starts]
    end = int(starts[int(np.argmin(misfit))])
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)[:, np.newaxis]
    joined = values[end : end + fade] * (1 - rise) + head * rise
    return np.concatenate([joined, values[fade:end]])
