"""`_fast` equals `_plain` bit for bit, on random data and at the corners. Run by MicroPython."""

import random
from array import array

from dreampod import _fast, _plain
from dreampod.closed_loop import coefficients
from dreampod.level import WEIGHTS

ROUNDS = 60
RESONATOR = coefficients(850, 250)


def noise(length):
    return bytearray(random.getrandbits(8) for _ in range(length))


def full_scale(length):
    return bytearray(random.choice((0x00, 0x7F, 0x80, 0xFF)) for _ in range(length))


def small():
    return random.randint(0, 50)


def gain():
    """All gains that fades pass through, those a rounded slope leaves just below zero included."""
    now = random.choice((0, 16, 1 << 24, random.randint(0, 1 << 24), -random.randint(1, 640)))
    step = random.choice((0, -1, 1, -now // 600, ((1 << 24) - now) // 600))
    return array("i", [now, step, 0])


def copied(argument):
    if isinstance(argument, bytearray):
        return bytearray(argument)
    return array("i", argument) if isinstance(argument, array) else argument


def compare(name, arguments):
    """Run both on copies of the arguments, and compare all that they may have written to."""
    mine = [copied(argument) for argument in arguments]
    getattr(_fast, name)(*arguments)
    getattr(_plain, name)(*mine)
    for place in range(len(mine)):
        if arguments[place] != mine[place]:
            raise AssertionError(name + ": argument " + str(place) + " differs: " + repr(mine))


random.seed(1)
for turn in range(ROUNDS):
    data = noise if turn % 2 else full_scale
    length = random.randint(0, 300)
    compare("put_crc", (data(length + 4), length))
    compare("copy", (data(400), small(), data(400), small(), random.randint(0, 350)))
    compare("clear", (data(400), small(), random.randint(0, 350)))
    compare("add", (data(800), small(), data(800), small(), random.randint(0, 340), gain()))
    # A second piece of the same fade, as when a chunk ends within a buffer
    fade = array("i", [16, -1, 0])
    compare("add", (data(400), 0, data(400), 0, 100, fade))
    fade[0] = 16 - 100
    compare("add", (data(400), 100, data(400), 100, 100, fade))
    for channels in (1, 2):
        last = array("i", [random.randint(-32768, 32767) for _ in range(channels)])
        compare("decay", (data(800), small(), random.randint(0, 150), channels, last))
        low, lower = random.randint(-8192, 8191), random.randint(-8192, 8191)
        state = array("i", [random.randint(1, 0xFFFF), low, lower])
        compare("rumble", (data(800), random.randint(0, 200), channels, state))
        compare("ima", (data(1400), data(400), small(), random.randint(1, 340), channels))
        noise_state = [random.randint(1, (1 << 30) - 1)]
        noise_state += [random.randint(-200000, 200000) for _ in range(3)]
        compare("pink", (data(800), random.randint(0, 200), channels, array("i", noise_state)))
        sine_state = array("i", [random.randint(0, (1 << 24) - 1), random.randint(0, 1 << 23)])
        compare("tone", (data(800), random.randint(0, 200), channels, sine_state))
        for rate_hz in WEIGHTS:
            weights = WEIGHTS[rate_hz]
            filters = [random.randint(-(1 << 24), 1 << 24) for _ in range(5)]
            state = array("i", filters + [random.randint(0, 1 << 29), random.randint(0, 65535)])
            compare("weigh", (data(800), channels - 1, channels, 200, weights, state))
    compare("fade", (data(800), random.randint(0, 400), gain()))
    resonator = array("i", [0] * 8)
    for _ in range(100):
        value = random.choice((-(1 << 23), (1 << 23) - 1, random.randint(-3000, 3000)))
        compare("resonate", (value, RESONATOR, resonator))
    ceiling = random.choice((0, 1, 18426, 32767, random.randint(0, 32767)))
    compare("limit", (data(800), random.randint(0, 400), ceiling, array("i", [0, 0, 0])))
    heard = [random.randint(0, 1 << 19), random.randint(0, 1 << 28), random.randint(0, 511), 2047]
    compare("rms32", (data(1600), random.randint(0, 400), array("i", heard)))
print("equal")
