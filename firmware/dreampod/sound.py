"""Sound: chunks with play-at times in, a never-ending I2S stream out.

The I2S is always fed, with silence if there is nothing else, so that the number of frames it has
accepted is a clock of its own. The bus runs from the same crystal as the ticks, hence frame n
plays at `start + n / rate` in pod time (8, 16 and 32 kHz divide exactly out of the clocks of the
RP2 and the ESP32), and of the regression of frames over ticks only the start must be found: when
the ring takes the last of a buffer, the next frame plays at most the ring's depth later. A callback
can tell so late but never early, so the line lies below all pairs of the last 70 s and touches the
earliest: the lower envelope, which late callbacks cannot move.

Everything here that must not fail runs in that callback, which the scheduler runs even while the
main loop waits in a blocking read: the dead-man, the fades, the cues, the ceiling.
"""

from array import array

from dreampod import level, wire
from dreampod.clock import ticks_add, ticks_diff, ticks_us

_BUFFER_MS = 20
_FED_WITHIN_US = 200_000
_UNITY = 1 << 24  # gains are in units of 2**-24
_ALIGNED_US = 300  # a chunk this close to the last one's end simply continues it
_SPAN_BUFFERS = 512  # the earliest callback is kept for each span of so many buffers,
_SPANS = 7  # and so many spans count: one wrong stamp does not count forever
_NONE_US = 1 << 28
# An ESP32's DMA plays the ring itself (`dma_frames` is 0), so much at a time (ports/esp32/machine_i2s.c)
_ESP32_BLOCK_FRAMES = 256
_FADE_STREAM_MS = 20
_FADE_STOP_MS = 40
_FADE_LOST_MS = 300

# Dead-man: no whole frame from the host for so long, and the stream fades to the pod's own bed,
# the bed to silence.
HOST_LOST_MS = 500
BED_MS = 3000
BED_FADE_MS = 1500
_BED_GAIN = _UNITY // 24

_SLOTS_KEPT = 8  # when the room is lent

_PEAK, _ENERGY, _HELD = 0, 1, 2
_MOST_IMA_INDEX = 88


class Sound:
    """The pod's voice. `put` takes chunks from the link, `step` reports to it."""

    def __init__(self, i2s, spec, limits, fast, calibration=None):
        calibration = calibration or {}
        self._i2s = i2s
        self._fast = fast
        self._channels = spec["channels"]
        self._rate_khz = spec["rate_hz"] // 1000
        self._frames = spec["rate_hz"] * _BUFFER_MS // 1000
        self._samples = self._frames * self._channels
        self._buffer_us = _BUFFER_MS * 1000
        ring_us = spec["ring_frames"] * 1000 // self._rate_khz
        dma_us = spec["dma_frames"] * 1000 // self._rate_khz
        self._latency_us = ring_us + dma_us
        if dma_us:
            self._dry_us = dma_us
            # Into an empty ring: two halves of the DMA, and up to one more until the next interrupt.
            # At its most, because only what is too late gets corrected.
            self._empty_us = dma_us * 3 // 2
        else:  # the ring is the DMA's own memory, a block of which is refilled when it has played
            self._dry_us = _ESP32_BLOCK_FRAMES * 1000 // self._rate_khz
            self._empty_us = ring_us
        self._ceiling = level.peak_of(limits, calibration)
        self._level = level.Level(spec, self._frames, limits, calibration, fast)
        self._buffer = bytearray(self._samples * 2)
        self._scratch = bytearray(self._samples * 2)

        self.slots = spec["slots"]
        self.chunk_frames = spec["chunk_frames"]
        # One piece each: a heap that has been used for a while may have no long stretch left
        self._pcm = [bytearray(self.chunk_frames * self._channels * 2) for _ in range(self.slots)]
        self._play = [0] * self.slots  # ticks at which a slot's first frame plays
        self._length = [0] * self.slots  # frames
        self._put = 0  # chunks taken in, ever
        self._got = 0  # chunks played or dropped, ever
        self._used = 0  # frames already played of the slot at hand

        self._codec = wire.CODEC_PCM16
        self._open = False
        self._closing = False
        self._flowing = False  # the last frame rendered belonged to the stream
        self._stopped = False
        self.heard = False  # the link sets it with each whole frame
        self._heard_at = ticks_us()
        self._host_lost = False
        self._bed_buffers = 0  # left to play of the pod's own bed

        self._gain = array("i", [0, 0, 0])
        self._cues = None
        self._cue_gain = array("i", [0, 0, 0])
        self._bed_gain = array("i", [0, 0, 0])
        self._bed_state = array("i", [0xACE1, 0, 0])
        self._meter = array("i", [0, 0, 0])
        self._last = array("i", [0] * self._channels)

        self._line = ticks_us()  # when the next frame to be rendered would play, were the start right
        self._earliest_us = array("i", [_NONE_US] * _SPANS)  # by how much it plays after that, at most
        self._span = 0
        self._span_buffers = 0
        self._refilled = self._line
        self.cursor = self._line  # when it will play

        self.chunks = 0
        self.late = 0
        self.late_worst_us = 0
        self._late_worst_us = 0
        self.peak = 0
        self.mean_square = 0
        self.level_a = 0
        self.malformed = 0
        self.underruns = 0
        self.slips = 0
        self.ceiling_hits = 0
        self._second_peak = 0
        self._second_energy = 0
        self._second_buffers = 0

    def begin(self):
        """Start the I2S. From here on it feeds itself."""
        self._i2s.irq(self._on_refilled)
        self._start_line(ticks_add(ticks_us(), self._empty_us + self._buffer_us))
        self._i2s.write(self._buffer)

    def attach(self, cues):
        """Whose sound is mixed in, under the same stop, dead-man and ceiling."""
        cues.begin(self._frames)
        self._cues = cues

    # --- what the host asks for --------------------------------------------------------------

    def open(self, codec=wire.CODEC_PCM16):
        """A stream begins; also the way out of a stop. False if the codec is not known here."""
        if codec not in (wire.CODEC_PCM16, wire.CODEC_IMA):
            return False
        self._drop_all()
        self._codec = codec
        self._stopped = False
        self._closing = False
        self._open = True
        return True

    def close(self):
        """The stream ends when its last chunk has played."""
        self._closing = True

    def stop(self):
        """Silence, until the next `open`."""
        self._stopped = True
        self._open = False

    def release(self):
        """Another host takes over: whatever the last one streamed is over."""
        self._open = False

    def set_ceiling(self, centi_dba):
        """Another ceiling until the next boot, at most the hard limit. False if it is not taken."""
        return self._level.set_ceiling(centi_dba / 100)

    def put(self, ticks, buf, offset, length):
        """Take a chunk of `length` bytes that plays at `ticks`. False if there is no room for it now."""
        if not self._open or self._stopped:
            return True  # nothing is owed to a stream that is over
        frames = self._frames_in(buf, offset, length)
        if not 0 < frames <= self.chunk_frames:
            self.malformed += 1
            return True
        if self._put - self._got >= self.slots:
            return False
        late_us = ticks_diff(self.cursor, ticks)
        if late_us > 0:
            self.late += 1
            if late_us > self._late_worst_us:
                self._late_worst_us = late_us
            if late_us * self._rate_khz >= frames * 1000:
                return True  # nothing of it can be heard any more
        slot = self._put % self.slots
        if self._codec == wire.CODEC_IMA:
            self._fast.ima(self._pcm[slot], buf, offset, frames, self._channels)
        else:
            self._fast.copy(self._pcm[slot], 0, buf, offset, length)
        self._play[slot] = ticks
        self._length[slot] = frames
        self._put += 1  # last: the callback may run between any two lines
        return True

    def _frames_in(self, buf, offset, length):
        """Frames of a chunk in the stream's codec; 0 if it is none."""
        channels = self._channels
        if self._codec == wire.CODEC_PCM16:
            return 0 if length % (2 * channels) else length // (2 * channels)
        codes = length - wire.IMA_HEAD_BYTES * channels
        if codes < 0:
            return 0
        for c in range(channels):
            if buf[offset + wire.IMA_HEAD_BYTES * c + 2] > _MOST_IMA_INDEX:
                return 0
        if channels == 2:
            return 1 + codes
        return 1 + 2 * codes - (buf[offset + 3] & 1)

    def lend(self):
        """Give up most of the room for chunks, while nothing plays. Returns how much there was."""
        slots = self.slots
        self._drop_all()
        self.slots = min(slots, _SLOTS_KEPT)
        self._pcm = self._pcm[: self.slots]
        return slots

    def take_back(self, slots):
        """Have room for `slots` chunks again, or for as many as there is memory for."""
        self._drop_all()
        try:
            while len(self._pcm) < slots:
                self._pcm.append(bytearray(self.chunk_frames * self._channels * 2))
        except MemoryError:
            pass  # the host is told with each acknowledgement how much room there is
        self.slots = len(self._pcm)

    def free_slots(self):
        return self.slots - (self._put - self._got)

    def buffered_us(self):
        return (self._put - self._got) * self.chunk_frames * 1000 // self._rate_khz

    @property
    def state(self):
        if self._stopped:
            return wire.STATE_STOPPED
        if self._host_lost:
            return wire.STATE_HOST_LOST
        return wire.STATE_PLAYING if self._open else wire.STATE_IDLE

    @property
    def fed(self):
        """True while the I2S asks for more, as it must 50 times a second."""
        return ticks_diff(ticks_us(), self._refilled) < _FED_WITHIN_US

    # --- the callback ------------------------------------------------------------------------

    def _on_refilled(self, _i2s):
        now = self._refilled = ticks_us()
        self._keep_time(now)
        self._watch_host(now)
        self._render()
        self._i2s.write(self._buffer)

    def _start_line(self, at):
        """The next frame plays at `at` or earlier: so much is known before the first full ring."""
        self._line = self.cursor = at
        for i in range(_SPANS):
            self._earliest_us[i] = _NONE_US
        self._earliest_us[self._span] = 0

    def _keep_time(self, now):
        """The ring has just taken a buffer: where does the line lie, which ends behind that buffer?"""
        if ticks_diff(now, self.cursor) > -self._dry_us:
            # What is to be written next should be in the DMA already: the ring ran dry
            self.slips += 1
            self._start_line(ticks_add(now, self._empty_us))
            return
        earliest_us = self._earliest_us
        after_us = ticks_diff(now, self._line) + self._latency_us
        if after_us < earliest_us[self._span]:
            earliest_us[self._span] = after_us
        self._span_buffers += 1
        least_us = earliest_us[0]
        for i in range(1, _SPANS):
            if earliest_us[i] < least_us:
                least_us = earliest_us[i]
        self.cursor = ticks_add(self._line, least_us)
        if self._span_buffers == _SPAN_BUFFERS:
            self._span_buffers = 0
            self._span = (self._span + 1) % _SPANS
            earliest_us[self._span] = _NONE_US

    def _watch_host(self, now):
        # A flag, not a comparison of times: those wrap, and a host may be gone for a whole night
        if self.heard:
            self.heard = False
            self._heard_at = now
            self._host_lost = False
        elif not self._host_lost and ticks_diff(now, self._heard_at) > HOST_LOST_MS * 1000:
            self._host_lost = True
            # A bed follows a stream; a pod that was idle stays silent
            self._bed_buffers = BED_MS // _BUFFER_MS if self._open and not self._stopped else 0

    def _render(self):
        """Fill the buffer with what plays from the cursor on, and move the cursor behind it."""
        buffer = self._buffer
        self._fast.clear(buffer, 0, self._samples * 2)
        gain = self._gain
        if self._stopped:
            self._aim(gain, 0, _FADE_STOP_MS)
        elif self._host_lost:
            self._aim(gain, 0, _FADE_LOST_MS)
        else:
            self._aim(gain, _UNITY if self._open else 0, _FADE_STREAM_MS)
        if not self._flowing and (self._last[0] or self._last[-1]):
            self._fast.decay(buffer, 0, self._frames, self._channels, self._last)
        self._render_stream(buffer, gain)
        self._land(gain)
        self._render_bed(buffer)
        if self._cues is not None:
            self._render_cues(buffer)
        self._level.ride(buffer)
        meter = self._meter
        meter[_ENERGY] = 0
        self._fast.limit(buffer, self._samples, self._ceiling, meter)
        self._second_energy += meter[_ENERGY] // self._samples
        self._second_buffers += 1
        self._level.weigh(buffer)
        self._line = ticks_add(self._line, self._buffer_us)
        self.cursor = ticks_add(self.cursor, self._buffer_us)

    def _aim(self, gain, goal, fade_ms, full=_UNITY):
        """Set the slope of a gain within this buffer. A fade runs from `full` to zero in `fade_ms`."""
        most = full // fade_ms * _BUFFER_MS
        change = goal - gain[0]
        change = -most if change < -most else most if change > most else change
        # Rounded towards zero: a fade must not pass its goal, which would turn the sound upside down
        gain[1] = change // self._samples if change >= 0 else -(-change // self._samples)
        gain[2] = gain[0] + change

    def _land(self, gain):
        gain[0] = gain[2]
        if gain is self._gain and gain[0] == 0 and (self._stopped or not self._open):
            self._drop_all()

    def _render_stream(self, buffer, gain):
        channels = self._channels
        start = gain[0]
        done = 0
        while done < self._frames and self._got != self._put:
            slot = self._got % self.slots
            length = self._length[slot]
            if self._used == 0:
                ahead = ticks_diff(self._play[slot], self.cursor) - done * 1000 // self._rate_khz
                if not self._flowing or ahead > _ALIGNED_US or ahead < -_ALIGNED_US:
                    if ahead >= self._buffer_us:
                        break  # its time has not come
                    if ahead > 0:
                        pause = (ahead * self._rate_khz + 500) // 1000
                        if done + pause >= self._frames:
                            break
                        done += pause
                    else:  # late, or the time line slipped: what should have been heard is skipped
                        self._used = min(length, -ahead * self._rate_khz // 1000)
            take = min(length - self._used, self._frames - done)
            if take:
                gain[0] = start + gain[1] * (done * channels)
                self._fast.add(
                    buffer,
                    done * channels,
                    self._pcm[slot],
                    self._used * channels,
                    take * channels,
                    gain,
                )
                done += take
                self._used += take
                self._flowing = True
            if self._used >= length:
                if take:
                    self.chunks += 1
                self._used = 0
                self._got += 1
        if done and self._flowing:
            self._remember(buffer, done)
        if done < self._frames:
            if self._flowing:
                self._break_off(buffer, done)
            elif self._closing and self._got == self._put:
                self._open = False  # over, and nothing of it was ever heard

    def _break_off(self, buffer, done):
        """The stream has nothing more to play, now at frame `done`."""
        self._flowing = False
        if self._closing and self._got == self._put:
            self._open = False
        elif self._open and not self._stopped and not self._host_lost:
            self.underruns += 1
        self._fast.decay(buffer, done, self._frames - done, self._channels, self._last)

    def _remember(self, buffer, done):
        """Keep the last frame before `done`: should the stream break off there, it dies away from it."""
        last = self._last
        for c in range(self._channels):
            at = 2 * ((done - 1) * self._channels + c)
            value = buffer[at] | buffer[at + 1] << 8
            last[c] = value - 65536 if value & 0x8000 else value

    def _drop_all(self):
        self._got = self._put
        self._used = 0
        self._flowing = False

    def _render_bed(self, buffer):
        gain = self._bed_gain
        if self._host_lost and self._bed_buffers and not self._stopped:
            self._bed_buffers -= 1
            self._aim(gain, _BED_GAIN, _FADE_LOST_MS, _BED_GAIN)
        else:
            fade_ms = BED_FADE_MS if self._host_lost and not self._stopped else _FADE_STOP_MS
            self._aim(gain, 0, fade_ms, _BED_GAIN)
        if gain[0] or gain[2]:
            self._fast.rumble(self._scratch, self._frames, self._channels, self._bed_state)
            self._fast.add(buffer, 0, self._scratch, 0, self._samples, gain)
        self._land(gain)

    def _render_cues(self, buffer):
        gain = self._cue_gain
        silent = self._stopped or self._host_lost
        self._aim(gain, 0 if silent else _UNITY, _FADE_STOP_MS if silent else _BUFFER_MS)
        if gain[0] == 0 and gain[2] == 0:
            self._cues.drop()
        elif self._cues.render(self._scratch, self._frames, self.cursor):
            self._fast.add(buffer, 0, self._scratch, 0, self._samples, gain)
        self._land(gain)

    # --- what the host is told ---------------------------------------------------------------

    def second(self):
        """Bring what is told each second to the second that ends now.

        `peak` is 0..32767, `mean_square` in units of 65536, `level_a` A-weighted in units of 4.
        """
        meter = self._meter
        self.peak = meter[_PEAK]
        meter[_PEAK] = 0
        self.ceiling_hits += meter[_HELD]
        meter[_HELD] = 0
        self.mean_square = self._second_energy // max(1, self._second_buffers)
        self._second_energy = 0
        self._second_buffers = 0
        self.level_a = self._level.second()
        self.late_worst_us = self._late_worst_us
        self._late_worst_us = 0
