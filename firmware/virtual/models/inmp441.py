"""The INMP441 as heard on I2S: the pod's own speaker at some distance, and its own noise.

What the speaker plays arrives 1.2 ms later and 30 dB weaker, in phase. The noise is as the datasheet
says, -87 dBFS; made once and repeated, for it is asked for a thousand times a second on every pod.
"""

import crystal

_DELAY_US = 1200
_ECHO_SHIFT = 3  # from 16 bits to 24, less 30 dB
_NOISE_PEAK = 459  # of 24 bits; evenly spread, this is 87 dB below a sine of full scale
_NOISE_HALVES = 61
_SLOT_BYTES = 4
_RATE_HZ = 16000


class Model:
    """`samples` fills slots of 32 bits, left and right in turn. `fault` may be "silent": no bit ever set."""

    def __init__(self, spec, tapes, played):
        self.fault = None
        self._played = played
        self._random = 0x1234567
        self._noise = []
        self._turn = 0
        self._silence = b""

    def samples(self, buf, frames):
        """The latest `frames` frames, the last of which is taken now."""
        if self.fault == "silent":
            for i in range(len(buf)):
                buf[i] = 0
            return
        if len(self._noise) < _NOISE_HALVES:
            self._noise.append(self._make_noise(frames))
        self._turn = (self._turn + 1) % len(self._noise)
        noise = self._noise[self._turn]
        buf[:] = noise
        speaker = self._played.latest
        if speaker is None:
            return
        if len(self._silence) != len(speaker.recent):
            self._silence = bytes(len(speaker.recent))
        if speaker.recent != self._silence:
            self._add_echo(buf, frames, speaker)

    def _add_echo(self, buf, frames, speaker):
        first_us = crystal.counted() - _DELAY_US - frames * 1_000_000 // _RATE_HZ
        for i in range(frames):
            value = speaker.sample_at(first_us + i * 1_000_000 // _RATE_HZ) << _ECHO_SHIFT
            at = 2 * _SLOT_BYTES * i + 1  # 24 bits at the top of 32
            value += buf[at] | buf[at + 1] << 8 | buf[at + 2] << 16
            buf[at] = value & 0xFF
            buf[at + 1] = value >> 8 & 0xFF
            buf[at + 2] = value >> 16 & 0xFF

    def _make_noise(self, frames):
        half = bytearray(2 * _SLOT_BYTES * frames)
        for i in range(frames):
            self._random = self._random * 1103515245 + 12345 & 0x7FFFFFFF
            value = (self._random >> 8) % (2 * _NOISE_PEAK + 1) - _NOISE_PEAK
            at = 2 * _SLOT_BYTES * i + 1
            half[at] = value & 0xFF
            half[at + 1] = value >> 8 & 0xFF
            half[at + 2] = value >> 16 & 0xFF
        return half
