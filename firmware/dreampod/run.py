"""From power-on to the loop: finds the pod's files and its port, runs it, and leaves it in order.

The way back to MicroPython's prompt is open whenever nothing plays and nothing is sensed: a tool that
asks for it, as mpremote does, gets it.
"""

import gc
import json
import os
import struct
import sys

import machine
import micropython

from dreampod import forget
from dreampod.clock import ticks_us

_WATCHDOG_MS = 8000  # the RP2040's longest is 8388
_CTRL_C = 3


class _Files:
    """What the flash says of this pod: read once, before the room is needed for sound."""

    def __init__(self):
        from dreampod.provisioning import Provisioning
        from dreampod.slots import Slots, running

        slot = running()
        flash = Slots(now=slot)
        record = Provisioning(machine.unique_id().hex())
        self.board = _read_board(slot)
        self.calibration = record.calibration
        self.about = record.about()
        self.about.update(flash.about())
        self.ill = flash.ill()
        self.faults = [record.fault] if record.fault else []
        self.dates = [record.record.get("date"), record.calibration.get("date")]
        self.wifi = record.record.get("wifi")
        self.keys = None
        if self.board["link"] == "tcp":
            self.keys = [
                record.read(name) for name in ("certificate.der", "private.der", "authority.der")
            ]
            if None in self.keys or not self.wifi:
                raise OSError("a board for Wi-Fi that was not provisioned for it: provision it")


def _read_board(slot):
    """The board's data: of the slot this file runs from, or beside a developer's copy."""
    path = "/" + slot + "/board.json" if slot else "board.json"
    try:
        with open(path) as file:
            return json.load(file)
    except OSError:
        raise OSError("%s is missing: flash the pod again" % path) from None


class _TrialSlot:
    """The slot on trial. The code that confirms it has room only while the sound lends its own."""

    def __init__(self, slot, ill, pod):
        self.now = slot
        self._ill = ill
        self._pod = pod

    def on_trial(self):
        return True

    def ill(self):
        return self._ill

    def confirm(self):
        room = self._pod.sound.lend()
        gc.collect()
        from dreampod.slots import Slots

        Slots(now=self.now).confirm()
        forget("slots")
        gc.collect()
        self._pod.sound.take_back(room)
        self._pod.on_trial = False


class _Refusals:
    """Whom the network turned away is told to the host, when there is one."""

    def __init__(self):
        self.pod = None

    def __call__(self, text):
        if self.pod is not None:
            self.pod.turn_away(text)


def _open_network(files, refusals):
    """The network that has the port of a pod without a cable."""
    from dreampod.network import Network, set_clock

    set_clock(files.dates)
    certificate, private_key, authority = files.keys
    network = Network(
        files.about["name"], files.wifi, certificate, private_key, authority, refusals
    )
    network.begin()
    return network


def _wire_up(files, watchdog):
    """The pod, complete."""
    from dreampod.pod import Pod

    refusals = _Refusals()
    network = None
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    if files.keys:
        network = _open_network(files, refusals)
        reader = writer = network.port
        watchdog.feed()  # a Wi-Fi takes its time
    boot_id = struct.unpack("<I", os.urandom(4))[0] | 1  # never 0: that means unknown
    pod = Pod(reader, writer, files.board, files.about, files.calibration, boot_id)
    pod.faults.extend(files.faults)
    refusals.pod = pod
    if network:
        pod.also(network)
        micropython.kbd_intr(_CTRL_C)  # the USB port is a person's
    if pod.on_trial:
        from dreampod.trial import Trial

        flash = _TrialSlot(files.about["slot"], files.ill, pod)
        pod.also(Trial(flash, pod.link, pod.healthy, pod.busy, ticks_us()))
    return pod


def run():
    """Be a pod until somebody wants the prompt."""
    watchdog = machine.WDT(timeout=_WATCHDOG_MS)
    files = _Files()
    forget("slots", "provisioning")
    gc.collect()
    pod = _wire_up(files, watchdog)
    del files
    gc.collect()
    gc.threshold(-1)  # from here on nothing is left behind that would have to be collected
    pod.begin()
    try:
        while not pod.link.wants_prompt:
            pod.turn()
            watchdog.feed()
    finally:
        pod.end()
