"""The pod's end of a network link, which echoes what its host says. Runs until it is killed.

In the folder it is run in: pod.json (name, wifi, dates), three .der files, and the PC's wifi.json.
It says on stdout, a line each: what it refuses, its faults, when a host comes and goes.
"""

# ruff: noqa: PTH123, UP031
import json
import select

from dreampod.clock import ticks_diff, ticks_us
from dreampod.network import Network

BLOCK = 64
POLL = 3  # MP_STREAM_POLL


def read(name):
    with open(name, "rb") as file:
        return file.read()


with open("pod.json") as file:
    config = json.load(file)


def say(text):
    print(text)


place = Network(
    config["name"],
    config["wifi"],
    read("certificate.der"),
    read("private.der"),
    read("authority.der"),
    say,
)
port = place.port
poll = select.poll()
poll.register(port, select.POLLIN)
buf = bytearray(BLOCK)
place.begin()
fault = ""
connected = False
slowest = 0
while True:
    for _event in poll.ipoll(2):
        for _ in range(16):
            if port.readinto(buf) == BLOCK:
                port.write(buf, BLOCK)
            # The unix port's poll sleeps 1 ms before it asks a stream made in Python; boards ask at once
            if not port.ioctl(POLL, select.POLLIN):
                break
    since = ticks_us()
    place.step(since)
    slowest = max(slowest, ticks_diff(ticks_us(), since))
    if place.fault != fault:
        fault = place.fault
        say("fault %s" % fault)
    if port.connected != connected:
        connected = port.connected
        say("host %s, slowest step %d us" % ("in" if connected else "out", slowest))
