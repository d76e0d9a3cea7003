"""The two slots of a flash, and the boot record that says which one to start.

`boot.json` is {"slot": which to start, "good": which has proven itself, "tries": starts left}. Where the
two differ, `slot` is on trial: each start uses up a try, and a pod that runs well for some seconds makes it
good. With no try left, the good one is started again. The record is changed by writing another and
renaming it, which littlefs does wholly or not at all, so that the power may go at any moment.

A slot is started only if its manifest is there and each file is what the manifest says: a slot that was
being written when the power went, or that the flash has spoilt, is none. If the record cannot be read, the
newest whole slot is started, on trial if there is another to go back to.
"""

import hashlib
import json
import os

SLOTS = ("a", "b")
TRIES = 3

_RECORD = "boot.json"
_NEW_RECORD = "boot.new"
_MANIFEST = "manifest.json"
_PIECE_BYTES = 1024
_SMALL_PIECE_BYTES = 256  # where the heap may be almost full
_WHY_LETTERS = 120


def running():
    """The slot this very file was loaded from; empty in a developer's copy."""
    parts = __file__.split("/")
    return parts[-3] if len(parts) >= 3 and parts[-3] in SLOTS else ""


def other(slot):
    """The slot that this one is not."""
    return "b" if slot == "a" else "a"


def read_manifest(data):
    """A manifest as a dict.

    Raises:
        ValueError: it is none.
    """
    manifest = json.loads(data)
    try:
        whole = isinstance(manifest["serial"], int) and manifest["board"] and manifest["arch"]
        for name, size, digest in manifest["files"]:
            # Names of files in the slot itself: nothing an update writes may lie elsewhere
            if name.startswith("/") or ".." in name or name == _MANIFEST or size < 0:
                whole = False
            if len(digest) != 64:
                whole = False
    except (AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ValueError("not a manifest")
    return manifest


class Slots:
    """The slots below `root`; `now` is the one that runs, if any does."""

    def __init__(self, root="/", now=""):
        self.root = root
        self.now = now

    def path(self, slot, name):
        """Where a file of a slot is."""
        return self.root + slot + "/" + name

    # --- the record --------------------------------------------------------------------------

    def record(self):
        """The boot record; None if it cannot be read."""
        try:
            with open(self.root + _RECORD) as file:
                record = json.load(file)
            if (
                record["slot"] in SLOTS
                and record["good"] in SLOTS
                and isinstance(record["tries"], int)
            ):
                return record
        except (OSError, ValueError, KeyError, TypeError):
            pass  # missing, or not ours: as good as none
        return None

    def _write(self, slot, good, tries, why="", ill=()):
        record = {"slot": slot, "good": good, "tries": tries}
        if why:
            record["why"] = why
        if ill:
            record["ill"] = list(ill)
        with open(self.root + _NEW_RECORD, "w") as file:
            json.dump(record, file)
        os.rename(self.root + _NEW_RECORD, self.root + _RECORD)

    def choose(self):
        """The slot to start now, which uses up a try if it is on trial; empty if none can be started."""
        self.now = self._chosen()
        return self.now

    def _chosen(self):
        record = self.record()
        if record is not None:
            slot, good, tries = record["slot"], record["good"], record["tries"]
            why = record.get("why", "")
            if slot == good:
                if not self.fault(slot):
                    return slot
            elif tries > 0 and not self.fault(slot):
                self._write(slot, good, tries - 1, why, record.get("ill", ()))
                return slot
            elif not self.fault(good):
                self._write(good, good, 0, why or self.fault(slot) or "it did not run well")
                return good
        return self._newest()

    def _newest(self):
        whole = [slot for slot in SLOTS if not self.fault(slot)]
        if not whole:
            return ""
        best = max(whole, key=lambda slot: self.manifest(slot)["serial"])
        if len(whole) > 1:
            self._write(best, other(best), TRIES - 1)
        else:
            self._write(best, best, 0)
        return best

    def on_trial(self):
        """True while the running slot has yet to prove itself."""
        record = self.record()
        return record is not None and self.now == record["slot"] != record["good"]

    def confirm(self):
        """The running slot is good."""
        self._write(self.now, self.now, 0)

    def ill(self):
        """The parts that were broken before the trial began: the new firmware is not to blame for them."""
        record = self.record()
        return record.get("ill", ()) if record else ()

    def start_trial(self, slot, ill=()):
        """The next start is that of `slot`, and if it fails, of the one that is running now."""
        # What is on trial itself is nothing to fall back on
        self._write(slot, slot if self.on_trial() else self.now, TRIES, "", ill)

    def roll_back(self):
        """Forget a trial that has not begun: the running slot stays."""
        record = self.record()
        if record is None or record["slot"] != self.now:
            self._write(self.now, self.now, 0)

    def give_up(self, why):
        """The running slot has failed. True if a reset may help: with another try, or the other slot."""
        why = why[:_WHY_LETTERS]
        record = self.record()
        if record is not None and self.on_trial():
            ill = record.get("ill", ())
            self._write(record["slot"], record["good"], record["tries"], why, ill)
            return True
        # It ran well once. The other slot may do better, but if that came to the same end before,
        # the two would only take turns
        if (record is not None and "why" in record) or self.fault(other(self.now)):
            return False
        self._write(other(self.now), other(self.now), 0, why)
        return True

    # --- what is in a slot -------------------------------------------------------------------

    def about(self):
        """What a pod says of its flash: the running slot, and why the last trial ended if it failed."""
        record = self.record() or {}
        return {
            "slot": self.now,
            "image": self.digest(self.now) if self.now else "",
            "trial": self.on_trial(),
            "rolled_back": record.get("why", ""),
        }

    def manifest(self, slot):
        """The manifest of a slot.

        Raises:
            OSError, ValueError: there is none, or it cannot be read.
        """
        with open(self.path(slot, _MANIFEST), "rb") as file:
            return read_manifest(file.read())

    def digest(self, slot):
        """A short name for exactly what a slot holds; empty if it holds nothing."""
        sha = hashlib.sha256()
        try:
            with open(self.path(slot, _MANIFEST), "rb") as file:
                piece = file.read(_SMALL_PIECE_BYTES)
                while piece:
                    sha.update(piece)
                    piece = file.read(_SMALL_PIECE_BYTES)
        except OSError:
            return ""
        return sha.digest().hex()[:16]

    def fault(self, slot):
        """Why a slot cannot be started; empty if it is whole."""
        try:
            manifest = self.manifest(slot)
        except OSError:
            return "slot %s is empty" % slot
        except ValueError:
            return "the manifest of slot %s is spoilt" % slot
        for name, size, digest in manifest["files"]:
            if not _outcome(self.check(slot, name, size, digest)):
                return "%s in slot %s is missing or spoilt" % (name, slot)
        return ""

    def faults(self):
        """What is wrong with each slot there is."""
        try:
            there = os.listdir(self.root or ".")
        except OSError:
            there = []
        return [self.fault(slot) for slot in SLOTS if slot in there]

    def check(self, slot, name, size, digest):
        """Read a file, yielding after each piece; returns whether it is what the manifest says."""
        try:
            with open(self.path(slot, name), "rb") as file:
                sha = hashlib.sha256()
                piece = bytearray(_PIECE_BYTES)
                view = memoryview(piece)
                count = 0
                while True:
                    got = file.readinto(piece)
                    if not got:
                        break
                    count += got
                    sha.update(view[:got])
                    yield
        except OSError:
            return False
        return count == size and sha.digest().hex() == digest


def _outcome(work):
    """What a generator returns, when nobody minds how long it takes."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        return end.value
