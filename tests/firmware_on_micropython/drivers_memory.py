"""Sampling by the I2C drivers leaves nothing behind that would have to be collected, over many turns.

The drivers, the bus, the streams and the models of the chips are the real ones; only time and the
wires between bus and models are made here. As in memory.py, collection is off and the heap in use must
not grow by a byte. What a model itself would leave (the ADS1115's voltages are floats) is cut out.
"""

# ruff: noqa: E402  (what stands for the board has to be there before its drivers are imported)

import gc
import sys

TURNS = 3000
TURN_US = 4000
BYTE_US = 23
START_US = (1 << 30) - 5_000_000
MASK = (1 << 30) - 1

now_us = START_US


def ticks_us():
    return now_us & MASK


def ticks_add(ticks, delta):
    return (ticks + delta) & MASK


def ticks_diff(end, start):
    return ((end - start + (1 << 29)) & MASK) - (1 << 29)


class Crystal:
    """The virtual board's module of that name."""

    PPB = 20_000
    EPOCH_US = 0

    @staticmethod
    def counted():
        return now_us - START_US


class Tapes:
    """Nobody lies on this pod."""

    def open(self, name):
        return None

    def card(self, name):
        return None


class Pin:
    def __init__(self, number):
        pass


class I2C:
    def __init__(self, id, scl, sda, freq, timeout):
        pass

    def readfrom_mem_into(self, address, register, buf):
        global now_us
        model = fitted[address]
        model.start()
        model.write_byte(register)
        model.start()
        now_us += 3 * BYTE_US
        for i in range(len(buf)):
            buf[i] = model.read_byte()
            now_us += BYTE_US
        model.stop()

    def writeto_mem(self, address, register, buf):
        global now_us
        model = fitted[address]
        model.start()
        model.write_byte(register)
        for i in range(len(buf)):
            model.write_byte(buf[i])
        model.stop()
        now_us += (2 + len(buf)) * BYTE_US


class Machine:
    Pin = Pin
    I2C = I2C


fitted = {}  # by address
sys.modules["machine"] = Machine
sys.modules["crystal"] = Crystal

from dreampod import _fast, bus, sensing
from dreampod.drivers import ads1115, lsm6dso, max30102, part, tmp117

for module in (sensing, part, ads1115, lsm6dso, max30102, tmp117):
    for function in (ticks_us, ticks_add, ticks_diff):
        setattr(module, function.__name__, function)

# Only now and for a moment: the folder has a `time` and a `machine` of its own
sys.path.append(next(path for path in sys.path if path.endswith("firmware")) + "/virtual")
import models.ads1115
import models.lsm6dso
import models.max30102
import models.tmp117

sys.path.pop()


class Voltages(models.ads1115.Model):
    def _convert(self, count):
        return 1234


BUS = {"kind": "i2c", "id": 0, "sda": 4, "scl": 5, "freq_hz": 400_000}
INPUTS = [
    {"stream": "breath", "input": 0, "unit": "V", "scale": 1.0, "offset": 0.0},
    {"stream": "skin-conductance", "input": 1, "unit": "uS", "scale": 10.0, "offset": 0.0},
]
PARTS = (
    ("pulse", max30102, models.max30102.Model, 87, 100, 10, 1100),
    ("adc", ads1115, Voltages, 72, 50, 5, 550),
    ("motion", lsm6dso, models.lsm6dso.Model, 106, 52, 4, 570),
    ("temperature", tmp117, models.tmp117.Model, 73, 1, 1, 11),
)


def measure(name, turn, turns=TURNS):
    """Print the bytes that many calls of `turn` leave in use, after some to warm up."""
    for i in range(200):
        turn(i)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for i in range(turns):
        turn(i)
    print(name, gc.mem_alloc() - before)
    gc.enable()


def litter(turn):
    """To see that it would be seen."""
    return [turn]


wires = bus.open_buses({"i2c0": BUS})
for name, driver, model, address, rate_hz, block, least in PARTS:
    spec = {"name": name, "bus": "i2c0", "address": address, "rate_hz": rate_hz, "block": block}
    spec["inputs"] = INPUTS
    fitted[address] = model(spec, Tapes())
    sampler = driver.Driver(spec, wires)
    streams = [
        sensing.Stream(number, stream, _fast, None, None)
        for number, stream in enumerate(sampler.streams)
    ]
    sampler.begin(streams)

    def step(_turn, sampler=sampler):
        """A turn of the main loop; its time passes whether the part had work or not."""
        global now_us
        sampler.step(ticks_us())
        now_us += TURN_US

    measure(name, step)
    for stream in streams:
        if sampler.fault or sampler.errors or stream._counter < least:
            print("not a steady state:", sampler.fault, sampler.errors, stream._counter)
            sys.exit(1)
measure("litter", litter, 100)
