"""The interrupts and polls of drivers allocate nothing. Run by MicroPython, the heap locked.

A locked heap is what a hard interrupt has: whatever would allocate raises MemoryError. A larger function's
frame goes to the stack then, as it does on a chip.
"""

import sys

import micropython

TURNS = 500
now_us = (1 << 30) - 1_000_000


class Pin:
    IN = OUT = PULL_UP = IRQ_FALLING = IRQ_RISING = 0

    def __init__(self, number, mode=0, pull=0, value=0):
        self.level = 1 if number == 15 else 0

    def __call__(self, value=None):
        if value is not None:
            self.level = value
        return self.level

    def irq(self, handler=None, trigger=0, hard=False):
        self.handler = handler


class SPI:
    def readinto(self, buf):
        buf[0] = 0xC0

    def write(self, buf):
        pass

    def write_readinto(self, out, into):
        if out[0] == 0x20:
            into[2] = 0x3C
            return
        if out[0] & 0xE0 == 0x40:
            kept[out[0] & 0x1F] = out[2]
        elif out[0] & 0xE0 == 0x20:
            into[2] = kept[out[0] & 0x1F]


kept = bytearray(32)


class RegisterSPI(SPI):
    def write(self, buf):
        if buf[0] & 0xE0 == 0x40:
            kept[buf[0] & 0x1F] = buf[2]


class Timer:
    PERIODIC = 0

    def __init__(self, number):
        pass

    def init(self, freq=0, mode=0, callback=None, hard=False):
        self.callback = callback


class ADC:
    def __init__(self, pin):
        pass

    def read_u16(self):
        return 60000


class I2S:
    RX = MONO = 0

    def __init__(self, number, sck, ws, sd, mode, bits, format, rate, ibuf):
        pass

    def irq(self, handler):
        self.handler = handler

    def readinto(self, buf):
        for i in range(0, len(buf), 4):
            buf[i + 2] = i & 0xFF

    def deinit(self):
        pass


class machine:
    pass


for thing in (Pin, SPI, Timer, ADC, I2S):
    setattr(machine, thing.__name__, thing)
machine.bitstream = lambda pin, encoding, timing, bits: None
sys.modules["machine"] = machine


class Bus:
    wires = "SCK (pin 18)"
    spi = RegisterSPI()
    registers = bytearray(64)

    def read(self, address, register, buf):
        buf[0] = self.registers[register]

    def write(self, address, register, value):
        self.registers[register] = value


class Outlet:
    """As the pod's Stream takes samples; that one is measured in memory.py."""

    def push_at(self, source, offset, ticks):
        pass

    def skip(self, count):
        pass


from dreampod import clock  # noqa: E402 (the board has to be there first)


def ticks_us():
    return now_us & ((1 << 30) - 1)


clock.ticks_us = ticks_us
clock.ticks_add = lambda ticks, delta: (ticks + delta) & ((1 << 30) - 1)
clock.ticks_diff = lambda end, start: ((end - start + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)

from dreampod.drivers import ads1299, analog, button, drv2605l, inmp441, supply, ws2812  # noqa: E402

BUSES = {"bus": Bus()}
Bus.registers[0] = 7 << 5


def fit(module, spec):
    part = module.Driver(spec, BUSES)
    part.begin([Outlet() for _ in part.streams])
    if part.fault:
        print(part.fault)
        sys.exit(1)
    return part


def measure(name, turn, period_us):
    """Many turns with the heap locked, after some to warm up."""
    global now_us
    for i in range(20):
        now_us += period_us
        turn(i)
    micropython.heap_lock()
    try:
        for i in range(TURNS):
            now_us += period_us
            turn(i)
        result = "ok"
    except MemoryError:
        result = "allocates"
    micropython.heap_unlock()
    print(name, result)


eeg = fit(
    ads1299,
    {
        "name": "eeg",
        "bus": "bus",
        "pins": {"cs": 17, "drdy": 20},
        "rate_hz": 250,
        "block": 10,
        "channels": ["1", "2", "3", "4"],
    },
)


def sample_eeg(turn):
    """With a sample missed now and then."""
    global now_us
    if turn % 50 == 49:
        now_us += 4000
    eeg._drdy.handler(eeg._drdy)
    eeg.step(ticks_us())


measure("ads1299", sample_eeg, 4000)


pulse = fit(analog, {"name": "pulse", "pins": {"adc": 26}, "rate_hz": 50, "block": 5})


def sample_pulse(turn):
    pulse._timer.callback(pulse._timer)
    pulse.step(ticks_us())


measure("analog", sample_pulse, 20_000)


haptics = fit(drv2605l, {"name": "haptics", "bus": "bus", "address": 90})


def play(turn):
    haptics.play(turn % 100 + 1)
    haptics.step(ticks_us())


measure("drv2605l", play, 500_000)


light = fit(ws2812, {"name": "light", "pins": {"data": 22}, "count": 8})


def shine(turn):
    if turn % 7 == 0:
        light.set(turn % 256, 255 - turn % 256, 40, 100)
    light.step(ticks_us())


measure("ws2812", shine, 20_000)


stop = fit(button, {"name": "stop", "pins": {"button": 15}, "event": "stop"})


def press(turn):
    stop._pin.level = turn >> 3 & 1
    stop._pin.handler(stop._pin)
    stop.step(ticks_us())


measure("button", press, 4000)


microphone = fit(inmp441, {"name": "microphone", "i2s": 1, "pins": {"sck": 6, "ws": 7, "sd": 8}})
taken = bytearray(4000)


def hear(turn):
    if turn % 20 == 0:
        microphone.capture(taken, ticks_us())
    microphone._i2s.handler(microphone._i2s)
    microphone.step(ticks_us())


measure("inmp441", hear, 20_000)


volts = fit(supply, {"name": "supply", "pins": {"adc": 29}, "divider": 3.0})


def look(turn):
    volts.step(ticks_us())


measure("supply", look, 1_000_000)


def litter(turn):
    """To see that it would be seen."""
    return [turn]


measure("litter", litter, 1)
print("counts", eeg.lost, haptics.errors, stop.presses > 10, microphone.level > 0)
