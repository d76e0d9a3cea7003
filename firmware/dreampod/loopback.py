"""Loopback: the pod plays a train of pulses, quietly, and hears itself; the host judges what was heard.

A pulse is a short half wave up and a long, low one down, so that it has no direct current and yet a
right way up. Five of them stand at the marks of a Golomb ruler, where no two distances are alike: a train
delayed by anything but the right time meets itself in one pulse at most.

The train goes the way of all sound, as chunks with a time to play at. What is told is when the first sample
was heard after that time by the pod's own clock, the train, and the samples as they came, in pieces.
"""

import binascii
import math

import machine

from dreampod import level, wire
from dreampod.clock import ticks_add, ticks_diff, ticks_us
from dreampod.provisioning import Provisioning
from dreampod.selftest import NotFitted

_MARKS = (0, 1, 4, 9, 11)
_MARK_US = 2000
_UP_US = 250
_DOWN = 3  # times as long, and as low
_LOUDEST = 0.25  # of full scale
_BELOW_CEILING_DB = 6.0  # for the busiest 20 ms of the train, which are
_TRAIN_RMS = 0.22  # of the rms of a full-scale sine, at a peak of 1

_AHEAD_US = 150_000
_BEFORE_US = 20_000  # to hear what noise there is
_PIECE_BYTES = 720
_PATIENCE_US = 1_500_000


def pulse(rate_khz, peak):
    """One pulse, as a list of samples."""
    up = max(2, rate_khz * _UP_US // 1000)
    wave = [round(peak * math.sin(math.pi * (i + 0.5) / up)) for i in range(up)]
    down = _DOWN * up
    for i in range(down):
        wave.append(-round(peak / _DOWN * math.sin(math.pi * (i + 0.5) / down)))
    return wave


def peak_below(limits, calibration):
    """The train's peak, 0..32767, for its level to stay below the ceiling."""
    below_db = limits["ceiling_dba"] - _BELOW_CEILING_DB - level.full_scale(limits, calibration)
    return int(32767 * min(_LOUDEST, 10 ** (below_db / 20) / _TRAIN_RMS))


def _fill(chunk, first, channels, wave, starts):
    """Write what of the train lies in a chunk that begins at frame `first`."""
    frames = len(chunk) // (2 * channels)
    for i in range(len(chunk)):
        chunk[i] = 0
    for start in starts:
        for k in range(len(wave)):
            frame = start + k - first
            if 0 <= frame < frames:
                for channel in range(channels):
                    at = 2 * (frame * channels + channel)
                    chunk[at] = wave[k] & 0xFF
                    chunk[at + 1] = wave[k] >> 8 & 0xFF


def listen(pod, heard, tell):
    """Play, and fill `heard`, a piece at a time. The samples have been told when this returns."""
    yield
    ears = [part for part in pod.parts if part.spec["driver"] == "inmp441"]
    if not ears:
        raise NotFitted("no microphone to hear the speaker with: `dreampods run` lets you hear it")
    microphone = ears[0]
    if microphone.fault:
        raise OSError("needs the microphone, which does not work")
    from dreampod.drivers.inmp441 import RATE_HZ

    sound, spec = pod.sound, pod.board["sound"]
    rate_khz, channels = spec["rate_hz"] // 1000, spec["channels"]
    calibration = Provisioning(machine.unique_id().hex()).calibration
    wave = pulse(rate_khz, peak_below(pod.board["limits"], calibration))
    starts = [mark * _MARK_US * rate_khz // 1000 for mark in _MARKS]
    chunk = bytearray(spec["chunk_frames"] * channels * 2)
    late = sound.late
    sound.open(wire.CODEC_PCM16)
    try:
        begin = ticks_add(ticks_us(), _AHEAD_US)
        end = ticks_add(begin, _PATIENCE_US)
        microphone.capture(heard, ticks_add(begin, -_BEFORE_US))
        for first in range(0, starts[-1] + len(wave), spec["chunk_frames"]):
            _fill(chunk, first, channels, wave, starts)
            play = ticks_add(begin, first * 1000 // rate_khz)
            while not sound.put(play, chunk, 0, len(chunk)):
                yield
            yield
        sound.close()
        while not microphone.captured() or sound.state == wire.STATE_PLAYING:
            if ticks_diff(ticks_us(), end) > 0:
                raise OSError("the microphone gave nothing, or the sound did not end; test again")
            yield
        if sound.late != late:
            raise OSError("the pod was too slow to play its own sound in time; test again")
    finally:
        sound.release()
    tell(
        {
            "item": "heard",
            "first_us": ticks_diff(microphone.captured_at, begin),
            "rate_hz": RATE_HZ,
            "bytes": len(heard),
            "train_rate_hz": spec["rate_hz"],
            "pulse": wave,
            "starts": starts,
            "pins": microphone.spec["pins"],
        }
    )
    for at in range(0, len(heard), _PIECE_BYTES):
        yield
        piece = binascii.b2a_base64(heard[at : at + _PIECE_BYTES])
        tell({"item": "samples", "at": at, "base64": piece.decode().strip()})
    return "heard"
