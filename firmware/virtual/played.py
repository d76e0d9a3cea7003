"""What the loudspeaker has played: kept on the PC, and heard by the microphone beside it.

It goes to i2s-N.pcm, one file per boot: frame k began to play at true time start_us + k * frame_us,
both in i2s-N.json.
"""

import json

import crystal
import pc


class Played:
    """The sound of this board, of which there is one; `latest` is None as long as it has none."""

    latest = None

    def __init__(self, rate_hz, frame_bytes, began, recent, half_bytes):
        self.rate_hz = rate_hz
        self.channels = frame_bytes // 2
        self.recent = recent  # 16-bit samples, a ring that ends before byte `at`
        self.at = 2 * half_bytes
        self.began = began
        self._half_bytes = half_bytes
        self._halves = 2  # that are in `recent` or were before
        self._half_us = half_bytes // frame_bytes * 1_000_000 // rate_hz
        self._frame_bytes = frame_bytes
        self._file = self._open()
        Played.latest = self

    def _open(self):
        names = pc.names()
        number = 1
        while "i2s-%d.json" % number in names:
            number += 1
        period_ns = 1e9 / self.rate_hz / (1 + crystal.PPB / 1e9)
        with pc.open("i2s-%d.json" % number, "w") as file:
            json.dump(
                {
                    "rate_hz": self.rate_hz,
                    "channels": self.channels,
                    "start_us": crystal.true_us(self.began),
                    "frame_us": period_ns / 1000,
                },
                file,
            )
        return pc.open("i2s-%d.pcm" % number, "wb")

    def advance(self):
        """A half more stands in `recent`: it plays when the two before it have played."""
        self._halves += 1
        self.at += self._half_bytes
        if self.at >= len(self.recent):
            self.at = 0

    def keep(self):
        """`recent` is full."""
        if self._file is not None:
            try:
                self._file.write(self.recent)
            except OSError as error:  # the PC's disk is full; a board would not notice
                pc.complain("what plays is not kept any more: %s" % error)
                self._file = None

    def close(self, at):
        """No more sound: keep what is left over."""
        if self._file is not None:
            self._file.write(memoryview(self.recent)[:at])
            self._file.close()
            self._file = None
        if Played.latest is self:
            Played.latest = None

    def sample_at(self, count):
        """The left sample (-32768..32767) on its way out when the crystal has counted `count` us.

        0 before the first, and for what is longer ago than `recent` holds (10 halves) or not yet known.
        """
        frame = (count - self.began) * self.rate_hz // 1_000_000
        known = self._halves * self._half_bytes // self._frame_bytes
        back = known - frame  # 1: the last one known
        held = len(self.recent) // self._frame_bytes
        if not 0 < back <= held or frame < 0:
            return 0
        place = self.at - back * self._frame_bytes
        if place < 0:
            place += len(self.recent)
        value = self.recent[place] | self.recent[place + 1] << 8
        return value - 65536 if value > 32767 else value
