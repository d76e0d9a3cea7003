"""An update over the link: another firmware into the slot that is not running, and a trial of it.

The host sends the manifest with its HMAC under this pod's own key, then the files that the slot does not
hold already. Nothing of the running slot is touched. The manifest is written last, when all files have
been read back and are right, and after it the boot record: until then the other slot is not whole, and no
start will choose it, whenever the power goes. So an update that was cut off can be taken up again.

While the sound plays or streams are on, nothing is written: flash is erased with all interrupts off.
"""

import gc
import hashlib
import json
import os
import struct

from dreampod import wire
from dreampod.slots import Slots, other, read_manifest, running

_MANIFEST_MOST_BYTES = 16384
_MAC_BYTES = 32
_SPARE_BLOCKS = 16  # for folders and the manifest
_POINTER_BYTES = 8  # what littlefs keeps of a block for itself, on average less
_FOLDER_MODE = 0x4000


class Refused(Exception):
    """The update ends here; the text says why, to people."""


class Update:
    """One update at a time, told by `handle` and advanced by `step`."""

    def __init__(self, link, record, busy, flash=None, ill=tuple):
        self._link = link
        self._record = record
        self._busy = busy
        self._ill = ill  # tells the names of the parts that do not work now
        self._flash = flash or Slots(now=running())
        self._ops = {
            wire.UPDATE_BEGIN: self._begin,
            wire.UPDATE_MANIFEST: self._take_manifest,
            wire.UPDATE_FILE: self._begin_file,
            wire.UPDATE_DATA: self._take_data,
            wire.UPDATE_END: self._end,
            wire.UPDATE_ROLLBACK: self._roll_back,
        }
        self._file = None
        self._close()

    def _close(self):
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # a file cut off is found by its sum, whatever cut it off
        self._open = False
        self._work = None  # what is done a piece at a time: a generator
        self._text = bytearray()  # the manifest, with room for what has yet to come
        self._come = 0
        self._present = ("", "", 0)  # board, architecture and release of what runs
        self._mac = b""
        self._files = []  # the manifest's
        self._release = 0
        self._right = set()  # numbers of files that are in the slot as they should be
        self._file = None
        self._number = 0
        self._left = 0  # bytes of the file in hand
        self._sha = hashlib.sha256()

    # --- what the host sends -----------------------------------------------------------------

    def handle(self, payload):
        """Take the payload of an UPDATE frame. What comes of it is reported, also what is refused."""
        if not payload:
            return
        op = payload[0]
        if not self._open and op not in (wire.UPDATE_BEGIN, wire.UPDATE_ROLLBACK):
            return  # the rest of what was refused already
        self._guarded(self._take, payload)

    def _take(self, payload):
        if self._busy():
            raise Refused("sound is playing or streams are on: end the session first")
        op = payload[0]
        if op not in self._ops:
            raise Refused("a step of an update that this firmware does not know")
        if self._work is not None and op != wire.UPDATE_BEGIN:
            raise Refused("the update's parts came in a wrong order: start it again")
        self._ops[op](payload[1:])

    def step(self, _now):
        """Do a piece of what takes long. True while an update is under way."""
        if self._open and not self._link.connected:
            self._close()  # the host is gone; what is in the slot is found again by the next one
        if self._work is not None:
            self._guarded(self._advance, self._work)
        return self._open

    def end(self):
        """Leave it at that; what is in the slot is found again by the next update."""
        self._close()

    def _advance(self, work):
        try:
            next(work)
        except StopIteration:
            self._work = None

    def _guarded(self, action, argument):
        try:
            action(argument)
        except Refused as error:
            self._refuse(str(error))
        except OSError as error:
            self._refuse("the flash cannot be written (%s): try again, or flash by USB" % error)

    def _refuse(self, reason):
        self._close()
        self._report({"update": "refused", "reason": reason})

    def _report(self, content):
        self._link.report(0, json.dumps(content).encode())

    # --- the manifest ------------------------------------------------------------------------

    def _begin(self, data):
        self._close()
        if len(data) != 4 + _MAC_BYTES:
            raise Refused("an update begins with the manifest's length and signature")
        if self._record.key is None:
            raise Refused("not provisioned: this pod has no key to tell the fleet's updates by")
        if not self._flash.now:
            raise Refused("this pod runs a developer's copy without slots: flash it by USB")
        if self._flash.on_trial():
            raise Refused("the last update is still on trial: try again in some seconds")
        expected = struct.unpack_from("<I", data)[0]
        if not 0 < expected <= _MANIFEST_MOST_BYTES:
            raise Refused("a manifest of %d bytes" % expected)
        # Before the other one comes: there is no room for two
        try:
            present = self._flash.manifest(self._flash.now)
        except ValueError:
            raise Refused("the manifest of what runs is spoilt: flash the pod by USB") from None
        self._present = (present["board"], present["arch"], present["serial"])
        del present
        gc.collect()
        self._text = bytearray(expected)
        self._mac = data[4:]
        self._open = True

    def _take_manifest(self, data):
        if self._files:
            raise Refused("the update's parts came in a wrong order: start it again")
        end = self._come + len(data)
        if end > len(self._text):
            raise Refused("more data than the manifest says: start the update again")
        self._text[self._come : end] = data
        self._come = end
        if end < len(self._text):
            return
        gc.collect()
        if not self._record.signed(self._text, self._mac):
            raise Refused("the signature is wrong: this update was made for another fleet's pods")
        try:
            manifest = read_manifest(self._text)
        except ValueError:
            raise Refused("the manifest cannot be read") from None
        board, arch, serial = self._present
        if manifest["board"] != board or manifest["arch"] != arch:
            raise Refused(
                "made for %s (%s), this is %s (%s)"
                % (manifest["board"], manifest["arch"], board, arch)
            )
        if manifest["serial"] <= serial:
            raise Refused(
                "release %d is not newer than release %d, which runs: to go back, use rollback"
                % (manifest["serial"], serial)
            )
        self._files = manifest["files"]
        self._release = manifest["serial"]
        self._work = self._prepare()

    def _prepare(self):
        """Clear the slot of what does not belong, and say what it holds already."""
        flash = self._flash
        slot = other(flash.now)
        flash.roll_back()  # an earlier update may wait there for its trial
        _remove(flash.path(slot, "manifest.json"))
        yield
        named = {name for name, _, _ in self._files}
        for name in _names(flash.root + slot):
            if name not in named:
                _remove(flash.path(slot, name))
                yield
        need = _SPARE_BLOCKS
        block = os.statvfs(flash.root)[0]
        for number, (name, size, digest) in enumerate(self._files):
            right = yield from flash.check(slot, name, size, digest)
            if right:
                self._right.add(number)
            else:
                _remove(flash.path(slot, name))
                need += size // (block - _POINTER_BYTES) + 1
        free = os.statvfs(flash.root)[3]
        if free < need:
            raise Refused(
                "no room: %d KB are needed, %d KB free"
                % (need * block // 1024, free * block // 1024)
            )
        self._report({"update": "begin", "slot": slot, "have": sorted(self._right)})

    # --- files -------------------------------------------------------------------------------

    def _begin_file(self, data):
        number = struct.unpack("<H", data)[0] if len(data) == 2 else len(self._files)
        if number >= len(self._files):
            raise Refused("a file that the manifest does not name")
        if self._file is not None:
            self._file.close()
        name, self._left, _ = self._files[number]
        self._number = number
        self._right.discard(number)
        path = self._flash.path(other(self._flash.now), name)
        _make_folders(path)
        self._file = open(path, "wb")
        self._sha = hashlib.sha256()
        if not self._left:
            self._end_file(self._file)

    def _take_data(self, data):
        if self._file is None or len(data) > self._left:
            raise Refused("more data than the manifest says: start the update again")
        self._file.write(data)
        self._sha.update(data)
        self._left -= len(data)
        if not self._left:
            self._end_file(self._file)

    def _end_file(self, file):
        file.close()
        self._file = None
        name, _, digest = self._files[self._number]
        if self._sha.digest().hex() != digest:
            raise Refused("%s is not what the manifest says: the bundle is damaged" % name)
        self._right.add(self._number)

    # --- the end -----------------------------------------------------------------------------

    def _end(self, _data):
        if not self._files or len(self._right) < len(self._files):
            raise Refused("%d files have not come" % (len(self._files) - len(self._right)))
        self._work = self._finish()

    def _finish(self):
        """Read everything back, then make the slot one that can be started, and the next to be."""
        flash = self._flash
        slot = other(flash.now)
        for name, size, digest in self._files:
            right = yield from flash.check(slot, name, size, digest)
            if not right:
                raise Refused("%s reads back wrong: try again, or the flash is worn out" % name)
        with open(flash.path(slot, "manifest.json"), "wb") as file:
            file.write(self._text)
        wanted = hashlib.sha256(self._text).digest().hex()[:16]
        self._text = bytearray()
        self._files = []
        gc.collect()
        yield
        if flash.digest(slot) != wanted:
            raise Refused("the manifest reads back wrong: try again, or the flash is worn out")
        flash.start_trial(slot, self._ill())
        self._done("done", slot, self._release)

    def _roll_back(self, _data):
        self._close()
        if not self._flash.now:
            raise Refused("this pod runs a developer's copy without slots: flash it by USB")
        self._open = True
        self._work = self._go_back()

    def _go_back(self):
        slot = other(self._flash.now)
        try:
            manifest = self._flash.manifest(slot)
        except (OSError, ValueError):
            raise Refused("nothing to go back to: slot %s is empty" % slot) from None
        for name, size, digest in manifest["files"]:
            right = yield from self._flash.check(slot, name, size, digest)
            if not right:
                raise Refused("nothing to go back to: %s in slot %s is spoilt" % (name, slot))
        self._flash.start_trial(slot, self._ill())
        self._done("rollback", slot, manifest["serial"])

    def _done(self, what, slot, serial):
        self._close()
        self._report({"update": what, "slot": slot, "release": serial})


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass  # it was not there


def _names(folder, below=""):
    """The files in a slot's folder, by their names in a manifest."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return  # a slot that never was
    for entry in entries:
        path = folder + "/" + entry
        if os.stat(path)[0] & _FOLDER_MODE:
            yield from _names(path, below + entry + "/")
        else:
            yield below + entry


def _make_folders(path):
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass  # it is there; what cannot be made shows when the file is opened
        at = path.find("/", at + 1)
