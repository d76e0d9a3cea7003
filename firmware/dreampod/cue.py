"""Cues: short sounds and touches that the pod makes itself, each at its own time.

A host's sound comes late, by the jitter buffer; what must meet a moment is better made here. A cue is
told in 16 bytes (wire.CUE_FORMAT) with the pod time at which it begins, and waits in one of eight
places. Sounds begin in the I2S callback, to the sample; touches in the main loop's next turn after
their time, for I2C is not for callbacks. What comes after its time is dropped, and told.

The callback and the loop share the places without a lock: `put` fills one that is free and only then
says that it waits; from then on it belongs to the one who plays it, until it is free again.
"""

from array import array

from dreampod import wire
from dreampod.clock import get_ticks, ticks_diff

_PLACES = 8
_FULL_GAIN_SHIFT = 9  # from a level 0..32767 to a gain in units of 2**-24
_GRACE_US = 100  # a sound that missed its frame by less, for the cursor was set right, still plays
_TOUCH_LATE_US = 50_000  # a touch that long after its time is none any more

_FREE, _WAITING, _SOUNDING = 0, 1, 2
_BEGUN, _LATE, _FAILED = 1, 2, 3  # what is to be told of a place


class Cues:
    """The queue, and what sounds of it. `render` is called by the I2S callback, `step` by the loop."""

    def __init__(self, spec, fast, haptics=None):
        self._fast = fast
        self._haptics = haptics  # called with an effect's number; False: it cannot be made now
        self._rate_khz = spec["rate_hz"] // 1000
        self._rate_hz = spec["rate_hz"]
        self._channels = spec["channels"]
        self._raw = bytearray(0)  # a buffer of what is made, before its ramps
        self._gain = array("i", [0, 0, 0])
        self._pink = array("i", [0x1234567, 0, 0, 0])
        self._state = bytearray(_PLACES)
        self._news = bytearray(_PLACES)
        self._kind = bytearray(_PLACES)
        self._at_once = bytearray(_PLACES)
        self._number = array("H", [0] * _PLACES)
        self._play = [0] * _PLACES
        self._frames = [0] * _PLACES  # how long
        self._ramp = [0] * _PLACES  # frames
        self._level = [0] * _PLACES
        self._pitch = [0] * _PLACES
        self._done = [0] * _PLACES  # frames played
        self._tone = [array("i", [0, 0]) for _ in range(_PLACES)]
        self._sounds_begun = 0
        self._touches_begun = 0
        self._sounds_late = 0
        self._touches_late = 0
        self.late_worst_us = 0  # since boot

        self.event_kind = 0  # of the event last returned by `next_event`
        self.event_number = 0
        self.event_ticks = 0

    def begin(self, frames):
        """Make room for buffers of so many frames."""
        self._raw = bytearray(frames * self._channels * 2)

    @property
    def begun(self):
        return self._sounds_begun + self._touches_begun

    @property
    def late(self):
        return self._sounds_late + self._touches_late

    def put(self, buf, offset):
        """Take the cue told in wire.CUE_BYTES bytes. False if it cannot be played, or no place is free."""
        kind = buf[offset]
        pitch = buf[offset + 14] | buf[offset + 15] << 8
        if kind == wire.CUE_HAPTIC:
            if self._haptics is None:
                return False
        elif kind == wire.CUE_TONE:
            if not 0 < 2 * pitch < self._rate_hz:
                return False
        elif kind != wire.CUE_PINK:
            return False
        i = 0
        while self._state[i] != _FREE or self._news[i]:
            i += 1
            if i == _PLACES:
                return False
        self._kind[i] = kind
        self._at_once[i] = buf[offset + 1] & wire.CUE_NOW
        self._number[i] = buf[offset + 2] | buf[offset + 3] << 8
        self._play[i] = get_ticks(buf, offset + 4)
        frames = (buf[offset + 8] | buf[offset + 9] << 8) * self._rate_khz
        self._frames[i] = frames
        ramp = (buf[offset + 10] | buf[offset + 11] << 8) * self._rate_khz
        self._ramp[i] = min(ramp, frames // 2)
        self._level[i] = (buf[offset + 12] | buf[offset + 13] << 8) & 0x7FFF
        self._pitch[i] = pitch
        self._done[i] = 0
        if kind == wire.CUE_TONE:
            tone = self._tone[i]
            tone[0] = 0
            # pitch * 2**24 / rate, in two parts that stay small
            step = pitch << 15
            rest = step % self._rate_hz
            tone[1] = (step // self._rate_hz << 9) + (rest << 9) // self._rate_hz
        self._state[i] = _WAITING  # last: the callback may run between any two lines
        return True

    # --- sound: the I2S callback -------------------------------------------------------------

    def drop(self):
        """Forget all sounds, begun or waiting: the pod is to be silent."""
        for i in range(_PLACES):
            if self._kind[i] != wire.CUE_HAPTIC:
                self._state[i] = _FREE

    def render(self, buffer, frames, cursor):
        """Write what sounds from `cursor` on into `buffer`. False, and nothing written, if nothing does."""
        wrote = False
        for i in range(_PLACES):
            state = self._state[i]
            if state == _FREE or self._kind[i] == wire.CUE_HAPTIC:
                continue
            at = 0
            if state == _WAITING:
                at = self._begin(i, frames, cursor)
                if at < 0:
                    continue
            if not wrote:
                self._fast.clear(buffer, 0, frames * self._channels * 2)
                wrote = True
            self._sound(i, buffer, at, frames)
        return wrote

    def _begin(self, i, frames, cursor):
        """The frame of this buffer at which it begins; negative if it does not."""
        at = 0
        if self._at_once[i]:
            self._play[i] = cursor
        else:
            ahead_us = ticks_diff(self._play[i], cursor)
            if ahead_us < -_GRACE_US:
                self._sounds_late += 1
                self._too_late(i, -ahead_us)
                return -1
            if ahead_us >= frames * 1000 // self._rate_khz:
                return -1  # its time has not come
            at = (max(0, ahead_us) * self._rate_khz + 500) // 1000
            if at >= frames:
                return -1  # nearest to the next buffer's first frame
        self._sounds_begun += 1
        self._news[i] = _BEGUN
        self._state[i] = _SOUNDING
        return at

    def _too_late(self, i, late_us):
        if late_us > self.late_worst_us:
            self.late_worst_us = late_us
        self._news[i] = _LATE
        self._state[i] = _FREE

    def _sound(self, i, buffer, at, frames):
        """Add a cue's next frames to the buffer, from frame `at` on."""
        channels = self._channels
        count = min(self._frames[i] - self._done[i], frames - at)
        if self._kind[i] == wire.CUE_PINK:
            self._fast.pink(self._raw, count, channels, self._pink)
        else:
            self._fast.tone(self._raw, count, channels, self._tone[i])
        full = self._level[i] << _FULL_GAIN_SHIFT
        ramp = self._ramp[i]
        slope = full // (ramp * channels) if ramp else 0
        gain = self._gain
        source = 0
        while count:
            done = self._done[i]
            left = self._frames[i] - done
            if done < ramp:
                part = min(count, ramp - done)
                gain[0] = slope * (done * channels)
                gain[1] = slope
            elif left > ramp:
                part = min(count, left - ramp)
                gain[0] = full
                gain[1] = 0
            else:
                part = count
                gain[0] = slope * (left * channels)
                gain[1] = -slope
            self._fast.add(
                buffer, at * channels, self._raw, source * channels, part * channels, gain
            )
            at += part
            source += part
            count -= part
            self._done[i] = done + part
        if self._done[i] >= self._frames[i]:
            self._state[i] = _FREE

    # --- touch, and what is told: the main loop ----------------------------------------------

    def step(self, now):
        """Begin the touches whose time has come."""
        for i in range(_PLACES):
            if self._state[i] != _WAITING or self._kind[i] != wire.CUE_HAPTIC:
                continue
            late_us = 0 if self._at_once[i] else ticks_diff(now, self._play[i])
            if late_us < 0:
                continue
            if late_us > _TOUCH_LATE_US:
                self._touches_late += 1
                self._too_late(i, late_us)
                continue
            self._play[i] = now
            if self._haptics(self._pitch[i]) is False:
                self._news[i] = _FAILED
            else:
                self._touches_begun += 1
                self._news[i] = _BEGUN
            self._state[i] = _FREE

    def next_event(self):
        """The kind of an event nobody was told of yet (wire.EVENT_*), its details in `event_*`; or 0.

        Its time is when the cue began, or should have. A place is free again only when told of.
        """
        for i in range(_PLACES):
            news = self._news[i]
            if news:
                self.event_kind = self._kind[i]
                self.event_number = self._number[i]
                self.event_ticks = self._play[i]
                self._news[i] = 0
                if news == _FAILED:
                    return wire.EVENT_REFUSED
                return wire.EVENT_CUE if news == _BEGUN else wire.EVENT_CUE_LATE
        return 0
