"""The inner loops in plain Python: what `_fast.py` must equal bit for bit, and its stand-in on CPython."""

import binascii
import struct


def put_crc(buf, length):
    """Write the CRC-32 of the first `length` bytes behind them, little-endian."""
    struct.pack_into("<I", buf, length, binascii.crc32(memoryview(buf)[:length]))


def copy(dst, dst_offset, src, src_offset, length):
    """Copy `length` bytes."""
    dst[dst_offset : dst_offset + length] = src[src_offset : src_offset + length]


def clear(dst, offset, length):
    """Set `length` bytes to zero."""
    for i in range(offset, offset + length):
        dst[i] = 0


def _get(buf, i):
    value = buf[2 * i] | buf[2 * i + 1] << 8
    return value - 65536 if value & 0x8000 else value


def _put(buf, i, value):
    buf[2 * i] = value & 0xFF
    buf[2 * i + 1] = value >> 8 & 0xFF


def add(dst, at, src, source_at, count, gain):
    """dst[at+i] += src[source_at+i] * g for `count` 16-bit samples, held within 16 bits.

    `gain` is an array of three: gain now, step per sample (both in units of 2**-24), and the gain
    afterwards is left in its first place. Unity is 2**24.
    """
    now, step = gain[0], gain[1]
    for i in range(count):
        value = _get(dst, at + i) + (_get(src, source_at + i) * (now >> 9) >> 15)
        _put(dst, at + i, -32768 if value < -32768 else 32767 if value > 32767 else value)
        now += step
    gain[0] = now


def decay(dst, at, frames, channels, last):
    """Let the last sample of each channel die away from frame `at` on, where a stream broke off."""
    for i in range(frames):
        for c in range(channels):
            value = last[c]
            value -= (value >> 5) + (1 if value > 0 else 0)
            last[c] = value
            _put(dst, (at + i) * channels + c, value)


def limit(buf, count, ceiling, meter):
    """Hold `count` samples within +-ceiling, and meter them.

    `meter` is an array of three: peak (the largest magnitude is left there), sum of squares in
    units of 65536, and the number of samples that had to be held.
    """
    peak, energy, held = meter[0], meter[1], meter[2]
    for i in range(count):
        value = _get(buf, i)
        if value > ceiling:
            value = ceiling
            _put(buf, i, value)
            held += 1
        elif value < -ceiling:
            value = -ceiling
            _put(buf, i, value)
            held += 1
        magnitude = -value if value < 0 else value
        if magnitude > peak:
            peak = magnitude
        energy += value * value >> 16
    meter[0], meter[1], meter[2] = peak, energy, held


def rumble(dst, frames, channels, state):
    """A soft low noise for the pod's own bed: shift-register noise through two one-pole low passes.

    `state` is an array of three: the register, and the two filters' memories.
    """
    register, low, lower = state[0], state[1], state[2]
    for i in range(frames):
        bit = (register ^ register >> 2 ^ register >> 3 ^ register >> 5) & 1
        register = register >> 1 | bit << 15
        low += ((register & 0x3FFF) - 8192 - low) >> 4
        lower += (low - lower) >> 4
        for c in range(channels):
            _put(dst, i * channels + c, lower)
    state[0], state[1], state[2] = register, low, lower
