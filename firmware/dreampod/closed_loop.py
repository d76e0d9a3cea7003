"""The closed loop: a cue at a chosen phase of the sleeper's slow waves, without the host.

The phase comes from a complex one-pole resonator: z' = pole * z + gain * sample turns with the wave,
one multiplication a sample, whatever the wave's length. For a steady wave at its centre frequency it
is exact at the newest sample, without a filter's delay, once two things known beforehand are taken
away: the mirror image of the wave at minus the centre (a two by two matrix), and the lead that the
removal of the mean gives (an angle). Numbers are whole and fit 32 bits; `_fast.resonate` does it all.

The sound needs about 0.1 s to the transducer, hence the cue must be decided before its moment: with
each sample the time at which the wave will reach the phase is foretold, and once that is the next
thing the I2S can still take, the cue goes there, to the exact microsecond. It goes nowhere unless the
wave is large enough, not too large, and holds most of all the power below 125 Hz or so: an arousal
or a movement fills the rest of the spectrum, and shows in the power of the last half second first.
"""

from array import array
from math import atan, cos, pi, sin

from dreampod import wire
from dreampod.clock import put_ticks, ticks_add, ticks_diff, ticks_us

_HELD = 32  # samples between the interrupt and the loop
_LOWEST_MHZ = 300
_HIGHEST_MHZ = 20_000
_BANDWIDTH = 0.6  # of the centre frequency: from there to where the resonator lets half the power through
_WARM_UP_S = 3
_FROZEN_MS = 100  # a converter that works is not still for so long
_TOUCH_AHEAD_US = 5_000
_BUFFER_US = 20_000  # the I2S's cursor moves by so much at a time
_MEAN_SHIFT = 8  # of the removal of the mean in `resonate`
_UNITS = 4  # counts a unit of `resonate` holds

_BAND, _PHASE, _AMPLITUDE = 5, 6, 7  # places in the state of `resonate`
_ALL, _ALL_NOW = 3, 4


def coefficients(centre_mhz, rate_hz):
    """What `resonate` needs for a wave of `centre_mhz`/1000 Hz."""
    angle = 2 * pi * centre_mhz / 1000 / rate_hz
    width = 2 * pi * centre_mhz * _BANDWIDTH / 1000 / rate_hz
    radius = 1 - width
    pole_re, pole_im = radius * cos(angle), radius * sin(angle)
    # The mirror image: gain / (1 - pole * exp(i angle)), as gain / (1 - radius) is 1
    below_re = 1 - pole_re * cos(angle) + pole_im * sin(angle)
    below_im = -pole_re * sin(angle) - pole_im * cos(angle)
    below = below_re * below_re + below_im * below_im
    p, q = width * below_re / below, -width * below_im / below
    whole = 1 - p * p - q * q
    rows = ((1 - p) / whole, -q / whole, -q / whole, (1 + p) / whole)
    unit = 1 << 14
    return array(
        "i",
        [round(pole_re * unit), round(pole_im * unit), round(width * unit * 16)]
        + [round(x * unit) for x in rows],
    )


def lead(centre_mhz, rate_hz):
    """By how much removing the mean turns a wave forward, in turns of 2**16."""
    corner = rate_hz / (2 * pi * (1 << _MEAN_SHIFT))
    return round(atan(corner * 1000 / centre_mhz) / (2 * pi) * 65536)


class ClosedLoop:
    """Follows one EEG channel. The interrupt calls `sample`, the loop `step`, the host's frames `follow`."""

    def __init__(self, spec, sound, cues, fast, delay_us=0):
        """`spec` is the EEG stream's (format i24be); `delay_us` what its converter's filter delays."""
        self._rate_hz = spec["rate_hz"]
        self._channels = len(spec["channels"])
        self._unit_uv = spec["scale"] * _UNITS
        self._period_us = 1_000_000 // self._rate_hz
        self._delay_us = delay_us
        self._sound = sound
        self._cues = cues
        self._fast = fast
        self._format = spec["format"]

        self._values = array("i", [0] * _HELD)
        self._stamps = [ticks_us()] * _HELD
        self._counter = 0  # samples taken in; only the interrupt writes it
        self._got = 0  # samples used; only the loop writes it
        self._at = 0  # where the channel stands in a frame of samples

        self.on = False
        self._state = array("i", [0] * 8)
        self._coefficients = self._state
        self._cue = bytearray(wire.CUE_BYTES)
        self._wave_us = 1
        self._target = 0
        self._least = 0
        self._most = 0
        self._least_confidence = 0
        self._refractory = 0  # samples
        self._stamp = ticks_us()
        self._value = 0
        self._still = 0  # samples since the value last changed
        self._warm = 0  # samples since the last gap
        self._decided = 0  # samples until the next target may be looked at
        self._resting = 0  # samples until the next cue may follow the last

        self.cues = 0
        self.refused = 0

    # --- what the host asks for --------------------------------------------------------------

    def follow(self, buf, offset, length):
        """Begin as a FOLLOW payload says, or end. False if it asks for what cannot be done."""
        if length < wire.FOLLOW_BYTES:
            return False
        if not buf[offset]:
            self.on = False
            return True
        channel = buf[offset + 1]
        centre_mhz = _u16(buf, offset + 2)
        if length < wire.FOLLOW_BYTES + wire.CUE_BYTES or channel >= self._channels:
            return False
        if self._format != "i24be" or not _LOWEST_MHZ <= centre_mhz <= _HIGHEST_MHZ:
            return False
        self.on = False
        self._at = 3 * channel
        self._coefficients = coefficients(centre_mhz, self._rate_hz)
        self._wave_us = 1_000_000_000 // centre_mhz
        # Where the resonator, which runs ahead, will be when the wave has the phase that is asked for
        self._target = (_u16(buf, offset + 4) + lead(centre_mhz, self._rate_hz)) & 0xFFFF
        self._least = int(_u16(buf, offset + 6) / 10 / self._unit_uv)
        self._most = int(_u16(buf, offset + 8) / 10 / self._unit_uv)
        self._least_confidence = buf[offset + 10]
        self._refractory = _u16(buf, offset + 12) * self._rate_hz // 1000
        self._fast.copy(self._cue, 0, buf, offset + wire.FOLLOW_BYTES, wire.CUE_BYTES)
        self._cue[1] &= ~wire.CUE_NOW & 0xFF
        self._decided = self._resting = 0
        self._begin_anew()
        self.on = True
        return True

    def release(self):
        """Another host takes over."""
        self.on = False

    def _begin_anew(self):
        for i in range(8):
            self._state[i] = 0
        self._got = self._counter
        self._warm = 0
        self._still = 0

    # --- the interrupt -----------------------------------------------------------------------

    def sample(self, source, offset):
        """Keep one sample of the channel. Runs in the driver's interrupt: no allocation."""
        if not self.on:
            return
        place = self._counter % _HELD
        at = offset + self._at
        value = source[at] << 16 | source[at + 1] << 8 | source[at + 2]
        self._values[place] = value - 0x1000000 if value & 0x800000 else value
        self._stamps[place] = ticks_us()
        self._counter += 1

    # --- the loop ----------------------------------------------------------------------------

    def step(self, now):
        """Use the samples that came; decide on the newest."""
        if not self.on or self._got == self._counter:
            return
        if self._counter - self._got >= _HELD:
            self._begin_anew()  # the oldest are overwritten
            return
        while self._got != self._counter:
            place = self._got % _HELD
            self._use(self._values[place], self._stamps[place])
            self._got += 1
        if self._warm >= _WARM_UP_S * self._rate_hz and self._decided == 0:
            self._decide(now)

    def _use(self, value, stamp):
        waited_us = ticks_diff(stamp, self._stamp)
        self._stamp = stamp
        if self._warm and not 0 < 2 * waited_us < 5 * self._period_us:
            self._begin_anew_at(value)
        if self._warm == 0:
            # As if it had been like this forever: an electrode's offset is no wave
            self._state[0] = (value >> 2) << _MEAN_SHIFT
        self._warm += 1
        self._still = self._still + 1 if value == self._value else 0
        self._value = value
        if self._still * 1000 >= _FROZEN_MS * self._rate_hz:
            self._warm = 0
        if self._decided:
            self._decided -= 1
        if self._resting:
            self._resting -= 1
        self._fast.resonate(value, self._coefficients, self._state)

    def _begin_anew_at(self, value):
        for i in range(8):
            self._state[i] = 0
        self._warm = 0
        self._value = value

    def _decide(self, now):
        """Place the cue if its moment is the next that can be met."""
        ahead = (self._target - self._state[_PHASE]) & 0xFFFF
        # ahead * wave / 2**16, in parts that stay small
        ahead_us = (ahead >> 2) * (self._wave_us >> 6) >> 8
        moment = ticks_add(self._stamp, ahead_us - self._delay_us)
        if self._cue[0] == wire.CUE_HAPTIC:
            earliest = ticks_add(now, _TOUCH_AHEAD_US)
        else:
            earliest = self._sound.cursor
        spare_us = ticks_diff(moment, earliest)
        if not 0 <= spare_us < _BUFFER_US + 2 * self._period_us:
            return
        # Once for each wave: what follows within half of one is the same moment, seen again
        self._decided = self._wave_us // (2 * self._period_us)
        if self._resting or not self.trusted:
            self.refused += 1
            return
        cue = self._cue
        put_ticks(cue, 4, moment)
        if self._cues.put(cue, 0):
            self.cues += 1
            self._resting = self._refractory
        else:
            self.refused += 1

    @property
    def trusted(self):
        """The wave is of the size asked for, and most of what there is."""
        amplitude = self._state[_AMPLITUDE]
        return self._least <= amplitude <= self._most and self.confidence >= self._least_confidence

    @property
    def confidence(self):
        """The wave's share of the power of the last 2 s, or of the last half, if less; in 1/255."""
        state = self._state
        power = max(state[_ALL] >> 9, state[_ALL_NOW] >> 7, 1)
        return min(255, (state[_BAND] >> 9) * 510 // power)


def _u16(buf, offset):
    return buf[offset] | buf[offset + 1] << 8
