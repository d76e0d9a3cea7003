"""What stands around the firmware in these scripts: a port with frames in it, an I2S, silence."""

import struct

from dreampod import _fast, wire

SPEC = {
    "rate_hz": 16000,
    "channels": 2,
    "ring_frames": 1280,
    "dma_frames": 64,
    "chunk_frames": 240,
    "slots": 64,
}  # of the virtual board
# Of a pod so quiet that nothing it plays comes near a limit
LIMITS = {"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 60.0}


class Port:
    """Reader, writer and poll in one. `give` what a host would have sent."""

    def __init__(self):
        self._data = bytearray(4096)
        self._at = 0
        self._end = 0
        self._ready = (self,)
        self.written = 0

    def register(self, _port, _events):
        pass

    def ipoll(self, _wait_ms):
        return self._ready if self._at < self._end else ()

    def give(self, frame):
        if self._at == self._end:
            self._at = self._end = 0
        _fast.copy(self._data, self._end, frame, 0, len(frame))
        self._end += len(frame)

    def readinto(self, buf):
        length = len(buf)
        _fast.copy(buf, 0, self._data, self._at, length)
        self._at += length
        return length

    def write(self, _buf, length):
        self.written += 1
        return length


class I2S:
    """Takes whatever is written; the script calls back."""

    def irq(self, handler):
        self.handler = handler

    def write(self, buf):
        return len(buf)


def frame(kind, payload, seq, epoch):
    """A whole frame, made as the host makes it."""
    buf = bytearray(wire.HEADER_BYTES + len(payload) + wire.CRC_BYTES)
    wire.put_header(buf, kind, seq, len(payload), epoch)
    buf[wire.HEADER_BYTES : wire.HEADER_BYTES + len(payload)] = payload
    _fast.put_crc(buf, wire.HEADER_BYTES + len(payload))
    return buf


def renumber(buf, seq, play_us):
    """Make a CHUNK frame the next one, without a new buffer."""
    length = len(buf) - wire.CRC_BYTES
    wire.put_header(buf, wire.CHUNK, seq, length - wire.HEADER_BYTES, buf[6])
    struct.pack_into("<I", buf, wire.HEADER_BYTES, play_us)
    _fast.put_crc(buf, length)
