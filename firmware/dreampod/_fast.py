"""The inner loops as viper machine code. Each equals its namesake in `_plain.py` bit for bit.

Viper's integers are machine words (32 bits on the chips, 64 on a PC), so nothing here may count
on wrapping. Arrays that carry state are array('i').
"""

from array import array

import micropython

from dreampod.tables import ANGLES, IMA_STEPS, QUARTER_SINE

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


@micropython.viper
def _ima(dst: ptr16, src: ptr8, offset: int, frames: int, channels: int, steps: ptr16):
    for c in range(channels):
        head = offset + 4 * c
        value = int(src[head]) | int(src[head + 1]) << 8
        if value & 0x8000:
            value -= 65536
        index = int(src[head + 2])
        if index > 88:
            index = 88
        place = c
        dst[place] = value
        data = offset + 4 * channels
        code = 0
        for i in range(frames - 1):
            if channels == 1:
                if i & 1:
                    code >>= 4
                else:
                    code = int(src[data])
                    data += 1
            else:
                code = int(src[data]) >> (c << 2)
                data += 1
            step = int(steps[index])
            change = step >> 3
            if code & 4:
                change += step
                index += ((code & 3) + 1) << 1
                if index > 88:
                    index = 88
            elif index:
                index -= 1
            if code & 2:
                change += step >> 1
            if code & 1:
                change += step >> 2
            if code & 8:
                value -= change
                if value < -32768:
                    value = -32768
            else:
                value += change
                if value > 32767:
                    value = 32767
            place += channels
            dst[place] = value


def ima(dst, src, offset, frames, channels):
    _ima(dst, src, offset, frames, channels, IMA_STEPS)  # type: ignore[arg-type]


@micropython.viper
def fade(buf: ptr16, count: int, gain: ptr32):
    sign = 1
    sign <<= 31
    now = (int(gain[0]) ^ sign) - sign
    step = (int(gain[1]) ^ sign) - sign
    for i in range(count):
        value = int(buf[i])
        if value & 0x8000:
            value -= 65536
        buf[i] = value * (now >> 9) >> 15
        now += step
    gain[0] = now


@micropython.viper
def weigh(buf: ptr16, first: int, step: int, frames: int, weights: ptr32, state: ptr32):
    sign = 1
    sign <<= 31
    shift = int(weights[0])
    a2 = int(weights[1])
    a3 = int(weights[2])
    b = int(weights[3])
    s1 = (int(state[0]) ^ sign) - sign
    s2 = (int(state[1]) ^ sign) - sign
    s3 = (int(state[2]) ^ sign) - sign
    s4 = (int(state[3]) ^ sign) - sign
    before = (int(state[4]) ^ sign) - sign
    high = int(state[5])
    low = int(state[6])
    for _ in range(frames):
        x = int(buf[first])
        if x & 0x8000:
            x -= 65536
        first += step
        x = (x << 4) - (s1 >> shift)
        s1 += x
        x -= s2 >> shift
        s2 += x
        x -= s3 >> 10
        s3 += x * a2
        x -= s4 >> 10
        s4 += x * a3
        y = ((before * b >> 8) + x + 16) >> 5
        before = x
        if y > 32767:
            y = 32767
        elif y < -32767:
            y = -32767
        low += y * y
        high += low >> 16
        low &= 0xFFFF
    state[0] = s1
    state[1] = s2
    state[2] = s3
    state[3] = s4
    state[4] = before
    state[5] = high
    state[6] = low


@micropython.viper
def pink(dst: ptr16, frames: int, channels: int, state: ptr32):
    sign = 1
    sign <<= 31
    register = int(state[0])
    low = (int(state[1]) ^ sign) - sign
    middle = (int(state[2]) ^ sign) - sign
    high = (int(state[3]) ^ sign) - sign
    place = 0
    for _ in range(frames):
        register = 16365 * (register & 0xFFFF) + (register >> 16)
        white = ((register & 0xFFFF) - 32768) >> 3
        low += (white * 25964 - low * 77 + 16384) >> 15
        middle += (white * 77730 - middle * 1212 + 16384) >> 15
        high += (white * 68989 - high * 3523 + 4096) >> 13
        value = (low + middle + high + (white * 757 >> 9)) >> 3
        if value > 32767:
            value = 32767
        elif value < -32767:
            value = -32767
        for _c in range(channels):
            dst[place] = value
            place += 1
    state[0] = register
    state[1] = low
    state[2] = middle
    state[3] = high


@micropython.viper
def _tone(dst: ptr16, frames: int, channels: int, state: ptr32, quarter: ptr16):
    phase = int(state[0])
    step = int(state[1])
    place = 0
    for _ in range(frames):
        at = phase & 0x3FFFFF
        if phase & 0x400000:
            at = 0x400000 - at
        a = int(quarter[at >> 14])
        value = a + ((int(quarter[(at >> 14) + 1]) - a) * (at & 0x3FFF) >> 14)
        if phase & 0x800000:
            value = 0 - value
        for _c in range(channels):
            dst[place] = value
            place += 1
        phase = (phase + step) & 0xFFFFFF
    state[0] = phase


def tone(dst, frames, channels, state):
    _tone(dst, frames, channels, state, QUARTER_SINE)  # type: ignore[arg-type]


@micropython.viper
def _resonate(value: int, coefficients: ptr32, state: ptr32, angles: ptr32):
    sign = 1
    sign <<= 31
    mean = (int(state[0]) ^ sign) - sign
    re = (int(state[1]) ^ sign) - sign
    im = (int(state[2]) ^ sign) - sign
    value = (value >> 2) - (mean >> 8)
    mean += value
    if value > 4096:
        value = 4096
    elif value < -4096:
        value = -4096
    power = (value >> 2) * (value >> 2)
    now = int(state[3])
    state[3] = now + power - (now >> 9)
    now = int(state[4])
    state[4] = now + power - (now >> 7)
    c = (int(coefficients[0]) ^ sign) - sign
    d = (int(coefficients[1]) ^ sign) - sign
    x = (c * re - d * im + value * int(coefficients[2]) + 8192) >> 14
    im = (d * re + c * im + 8192) >> 14
    re = x
    state[0] = mean
    state[1] = re
    state[2] = im
    c = (int(coefficients[3]) ^ sign) - sign
    d = (int(coefficients[4]) ^ sign) - sign
    x = (re * c + im * d) >> 14
    c = (int(coefficients[5]) ^ sign) - sign
    d = (int(coefficients[6]) ^ sign) - sign
    y = (re * c + im * d) >> 14
    now = int(state[5])
    state[5] = now + (x >> 6) * (x >> 6) + (y >> 6) * (y >> 6) - (now >> 9)
    angle = 0
    if x < 0:
        x = 0 - x
        y = 0 - y
        angle = 524288
    for i in range(15):
        turned = x
        if y > 0:
            x += y >> i
            y -= turned >> i
            angle += int(angles[i])
        else:
            x -= y >> i
            y += turned >> i
            angle -= int(angles[i])
    state[6] = (angle + 8) >> 4 & 0xFFFF
    state[7] = (x >> 4) * 19898 >> 14


def resonate(value, coefficients, state):
    _resonate(value, coefficients, state, ANGLES)  # type: ignore[arg-type]


@micropython.viper
def rms32(buf: ptr16, count: int, out: ptr32):
    peak = int(out[0])
    high = int(out[1])
    middle = int(out[2])
    low = int(out[3])
    for i in range(count):
        value = int(buf[2 * i + 1])
        if value & 0x8000:
            value -= 65536
        value = (value << 4) + (int(buf[2 * i]) >> 12)
        if value < 0:
            value = 0 - value
        if value > peak:
            peak = value
        a = value >> 10
        b = value & 1023
        high += a * a
        middle += a * b
        low += b * b
    middle += low >> 11
    out[0] = peak
    out[1] = high + (middle >> 9)
    out[2] = middle & 511
    out[3] = low & 2047
