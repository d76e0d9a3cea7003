"""The inner loops as viper machine code. Each equals its namesake in `_plain.py` bit for bit.

Viper's integers are machine words (32 bits on the chips, 64 on a PC), so nothing here may count
on wrapping. Arrays that carry state are array('i').
"""

from array import array

import micropython

_POLYNOMIAL = 0xEDB88320


def _crc_table():
    table = array("I", [0] * 256)
    for n in range(256):
        c = n
        for _ in range(8):
            c = c >> 1 ^ (_POLYNOMIAL if c & 1 else 0)
        table[n] = c
    return table


_TABLE = _crc_table()


@micropython.viper
def _put_crc(buf: ptr8, length: int, table: ptr32):
    top = uint(1)
    top <<= uint(31)
    ones = top | top - uint(1)  # 32 ones, on a word of any width
    c = ones
    for i in range(length):
        c = uint(table[int((c ^ uint(buf[i])) & uint(0xFF))]) ^ c >> uint(8)
    c = c ^ ones
    buf[length] = int(c & uint(0xFF))
    buf[length + 1] = int(c >> uint(8) & uint(0xFF))
    buf[length + 2] = int(c >> uint(16) & uint(0xFF))
    buf[length + 3] = int(c >> uint(24) & uint(0xFF))


def put_crc(buf, length):
    _put_crc(buf, length, _TABLE)


@micropython.viper
def copy(dst: ptr8, dst_offset: int, src: ptr8, src_offset: int, length: int):
    for i in range(length):
        dst[dst_offset + i] = src[src_offset + i]


@micropython.viper
def clear(dst: ptr8, offset: int, length: int):
    for i in range(offset, offset + length):
        dst[i] = 0


@micropython.viper
def add(dst: ptr16, at: int, src: ptr16, source_at: int, count: int, gain: ptr32):
    sign = 1
    sign <<= 31
    now = (int(gain[0]) ^ sign) - sign  # ptr32 reads unsigned where a word has 64 bits
    step = (int(gain[1]) ^ sign) - sign
    for i in range(count):
        a = int(dst[at + i])
        if a & 0x8000:
            a -= 65536
        b = int(src[source_at + i])
        if b & 0x8000:
            b -= 65536
        a += b * (now >> 9) >> 15
        if a > 32767:
            a = 32767
        elif a < -32768:
            a = -32768
        dst[at + i] = a
        now += step
    gain[0] = now


@micropython.viper
def decay(dst: ptr16, at: int, frames: int, channels: int, last: ptr32):
    sign = 1
    sign <<= 31
    for c in range(channels):
        value = (int(last[c]) ^ sign) - sign
        place = at * channels + c
        for _ in range(frames):
            value -= value >> 5
            if value > 0:
                value -= 1
            dst[place] = value
            place += channels
        last[c] = value


@micropython.viper
def limit(buf: ptr16, count: int, ceiling: int, meter: ptr32):
    peak = int(meter[0])
    energy = int(meter[1])
    held = int(meter[2])
    for i in range(count):
        value = int(buf[i])
        if value & 0x8000:
            value -= 65536
        if value > ceiling:
            value = ceiling
            buf[i] = value
            held += 1
        elif value < 0 - ceiling:
            value = 0 - ceiling
            buf[i] = value
            held += 1
        magnitude = value
        if magnitude < 0:
            magnitude = 0 - magnitude
        if magnitude > peak:
            peak = magnitude
        energy += value * value >> 16
    meter[0] = peak
    meter[1] = energy
    meter[2] = held


@micropython.viper
def rumble(dst: ptr16, frames: int, channels: int, state: ptr32):
    register = int(state[0])
    sign = 1
    sign <<= 31
    low = (int(state[1]) ^ sign) - sign
    lower = (int(state[2]) ^ sign) - sign
    place = 0
    for _ in range(frames):
        bit = (register ^ register >> 2 ^ register >> 3 ^ register >> 5) & 1
        register = register >> 1 | bit << 15
        low += ((register & 0x3FFF) - 8192 - low) >> 4
        lower += (low - lower) >> 4
        for _c in range(channels):
            dst[place] = lower
            place += 1
    state[0] = register
    state[1] = low
    state[2] = lower
