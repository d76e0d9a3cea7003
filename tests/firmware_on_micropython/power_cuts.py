"""An update whose power is cut at every single write, on the littlefs that boards have.

The flash is one of NOR kind in RAM: programming only clears bits, erasing sets a block's. At the Nth
write it dies, with nothing of that write done or with half of it, and takes no other write. Then it is
mounted as at power-on. Argument: the folder that `test_power_cuts.py` prepared.
"""

# MicroPython has neither pathlib nor contextlib
# ruff: noqa: PTH102, PTH123, SIM105

import gc
import hashlib
import json
import os
import sys

import vfs
from dreampod import wire
from dreampod.provisioning import Provisioning
from dreampod.slots import Slots
from dreampod.update import Update

BLOCK_BYTES = 4096
ROOT = "/flash/"
UID = "d700000000000001"

_EIO = -5
_COUNT, _SIZE, _ERASE = 4, 5, 6  # what littlefs asks of a block device


class Flash:
    """Dies at write number `last` (never, if negative); `torn`: half of that write is done."""

    def __init__(self, storage, last=-1, torn=False):
        self.storage = storage
        self.writes = 0
        self.dead = False
        self._last = last
        self._torn = torn

    def _bytes_to_do(self, count):
        if self.dead:
            return 0
        self.writes += 1
        if self.writes == self._last:
            self.dead = True
            return count // 2 if self._torn else 0
        return count

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK_BYTES + offset
        buf[:] = memoryview(self.storage)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset):
        at = block * BLOCK_BYTES + offset
        count = self._bytes_to_do(len(buf))
        if ERASED[:count] == self.storage[at : at + count]:
            self.storage[at : at + count] = buf[:count]
        else:
            for i in range(count):
                self.storage[at + i] &= buf[i]
        return _EIO if self.dead else 0

    def ioctl(self, op, argument):
        if op == _COUNT:
            return len(self.storage) // BLOCK_BYTES
        if op == _SIZE:
            return BLOCK_BYTES
        if op == _ERASE:
            count = self._bytes_to_do(BLOCK_BYTES)
            at = argument * BLOCK_BYTES
            self.storage[at : at + count] = ERASED[:count]
            if self.dead:
                return _EIO
        return 0


ERASED = b"\xff" * BLOCK_BYTES


class Link:
    """Keeps what the pod reports."""

    connected = True

    def __init__(self):
        self.told = []

    def report(self, _request, text):
        self.told.append(json.loads(text))


def mount(flash):
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/flash")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    at = path.find("/", len(ROOT))
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass
        at = path.find("/", at + 1)
    with open(path, "wb") as file:
        file.write(content)


def payloads_of(path):
    """The host's payloads, each behind its length."""
    data = read(path)
    found = []
    at = 0
    while at < len(data):
        size = data[at] | data[at + 1] << 8
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def update(slots, payloads, flash):
    """Send an update as the host does; returns the last report."""
    link = Link()
    pod = Update(link, Provisioning(UID, ROOT + "provision/"), lambda: False, slots)
    have = []
    skipped = False
    for payload in payloads:
        if payload[0] == wire.UPDATE_FILE:
            skipped = (payload[1] | payload[2] << 8) in have
        if skipped and payload[0] in (wire.UPDATE_FILE, wire.UPDATE_DATA):
            continue
        told = len(link.told)
        pod.handle(payload)
        if payload[0] in (wire.UPDATE_MANIFEST, wire.UPDATE_END):
            while len(link.told) == told and pod.step(0) and pod._work is not None:
                pass
        if flash.dead:
            break
        if link.told and "have" in link.told[-1]:
            have = link.told[-1]["have"]
    link.connected = False
    pod.step(0)  # closes what it had open
    return link.told[-1] if link.told else {}


def what_is_in(slot):
    """The release in a slot if each of its files is there to the byte, by our own reckoning."""
    manifest = json.loads(read(ROOT + slot + "/manifest.json"))
    for name, size, digest in manifest["files"]:
        content = read(ROOT + slot + "/" + name)
        assert len(content) == size, name
        assert hashlib.sha256(content).digest().hex() == digest, name
    return manifest["serial"]


def attempt(base, given, last, torn):
    """One update with one cut. Returns the writes it took, and the release that came up after it."""
    storage = bytearray(base)
    flash = Flash(storage, last, torn)
    try:
        mount(flash)
        slots = Slots(ROOT, "a")
        update(slots, given["third"], flash)
        slots = Slots(ROOT)
        slots.choose()
        if slots.on_trial():
            slots.confirm()
    except OSError:
        assert flash.dead
    vfs.umount("/flash")

    mount(Flash(storage))
    slots = Slots(ROOT)
    slot = slots.choose()
    came_up = what_is_in(slot)
    for name, content in given["provision"].items():
        assert read(ROOT + "provision/" + name) == content, name
    record = Provisioning(UID, ROOT + "provision/")
    assert record.fault is None and record.name == "pod-1", record.fault
    # It has proven itself, and then the next update comes
    if slots.on_trial():
        slots.confirm()
    told = update(slots, given["fourth"], Flash(storage))
    assert told.get("update") == "done", told
    slots = Slots(ROOT)
    assert what_is_in(slots.choose()) == 4
    vfs.umount("/flash")
    return flash.writes, came_up


def main():
    folder = sys.argv[1]
    given = json.loads(read(folder + "/given.json"))
    for update_name in ("third", "fourth"):
        given[update_name] = payloads_of(folder + "/" + given[update_name])
    given["provision"] = {name: read(folder + "/" + name) for name in given["provision"]}

    base = bytearray(ERASED * given["blocks"])
    vfs.VfsLfs2.mkfs(Flash(base), progsize=256)
    mount(Flash(base))
    for path, source in given["files"]:
        write(ROOT + path, read(folder + "/" + source))
    for name, content in given["provision"].items():
        write(ROOT + "provision/" + name, content)
    vfs.umount("/flash")

    writes, came_up = attempt(base, given, -1, False)
    assert came_up == 3
    after = {}
    for last in range(1, writes + 1):
        for torn in (False, True):
            _, came_up = attempt(base, given, last, torn)
            after[came_up] = after.get(came_up, 0) + 1
        if last % 20 == 0:
            gc.collect()
    print("writes", writes, "old", after.pop(2, 0), "new", after.pop(3, 0), "other", len(after))


main()
