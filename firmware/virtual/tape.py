"""A sleeper's recording, played endlessly from a file without ever holding more than a moment of it."""

_HELD_BYTES = 1600


class Tape:
    """Frames of `frame_bytes` from `path`, wound to where the sleeper is by now."""

    def __init__(self, path, frame_bytes, position):
        self._file = open(path, "rb")
        self._frame_bytes = frame_bytes
        self.frames = self._file.seek(0, 2) // frame_bytes
        if not self.frames:
            raise OSError(path + " is empty")
        self.held = bytearray(_HELD_BYTES // frame_bytes * frame_bytes)
        self.at = 0
        self._first = 0  # frame at the start of what is held
        self._count = 0
        self._position = position

    def next(self):
        """Wind on; the frame is then in `held` at offset `at`."""
        at = self._position % self.frames
        self._position += 1
        if not self._first <= at < self._first + self._count:
            self._file.seek(at * self._frame_bytes)
            self._first = at
            self._count = self._file.readinto(self.held) // self._frame_bytes
        self.at = (at - self._first) * self._frame_bytes
