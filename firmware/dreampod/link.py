"""The pod's end of the link: whole frames in, whole frames out, nothing allocated on the way.

On boards `readinto` blocks until every byte it was asked for has come, and poll only says that
there is at least one. So the reader asks for a header, then for exactly what the header promises,
never byte by byte (that would be 5 KB/s on an RP2040). While it waits, I2S callbacks still run,
which is why the dead-man lives there and not here.

Out of frame only one thing is looked for, while nothing plays and nothing is sensed: a burst that begins
with what a tool sends that wants MicroPython's prompt. All other stray bytes are noise.

A clock probe is answered in the reader itself, before any other work: the host takes the two
stamps apart from the travel time, but what the pod does in between would be noise.
"""

import binascii
import select
import struct

from dreampod import wire
from dreampod.clock import ticks_diff, ticks_us

_IDLE_MS = 4  # the main loop's one wait, and so what a finished block waits at most
_FRAMES_PER_STEP = 16  # then the rest of the pod has its turn
_ACK_EVERY = 4  # sequenced frames
_ACK_LATEST_US = 20_000
_LITTLE_ROOM = 12  # chunks; a host that was told of less waits for us to say that there is more
_CACHED_LENGTHS = 12  # a host uses a handful of frame lengths; views of them are kept

_RETURN = 0x0D  # "\r" and Ctrl-C: how mpremote and its like begin
_INTERRUPT = 0x03
_QUIET_US = 100_000  # a burst begins after so much silence

HOST_SILENT_US = 1_000_000  # nobody heard for so long: nothing is written into the void


class Link:
    """Reads frames for `pod`, which must have `handle(kind, buf, length) -> bool` and `busy()`."""

    def __init__(self, reader, writer, clock, fast, boot_id):
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._put_crc = fast.put_crc
        self.boot_id = boot_id
        self._epoch = boot_id & 0xFF
        self._poll = select.poll()
        self._poll.register(reader, select.POLLIN)

        self._rx = bytearray(wire.MAX_FRAME)
        self._view = memoryview(self._rx)
        self._missing = [self._view[have : wire.HEADER_BYTES] for have in range(wire.HEADER_BYTES)]
        self._first = self._view[0:1]
        self._have = 0  # header bytes held
        self._bodies = {}
        self._received = ticks_us()  # just after the header of the frame in hand

        self.tx = bytearray(wire.MAX_FRAME)  # senders write their payload from HEADER_BYTES on
        self._tx_seq = 0
        self._expected = 0
        self._unacked = 0
        self._acked = ticks_us()
        self._ack_asked = self._acked
        self._told_room = _LITTLE_ROOM
        self._ack_now = False
        self._refused = 0  # 1: a sequenced frame was not taken since the last acknowledgement

        self.heard = ticks_us()
        self._last_read = self.heard
        self.connected = False
        self.wants_prompt = False  # somebody asked for MicroPython's prompt
        self.rx_frames = 0
        self.rx_corrupt = 0
        self.rx_skipped = 0
        self.rx_out_of_order = 0
        self.tx_frames = 0
        self.tx_dropped = 0

    def attach(self, pod, sound):
        """Name those whom frames are for, and whose state the acknowledgements tell."""
        self._pod = pod
        self._sound = sound

    # --- in ----------------------------------------------------------------------------------

    def step(self, _now):
        """Wait a moment for the host, take what came, acknowledge what is due."""
        wait_ms = _IDLE_MS
        for _ in range(_FRAMES_PER_STEP):
            ready = False
            for _event in self._poll.ipoll(wait_ms):
                ready = True
            if not ready:
                break
            self._read()
            if self.wants_prompt:
                return  # what comes next is not for us
            wait_ms = 0
        now = ticks_us()  # the wait has made the other one old
        if self.connected and ticks_diff(now, self.heard) > HOST_SILENT_US:
            self.connected = False
        if (
            self._ack_now
            or self._unacked >= _ACK_EVERY
            or (self._unacked and ticks_diff(now, self._ack_asked) > _ACK_LATEST_US)
            or (self._told_room < _LITTLE_ROOM and ticks_diff(now, self._acked) > _ACK_LATEST_US)
        ):
            self._acked = now
            self._send_ack()

    def _read(self):
        if self._have == 0 and self._no_header():
            return
        count = self._reader.readinto(self._missing[self._have])
        if not count:
            return
        self._received = ticks_us()
        self._have += count
        if self._have < wire.HEADER_BYTES:
            return
        rx = self._rx
        if not wire.header_ok(rx):
            self._resync()
            return
        self._have = 0
        length = wire.payload_length(rx)
        body, whole = self._views(length)
        self._reader.readinto(body)
        if binascii.crc32(whole) != wire.CRC_RESIDUE:
            self.rx_corrupt += 1
            return
        self._accept(rx[1], rx[2] | rx[3] << 8, length)

    def _no_header(self):
        """At the beginning of a burst, look at its first bytes; true if no header begins with them.

        Others write to ports as well, a word to see if a modem is there: that must not leave the
        reader waiting for the rest of a header. A header begins with the magic byte, padding with 0.
        """
        quiet = ticks_diff(ticks_us(), self._last_read) > _QUIET_US
        self._last_read = ticks_us()
        if self.connected and not quiet:
            return False
        if not self._reader.readinto(self._first):
            return True
        if self._rx[0] == wire.MAGIC or self._rx[0] == 0:
            self._have = 1
            return False
        self.rx_skipped += 1
        if quiet and self._rx[0] == _RETURN and self._reader.readinto(self._first):
            # What follows is for the prompt, and stays in the port
            self.wants_prompt = self._rx[0] == _INTERRUPT and not self._pod.busy()
        return True

    def _views(self, length):
        views = self._bodies.get(length)
        if views is None:
            if len(self._bodies) >= _CACHED_LENGTHS:
                self._bodies.clear()
            end = wire.HEADER_BYTES + length + wire.CRC_BYTES
            views = self._bodies[length] = (self._view[wire.HEADER_BYTES : end], self._view[:end])
        return views

    def _resync(self):
        """Keep what may be the beginning of a header, from the next magic byte on."""
        rx = self._rx
        if rx[0] == wire.MAGIC:
            self.rx_corrupt += 1
        start = 1
        while start < wire.HEADER_BYTES and rx[start] != wire.MAGIC:
            start += 1
        for i in range(start, wire.HEADER_BYTES):
            rx[i - start] = rx[i]
        self._have = wire.HEADER_BYTES - start
        self.rx_skipped += start

    def _accept(self, kind, seq, length):
        self.rx_frames += 1
        self.heard = self._received
        self.connected = True
        self._sound.heard = True
        if kind == wire.PROBE:
            self._answer_probe()
        elif wire.is_sequenced(kind):
            if (
                self._rx[6] == self._epoch
                and seq == self._expected
                and self._pod.handle(kind, self._rx, length)
            ):
                self._expected = (seq + 1) & 0xFFFF
                if not self._unacked:
                    self._ack_asked = self._received
                self._unacked += 1
            else:
                self.rx_out_of_order += 1
                self._refused = 1
                self._ack_now = True
        else:
            if kind == wire.HELLO:
                self._expected = 0
            self._ack_now = self._pod.handle(kind, self._rx, length)

    # --- out ---------------------------------------------------------------------------------

    def send(self, kind, length):
        """Send the payload that stands in `tx` behind the header's place. False: not taken."""
        if not self.connected:
            return False
        tx = self.tx
        wire.put_header(tx, kind, self._tx_seq, length, self._epoch)
        self._tx_seq = (self._tx_seq + 1) & 0xFFFF
        self._put_crc(tx, wire.HEADER_BYTES + length)
        total = wire.HEADER_BYTES + length + wire.CRC_BYTES
        if self._writer.write(tx, total) != total:
            # The port gave up (500 ms on USB): the host does not read. Until it is heard again
            # every further write would stall the pod as long.
            self.tx_dropped += 1
            self.connected = False
            return False
        self.tx_frames += 1
        return True

    def _answer_probe(self):
        tx = self.tx
        for i in range(4):
            tx[8 + i] = self._rx[8 + i]
        self._clock.put(tx, 12, self._received)
        self._clock.put(tx, 16, ticks_us())
        self.send(wire.PROBE_REPLY, 12)

    def _send_ack(self):
        room = self._told_room = self._sound.free_slots()
        struct.pack_into(
            wire.ACK_FORMAT,
            self.tx,
            wire.HEADER_BYTES,
            self.boot_id,
            self._expected,
            room,
            self._sound.state,
            self._refused,
        )
        self._unacked = 0
        self._ack_now = False
        self._refused = 0
        self.send(wire.ACK, wire.ACK_BYTES)

    def event(self, kind, ticks, which=0, text=b""):
        """Tell the host that something happened at pod time `ticks`."""
        tx = self.tx
        tx[8] = kind
        tx[9] = which
        tx[10] = tx[11] = 0
        self._clock.put(tx, 12, ticks)
        count = min(len(text), wire.MAX_PAYLOAD - wire.EVENT_HEAD_BYTES)
        for i in range(count):
            tx[16 + i] = text[i]
        self.send(wire.EVENT, wire.EVENT_HEAD_BYTES + count)

    def dictionary(self, pieces):
        """Answer a HELLO: the nonce it brought, then the pieces of the self-description."""
        nonce = struct.unpack_from("<I", self._rx, wire.HEADER_BYTES)[0]
        self._in_parts(wire.DICTIONARY, wire.DICTIONARY_HEAD, nonce, pieces)

    def report(self, request, text):
        """Answer `request` with a JSON text."""
        self._in_parts(wire.REPORT, wire.REPORT_HEAD, request, (text,))

    def _in_parts(self, kind, head, number, pieces):
        """Send a text that comes in pieces, in as many parts as it takes."""
        size = struct.calcsize(head)
        room = wire.MAX_PAYLOAD - size
        length = 0
        for piece in pieces:
            length += len(piece)
        parts = max(1, (length + room - 1) // room)
        start = wire.HEADER_BYTES + size
        part = filled = 0
        for piece in pieces:
            for byte in piece:
                self.tx[start + filled] = byte
                filled += 1
                if filled == room:
                    self._send_part(kind, head, number, part, parts, size + filled)
                    part += 1
                    filled = 0
        if filled or not length:
            self._send_part(kind, head, number, part, parts, size + filled)

    def _send_part(self, kind, head, number, part, parts, length):
        struct.pack_into(head, self.tx, wire.HEADER_BYTES, number, part, parts)
        self.send(kind, length)
