"""What the pod says about itself: counters each second, and each change of the sound's state at once."""

import gc
import struct

from dreampod import wire
from dreampod.clock import ticks_diff, ticks_us

_SECOND_US = 1_000_000


def put_u32(buf, offset, value):
    """Write a number below 2**30. A small int stays small: nothing is allocated."""
    buf[offset] = value & 0xFF
    buf[offset + 1] = value >> 8 & 0xFF
    buf[offset + 2] = value >> 16 & 0xFF
    buf[offset + 3] = value >> 24


class Statistics:
    """The last of the main loop's objects: it also sees how long a turn took."""

    def __init__(self, boot_id, link, clock, sound, pod):
        self._boot_id = struct.pack("<I", boot_id)
        self._link = link
        self._clock = clock
        self._sound = sound
        self._pod = pod
        self._buses = tuple(pod.buses.values())  # a view of a dict would be made anew each second
        self._values = [0] * (wire.STATS_BYTES // 4)
        self._second = ticks_us()
        self._turn = self._second
        self._loop_worst_us = 0
        self._state = wire.STATE_IDLE

    def step(self, now):
        """Tell what is due at `now`."""
        turn = ticks_diff(now, self._turn)
        self._turn = now
        if turn > self._loop_worst_us:
            self._loop_worst_us = turn
        self._tell_state(now)
        if ticks_diff(now, self._second) >= _SECOND_US:
            self._second = now
            self._send(now)

    def _tell_state(self, now):
        state = self._sound.state
        if state != self._state:
            if state == wire.STATE_STOPPED:
                self._link.event(wire.EVENT_STOPPED, now)
            elif self._state == wire.STATE_HOST_LOST:
                self._link.event(wire.EVENT_HOST_FOUND, now)
            self._state = state

    def _send(self, now):
        sound, link, values = self._sound, self._link, self._values
        sound.second()
        overflows = faults = errors = 0
        pod = self._pod
        for stream in pod.streams:
            overflows += stream.overflows
        for part in pod.parts:
            if part.fault:
                faults += 1
        for bus in self._buses:
            errors += bus.errors
        # In the order of wire.STATS_FIELDS; the first two do not fit a small int
        values[2] = link.rx_frames
        values[3] = link.rx_corrupt
        values[4] = link.rx_skipped
        values[5] = link.rx_out_of_order
        values[6] = link.tx_frames
        values[7] = link.tx_dropped
        values[8] = overflows
        values[9] = faults
        values[10] = sound.chunks
        values[11] = sound.late
        values[12] = sound.late_worst_us
        values[13] = sound.underruns
        values[14] = sound.slips
        values[15] = sound.buffered_us()
        values[16] = sound.peak
        values[17] = sound.mean_square
        values[18] = sound.ceiling_hits
        values[19] = self._loop_worst_us
        values[20] = gc.mem_free()
        values[21] = sound.state
        values[22] = sound.level_a
        values[23] = errors
        values[24] = pod.cues.begun
        values[25] = pod.cues.late
        if pod.loop:
            values[26] = pod.loop.cues
            values[27] = pod.loop.refused
        self._loop_worst_us = 0
        for i in range(4):
            link.tx[wire.HEADER_BYTES + i] = self._boot_id[i]
        self._clock.put(link.tx, wire.HEADER_BYTES + 4, now)
        for i in range(2, len(values)):
            put_u32(link.tx, wire.HEADER_BYTES + 4 * i, values[i])
        link.send(wire.STATS, wire.STATS_BYTES)
