"""`machine` on a PC: the same classes as on a board, with parts behind them that answer on registers.

What is soldered to which pin stands in wiring.json of the pod's folder; what the sensors feel comes
from the recordings there.
"""

import json

import pc
from adc import ADC
from i2c import I2C, SoftI2C
from i2s import I2S
from lights import bitstream
from pins import Pin
from spi import SPI
from timers import PWRON_RESET, WDT, WDT_RESET, Timer, bootloader, reset, reset_cause
from umachine import idle, mem8, mem16, mem32, soft_reset, time_pulse_us

_FREQUENCY_HZ = 125_000_000

with pc.open("crystal.json") as _file:
    _uid = bytes(int(_pair, 16) for _pair in json.load(_file)["uid"].split(":"))


def unique_id():
    return _uid


def freq():
    return _FREQUENCY_HZ
