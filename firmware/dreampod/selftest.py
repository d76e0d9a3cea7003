"""The self-test: each part, each bus, memory and flash, one item after the other, while nothing plays.

What an item finds is told as soon as it is known; where something is wrong, the text says what to try. All
of it runs in pieces, one in each turn of the main loop, so that the link stays alive and a stop is heard
at once. A pod that has all its memory in use for sound has no room for a test: the sound lends its
chunks for that while.

Memory is tested as far as it is free. Three patterns: each bit alone against its neighbours, both ways,
and a ramp of 251 steps, a prime, so that no two addresses a power of two apart have the same byte: an
address wire that hangs shows.
"""

import gc
import json
import os

import machine

from dreampod import forget
from dreampod.clock import ticks_diff, ticks_us

_TURNS = 100
_SLOW_TURN_US = 20_000
_SLOW_TURNS = 5  # so many may be slow: a pod that has just been asked for much
_LEFT_BYTES = 16384  # of the memory, for all else that goes on
_BLOCK_BYTES = 1024
_HEAD_BYTES = 48  # what a block and its place in the list take besides
_BLOCKS_A_TURN = 16
_RAMP = 251
_FILE = "/selftest.tmp"
_FILE_BYTES = 600  # more than a page of the flash
_HEARD_BYTES = 3840  # 60 ms of the microphone
_FED_WAIT_US = 200_000
_FED_SLACK_US = 45_000  # two of the sound's buffers, and a little


class NotFitted(OSError):
    """What was to be tested is not there, and need not be."""


def free_of(statistics):
    """KB free, of what `statvfs` returns."""
    return statistics[0] * statistics[3] // 1024


class SelfTest:
    """`step` until it is False, then `end`; or `end` at any time before."""

    def __init__(self, pod, request):
        self._pod = pod
        self._request = request
        # The one long stretch that is needed, while there still is one
        ears = any(part.spec["driver"] == "inmp441" for part in pod.parts)
        self._heard = bytearray(_HEARD_BYTES if ears else 0)
        self._work = self._items()

    def step(self, _now):
        """The next piece. False when all is done, or nobody is there to be told."""
        if not self._pod.link.connected:
            return False
        try:
            next(self._work)
        except StopIteration:
            return False
        return True

    def end(self):
        """Leave the pod as it was, whatever has been going on."""
        self._work.close()
        self._work = None
        self._pod.sound.release()

    def tell(self, report):
        """Answer with one item, or a piece of one."""
        self._pod.link.report(self._request, json.dumps(report).encode())

    # --- the items ---------------------------------------------------------------------------

    def _items(self):
        yield
        board = self._pod.board
        # What needs most room comes first, and its code goes again
        yield from self._item("flash", self._flash())
        yield from self._item("provisioning", self._provisioning())
        forget("slots", "provisioning")
        yield from self._item("memory", self._memory())
        yield from self._item("loop", self._loop())
        for name, spec in board["buses"].items():
            yield from self._item(name, self._bus(name, spec), _wires(spec))
        for part in self._pod.parts:
            pins = dict(part.spec.get("pins", {}))
            pins.update(_wires(board["buses"].get(part.spec.get("bus"), {})))
            yield from self._item(part.name, self._part(part), pins)
        if not any(part.spec["driver"] == "supply" for part in self._pod.parts):
            self.tell({"item": "supply", "ok": None, "text": "no wire to measure it by"})
            yield
        pins = board["sound"]["pins"]
        yield from self._item("sound", self._sound(), pins)
        yield from self._item("loopback", self._loopback(), pins)
        self.tell({"item": "end"})

    def _item(self, name, work, pins=None):
        """Do one item, and tell what came of it."""
        ok = True  # type: bool | None
        try:
            text = yield from work
        except NotFitted as error:
            ok, text = None, error.args[0]
        except OSError as error:
            ok, text = False, str(error.args[0])
        except MemoryError:
            gc.collect()
            ok, text = (
                False,
                "too little memory is free for this test: restart the pod, test again",
            )
        report = {"item": name, "ok": ok, "text": text}
        if pins:
            report["pins"] = pins
        self.tell(report)
        yield

    def _loopback(self):
        from dreampod.loopback import listen

        return (yield from listen(self._pod, self._heard, self.tell))

    def _loop(self):
        """How long a turn of the main loop takes."""
        worst = slow = 0
        last = ticks_us()
        for _ in range(_TURNS):
            yield
            now = ticks_us()
            took = ticks_diff(now, last)
            last = now
            worst = max(worst, took)
            if took > _SLOW_TURN_US:
                slow += 1
        text = "longest of %d turns %.1f ms" % (_TURNS, worst / 1000)
        if slow > _SLOW_TURNS:
            raise OSError(
                "%s, %d of them more than %d ms: a part holds up the others; mend what else failed here"
                % (text, slow, _SLOW_TURN_US // 1000)
            )
        return text

    def _memory(self):
        gc.collect()
        blocks = []
        try:
            for _ in range((gc.mem_free() - _LEFT_BYTES) // (_BLOCK_BYTES + _HEAD_BYTES)):
                blocks.append(bytearray(_BLOCK_BYTES))
        except MemoryError:  # in pieces that are too small: so much is not tested
            pass
        if not blocks:
            raise OSError("nothing is free to be tested: restart the pod, test again")
        ramp = bytes(i % _RAMP for i in range(_BLOCK_BYTES + _RAMP))
        spoilt = 0
        for pattern in (b"\x55" * _BLOCK_BYTES, b"\xaa" * _BLOCK_BYTES, ramp):
            view = memoryview(pattern)
            for number, block in enumerate(blocks):
                first = number % (len(pattern) - _BLOCK_BYTES + 1)
                block[:] = view[first : first + _BLOCK_BYTES]
                if number % _BLOCKS_A_TURN == 0:
                    yield
            for number, block in enumerate(blocks):
                first = number % (len(pattern) - _BLOCK_BYTES + 1)
                if block != view[first : first + _BLOCK_BYTES]:
                    spoilt += 1
                if number % _BLOCKS_A_TURN == 0:
                    yield
        tested = len(blocks)
        blocks.clear()
        gc.collect()
        if spoilt:
            raise OSError(
                "%d blocks of %d do not keep what is written to them: replace the board"
                % (spoilt, 3 * tested)
            )
        return "%d KB tested, three patterns" % tested

    def _flash(self):
        from dreampod.slots import Slots, running

        slot = running()
        checked = 0
        if slot:
            flash = Slots(now=slot)
            path = flash.path(slot, "manifest.json")
            try:
                with open(path) as file:  # by and by: a text of 5 KB may find no stretch so long
                    files = json.load(file)["files"]
            except (OSError, ValueError, KeyError):
                raise OSError("%s is missing or spoilt: flash the pod again" % path) from None
            for name, size, digest in files:
                right = yield from flash.check(slot, name, size, digest)
                if not right:
                    raise OSError(
                        "/%s/%s is missing or spoilt: flash the pod again; if that does not last, the flash"
                        " is worn out: replace the board" % (slot, name)
                    )
                checked += 1
        self._write()
        yield
        return "%d files of slot %s as they should be, %d KB free" % (
            checked,
            slot or "(none)",
            free_of(os.statvfs("/")),
        )

    def _write(self):
        """Keep something for a moment."""
        content = bytes(i * 7 & 0xFF for i in range(_FILE_BYTES))
        try:
            with open(_FILE, "wb") as file:
                file.write(content)
            with open(_FILE, "rb") as file:
                back = file.read()
            os.remove(_FILE)
        except OSError as error:
            raise OSError(
                "%s cannot be written (error %s), %d KB free: dreampods erase, then flash the pod again"
                % (_FILE, error.args[0], free_of(os.statvfs("/")))
            ) from None
        if back != content:
            raise OSError("%s is read back otherwise than written: replace the board" % _FILE)

    def _provisioning(self):
        from dreampod.provisioning import Provisioning

        yield
        record = Provisioning(machine.unique_id().hex())
        if record.fault:
            raise OSError(record.fault)
        if not record.key:
            raise NotFitted("not provisioned: dreampods provision")
        return "%s, serial %s" % (record.name, record.record.get("serial", "none"))

    def _bus(self, name, spec):
        """Free the wires, and see who answers."""
        yield
        bus = self._pod.buses[name]
        if spec["kind"] == "spi":
            return "%s: nothing answers by itself here, see the parts" % bus.wires
        held = bus.recover()
        if held:
            raise OSError(
                "%s: %s is held low: check for a short, for its pull-up resistor, and unplug the parts on %s"
                " one by one" % (name, held, bus.wires)
            )
        yield
        there = bus.scan()
        missing = []
        known = []
        for part in self._pod.parts:
            if part.bus is bus:
                known.append(part.address)
                if part.address not in there:
                    missing.append("%s (0x%02x)" % (part.name, part.address))
        if missing:
            raise OSError(
                "%s: no answer of %s: check the supply of each, and %s"
                % (name, ", ".join(missing), bus.wires)
            )
        text = "%d of %d parts answer, %d transfers failed since power-on" % (
            len(known),
            len(known),
            bus.errors,
        )
        strange = ["0x%02x" % address for address in there if address not in known]
        if strange:
            text += "; %s is no part that this board has" % " ".join(strange)
        return text

    def _part(self, part):
        """What its driver finds out."""
        yield
        try:
            return part.test()
        except OSError as error:
            text = error.args[0]
            if not isinstance(text, str):  # a bare error number of a transfer
                text = part.bus.diagnose(part.address, error) if part.bus else str(error)
        if not text.startswith(part.name):
            text = "%s (%s): %s" % (part.name, part.chip, text)
        raise OSError(text)

    def _sound(self):
        """Does the I2S take what it is given, at its pace?"""
        sound = self._pod.sound
        spec = self._pod.board["sound"]
        began, cursor = ticks_us(), sound.cursor
        while ticks_diff(ticks_us(), began) < _FED_WAIT_US:
            yield
        elapsed = ticks_diff(ticks_us(), began)
        moved = ticks_diff(sound.cursor, cursor)
        if not sound.fed or abs(moved - elapsed) > _FED_SLACK_US:
            raise OSError(
                "I2S %d took %d ms of sound in %d ms: restart the pod; if that does not help, check that"
                " SCK (pin %d) and WS (pin %d) go to the amplifier and nowhere else"
                % (
                    spec["i2s"],
                    moved // 1000,
                    elapsed // 1000,
                    spec["pins"]["sck"],
                    spec["pins"]["ws"],
                )
            )
        return "fed, %d underruns and %d slips since power-on" % (sound.underruns, sound.slips)


def _wires(spec):
    """The pins of a bus."""
    return {key: spec[key] for key in ("sda", "scl", "sck", "mosi", "miso") if key in spec}
