"""The inner loops in plain Python: what `_fast.py` must equal bit for bit, and its stand-in on CPython."""

import binascii
import struct

from dreampod.tables import ANGLES, IMA_STEPS, QUARTER_SINE


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


def ima(dst, src, offset, frames, channels):
    """Decode a chunk of IMA ADPCM (its layout stands in wire.py) at src[offset] into 16-bit frames."""
    for c in range(channels):
        head = offset + 4 * c
        value = src[head] | src[head + 1] << 8
        value = value - 65536 if value & 0x8000 else value
        index = min(src[head + 2], 88)
        _put(dst, c, value)
        for i in range(1, frames):
            if channels == 1:
                code = src[offset + 4 + ((i - 1) >> 1)] >> (((i - 1) & 1) << 2)
            else:
                code = src[offset + 7 + i] >> (c << 2)
            step = IMA_STEPS[index]
            change = step >> 3
            if code & 4:
                change += step
            if code & 2:
                change += step >> 1
            if code & 1:
                change += step >> 2
            value = max(-32768, value - change) if code & 8 else min(32767, value + change)
            index = min(88, index + ((code & 3) + 1) * 2) if code & 4 else max(0, index - 1)
            _put(dst, i * channels + c, value)


def fade(buf, count, gain):
    """Multiply `count` 16-bit samples by a gain as `add` takes it, at most unity."""
    now, step = gain[0], gain[1]
    for i in range(count):
        _put(buf, i, _get(buf, i) * (now >> 9) >> 15)
        now += step
    gain[0] = now


def weigh(buf, first, step, frames, weights, state):
    """Add up the A-weighted energy of the samples first, first + step, ... of a buffer; see level.py.

    `state` is an array of seven: four filters' memories, the sample before, and the sum of squares,
    in units of 4, as high part (units of 65536) and low part.
    """
    shift, a2, a3, b = weights[0], weights[1], weights[2], weights[3]
    s1, s2, s3, s4, before, high, low = state
    for i in range(frames):
        x = (_get(buf, first + i * step) << 4) - (s1 >> shift)
        s1 += x
        x -= s2 >> shift
        s2 += x
        x -= s3 >> 10
        s3 += x * a2
        x -= s4 >> 10
        s4 += x * a3
        y = ((before * b >> 8) + x + 16) >> 5
        before = x
        y = -32767 if y < -32767 else 32767 if y > 32767 else y
        low += y * y
        high += low >> 16
        low &= 0xFFFF
    state[0], state[1], state[2], state[3] = s1, s2, s3, s4
    state[4], state[5], state[6] = before, high, low


def pink(dst, frames, channels, state):
    """Pink noise: white noise through three one-pole low passes whose sum falls by 3 dB an octave.

    Paul Kellet's filter (musicdsp.org, 76). The white noise is a multiply-with-carry generator
    whose numbers stay below 2**30. `state` is an array of four: generator, three filters.
    """
    register, low, middle, high = state[0], state[1], state[2], state[3]
    for i in range(frames):
        register = 16365 * (register & 0xFFFF) + (register >> 16)
        white = ((register & 0xFFFF) - 32768) >> 3
        low += (white * 25964 - low * 77 + 16384) >> 15
        middle += (white * 77730 - middle * 1212 + 16384) >> 15
        high += (white * 68989 - high * 3523 + 4096) >> 13
        value = (low + middle + high + (white * 757 >> 9)) >> 3
        value = -32767 if value < -32767 else 32767 if value > 32767 else value
        for c in range(channels):
            _put(dst, i * channels + c, value)
    state[0], state[1], state[2], state[3] = register, low, middle, high


def tone(dst, frames, channels, state):
    """A sine. `state` is an array of two: phase and step, in turns of 2**24."""
    phase, step = state[0], state[1]
    for i in range(frames):
        place = phase & 0x3FFFFF
        if phase & 0x400000:
            place = 0x400000 - place
        a = QUARTER_SINE[place >> 14]
        value = a + ((QUARTER_SINE[(place >> 14) + 1] - a) * (place & 0x3FFF) >> 14)
        if phase & 0x800000:
            value = -value
        for c in range(channels):
            _put(dst, i * channels + c, value)
        phase = (phase + step) & 0xFFFFFF
    state[0] = phase


def resonate(value, coefficients, state):
    """One sample into the resonator of closed_loop.py; `state` tells the phase and all the powers.

    `coefficients` is an array of seven: pole (real, imaginary) and gain, the two by two numbers that
    take the mirror image away. `state` is an array of eight: mean, resonator (real, imaginary),
    power of all over 512 samples, over 128, of the band, phase in turns of 2**16, amplitude.
    """
    mean, re, im = state[0], state[1], state[2]
    value = (value >> 2) - (mean >> 8)
    mean += value
    value = -4096 if value < -4096 else 4096 if value > 4096 else value
    power = (value >> 2) * (value >> 2)
    state[3] += power - (state[3] >> 9)
    state[4] += power - (state[4] >> 7)
    c, d = coefficients[0], coefficients[1]
    new = (c * re - d * im + value * coefficients[2] + 8192) >> 14
    im = (d * re + c * im + 8192) >> 14
    re = new
    state[0], state[1], state[2] = mean, re, im
    x = (re * coefficients[3] + im * coefficients[4]) >> 14
    y = (re * coefficients[5] + im * coefficients[6]) >> 14
    state[5] += (x >> 6) * (x >> 6) + (y >> 6) * (y >> 6) - (state[5] >> 9)
    angle = 0
    if x < 0:
        x, y, angle = -x, -y, 524288
    for i in range(15):
        turned = x
        if y > 0:
            x += y >> i
            y -= turned >> i
            angle += ANGLES[i]
        else:
            x -= y >> i
            y += turned >> i
            angle -= ANGLES[i]
    state[6] = (angle + 8) >> 4 & 0xFFFF
    state[7] = (x >> 4) * 19898 >> 14


def rms32(buf, count, out):
    """Add the squares of `count` microphone samples, 24 bits at the top of 32, to a sum in three parts.

    The sum is out[1] * 2**20 + out[2] * 2**11 + out[3], in units of the samples' upper 20 bits; the
    largest magnitude is left in out[0]. Each part stays a small int: at most 500 samples at a time, and
    2000 in all.
    """
    peak, high, middle, low = out[0], out[1], out[2], out[3]
    for i in range(count):
        value = abs((_get(buf, 2 * i + 1) << 4) + (_get(buf, 2 * i) >> 12 & 15))
        if value > peak:
            peak = value
        a, b = value >> 10, value & 1023
        high += a * a
        middle += a * b
        low += b * b
    middle += low >> 11
    out[0], out[1] = peak, high + (middle >> 9)
    out[2], out[3] = middle & 511, low & 2047
