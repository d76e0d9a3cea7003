"""A stop on MicroPython, with native loops: the fade falls to exact silence and never rises."""

import sys
from array import array

from dreampod import _fast
from dreampod import sound as sound_module
from dreampod.sound import Sound

from bench import I2S, LIMITS, SPEC

LEVEL = 15000

now_us = 1000
sound_module.ticks_us = lambda: now_us


class Recorder(I2S):
    def write(self, buf):
        self.samples = array("h", buf)
        return len(buf)


i2s = Recorder()
sound = Sound(i2s, SPEC, LIMITS, _fast)
sound.begin()
heard = array("h")
chunk = bytearray(bytes((LEVEL & 0xFF, LEVEL >> 8)) * 480)


def turn():
    global now_us
    now_us += 20_000
    sound.heard = True
    i2s.handler(i2s)


for _ in range(10):
    turn()
sound.open()
play_us = now_us + 150_000
for number in range(30):
    sound.put(play_us + number * 15_000, chunk, 0, len(chunk))
for _ in range(12):
    turn()
if i2s.samples[0] != LEVEL:
    print("does not play:", i2s.samples[0])
    sys.exit(1)
sound.stop()
for _ in range(6):
    turn()
    heard.extend(i2s.samples)
rises = [(i, heard[i], heard[i + 1]) for i in range(len(heard) - 1) if heard[i + 1] > heard[i]]
print("rises", rises[:3], "ends", max(heard[-640:]), min(heard[-640:]), "lowest", min(heard))
