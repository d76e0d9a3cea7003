"""Level: how loud the pod is, A-weighted, and how it keeps itself below its ceiling.

Two limits, both in dBA at the sleeper's ear by the pod's own calibration. The hard one holds for
each sample: no sample is larger than the crest of a square wave of that level, and no other wave
of that height carries more energy. The ceiling holds for the level over seconds: what is about to
be played is turned down by as much as the sound of the last 0.3 s, had it not been turned
down, exceeds the ceiling. It is never turned up beyond what was sent. (Steering by the level that
is left after turning down would swing: it answers late.)

The level is measured on the samples that go to the I2S, A-weighted by IEC 61672-1. Its poles at
20.6, 107.7 and 737.9 Hz are first-order high passes y = x - s, s += a * y. For the double one at
20.6 Hz a is a power of two, which costs no multiplication; for the others a = 1 - exp(-2 pi f / rate)
in units of 1/1024. What this leaves to be mended at high frequencies, and the double pole at 12.2 kHz,
is one zero 1 + b z^-1 (b in 1/256) and a gain (of the power, in 1/1024), fitted by least squares
of dB from 31.5 Hz to 0.4 of the rate, at most 8 kHz. There it is within 0.3 dB of the standard's curve.
With two channels, each is weighted by itself and the louder counts, buffer by buffer: the sum of
both could cancel, and it is the louder ear that can be harmed.
"""

from array import array

_UNITY = 1 << 15
_GAIN_UNITY = 1 << 24  # of the gains that the inner loops take
_QUIETEST = 32  # the lowest gain; -60 dB
_FALL = 3  # the gain falls by at most a third (3.5 dB) a buffer
_RISE_SHIFT = 9  # and rises by a 512th: 0.85 dB a second
_MEMORY_BUFFERS = 15  # of the level that the gain follows
_KNEE_DB = 1.5  # the gain aims so far below the ceiling, to make up for the moment it needs
_SINE_RMS = 11585  # of a full-scale sine, in units of 2
_MOST = 32767
_MOST_FRAMES = 40_000  # that are added up, should nobody ask for so long

_HIGH, _LOW = 5, 6  # places in the state of `weigh`

# For each rate: shift and two multipliers of the high passes, b, and the gain of the power
WEIGHTS = {
    8000: array("i", (6, 83, 450, 7, 787)),
    16000: array("i", (7, 42, 258, 31, 914)),
    32000: array("i", (8, 21, 138, 256, 333)),
}


def full_scale(limits, calibration):
    """dBA of a full-scale sine: as this pod was calibrated, or as its board's data guesses."""
    return calibration.get("full_scale_dba", limits["full_scale_dba"])


def peak_of(limits, calibration):
    """The largest sample: the crest of a square wave at the hard limit, 0..32767."""
    above_db = limits["hard_dba"] - full_scale(limits, calibration) - 3.0103
    return int(_MOST * min(1.0, 10 ** (above_db / 20)))


def mean(high, low, count):
    """(high * 65536 + low) / count in whole numbers below 2**30, for a count up to 2**16."""
    rest = (high % count) << 14
    return (high // count << 16) + (rest // count << 2) + (((rest % count) << 2) + low) // count


def root(square, near):
    """The whole square root, by Newton's method from `near` on."""
    if square < 1:
        return 0
    near = max(near, 1)
    near = (near + square // near) >> 1  # from here on never below the root
    while True:
        nearer = (near + square // near) >> 1
        if nearer >= near:
            return near
        near = nearer


class Level:
    """Measures buffers of a fixed length, and turns them down. All in the I2S callback."""

    def __init__(self, spec, frames, limits, calibration, fast):
        self._fast = fast
        self._frames = frames
        self._channels = spec["channels"]
        if spec["rate_hz"] not in WEIGHTS:
            raise ValueError("sound: rate_hz is %d; take 8000, 16000 or 32000" % spec["rate_hz"])
        self._weights = WEIGHTS[spec["rate_hz"]]
        self._states = [array("i", [0] * 7) for _ in range(self._channels)]
        self._full_scale_dba = full_scale(limits, calibration)
        self._hard_dba = limits["hard_dba"]
        self._aim = 0
        self.set_ceiling(min(limits["ceiling_dba"], self._hard_dba))

        self._gain = _UNITY
        self._ramp = array("i", [0, 0, 0])
        self._demand = 0  # mean square of the last 0.3 s, had nothing been turned down
        self._demand_root = 0
        self._rms = 0
        self._second_high = 0
        self._second_low = 0
        self._second_frames = 0

    def set_ceiling(self, dba):
        """Keep below this level. False if it is not between 0 and the hard limit."""
        if not 0 <= dba <= self._hard_dba:
            return False
        rms = _SINE_RMS * 10 ** ((dba - _KNEE_DB - self._full_scale_dba) / 20)
        self._aim = int(min(_MOST, rms))
        return True

    @property
    def turned_down(self):
        """The gain now, in units of 1/32768."""
        return self._gain

    def ride(self, buffer):
        """Turn the buffer down, if the last ones were too loud."""
        gain = self._gain
        wanted = _UNITY
        if self._demand_root > self._aim:
            wanted = self._aim * _UNITY // self._demand_root
        if wanted < gain:
            self._gain = max(wanted, gain - gain // _FALL, _QUIETEST)
        elif gain < _UNITY:
            self._gain = min(wanted, gain + (gain >> _RISE_SHIFT) + 1)
        if gain < _UNITY or self._gain < _UNITY:
            samples = self._frames * self._channels
            ramp = self._ramp
            ramp[0] = gain * (_GAIN_UNITY // _UNITY)
            change = (self._gain - gain) * (_GAIN_UNITY // _UNITY)
            # Rounded towards zero, so that it never passes its goal
            ramp[1] = change // samples if change >= 0 else -(-change // samples)
            self._fast.fade(buffer, samples, ramp)

    def weigh(self, buffer):
        """Measure the buffer as it is played."""
        high = low = 0
        for c in range(self._channels):
            state = self._states[c]
            self._fast.weigh(buffer, c, self._channels, self._frames, self._weights, state)
            if c == 0 or state[_HIGH] > high or (state[_HIGH] == high and state[_LOW] > low):
                high, low = state[_HIGH], state[_LOW]
            state[_HIGH] = state[_LOW] = 0
        if self._second_frames < _MOST_FRAMES:
            self._second_high += high
            self._second_low += low
            self._second_frames += self._frames
        square = self._powered(mean(high, low, self._frames))
        self._rms = root(square, self._rms)
        demand = min(_MOST, self._rms * _UNITY // self._gain)
        self._demand += (demand * demand - self._demand) // _MEMORY_BUFFERS
        self._demand_root = root(self._demand, self._demand_root)

    def second(self):
        """The A-weighted mean square since the last call, in units of 4: a full-scale sine has 2**27."""
        if not self._second_frames:
            return 0
        square = mean(self._second_high, self._second_low, self._second_frames)
        self._second_high = 0
        self._second_low = 0
        self._second_frames = 0
        return self._powered(square)

    def _powered(self, square):
        """With the gain that the weights leave out."""
        power = self._weights[4]
        return (square >> 10) * power + ((square & 1023) * power + 512 >> 10)
