"""A sleeper's recordings, played endlessly from files without ever holding more than a moment of them."""

import json

import crystal
import pc

_HELD_BYTES = 1600
_SUFFIXES = {2: ".u16", 4: ".i32"}  # by bytes per sample


class Tape:
    """Frames of `frame_bytes` from a file of the PC, `rate_hz` a second, wound to `position`."""

    def __init__(self, path, frame_bytes, position, rate_hz):
        self._file = pc.open(path, "rb")
        self._frame_bytes = frame_bytes
        self.frames = self._file.seek(0, 2) // frame_bytes
        if not self.frames:
            raise OSError(path + " is empty")
        self.rate_hz = rate_hz
        self.held = bytearray(_HELD_BYTES // frame_bytes * frame_bytes)
        self.at = 0
        self._first = 0  # frame at the start of what is held
        self._count = 0
        self._position = position

    def next(self):
        """Wind on by one frame; it is then in `held` at offset `at`."""
        self._hold(self._position % self.frames)
        self._position += 1

    def now(self):
        """Wind to what the sleeper does at this moment; the frame is then in `held` at offset `at`."""
        self._hold(crystal.since_epoch_us() * self.rate_hz // 1_000_000 % self.frames)

    def _hold(self, at):
        if not self._first <= at < self._first + self._count:
            self._file.seek(at * self._frame_bytes)
            self._first = at
            self._count = self._file.readinto(self.held) // self._frame_bytes
        self.at = (at - self._first) * self._frame_bytes


class Tapes:
    """What was recorded of the sleeper on this pod: the folder tape/ of the PC, as tape.json tells."""

    def __init__(self):
        try:
            with pc.open("tape/tape.json") as file:
                self._signals = json.load(file)["signals"]
        except OSError:  # a board with nobody on it
            self._signals = {}

    def card(self, name):
        """What is known of a signal (rate_hz, channels, unit, unit_per_count), None if not recorded."""
        return self._signals.get(name)

    def open(self, name, sample_bytes=2):
        """The signal `name` from this moment on, or None where it was not recorded."""
        card = self.card(name)
        if card is None:
            return None
        rate_hz = card["rate_hz"]
        return Tape(
            "tape/" + name + _SUFFIXES[sample_bytes],
            sample_bytes * card["channels"],
            crystal.since_epoch_us() * rate_hz // 1_000_000,
            rate_hz,
        )
