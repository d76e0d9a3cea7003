"""The wire: frames and messages between a host and a pod. The one definition both sides import.

Written in the subset that MicroPython and CPython share. A frame is

    magic 1 | type 1 | seq 2 | length 2 | epoch 1 | check 1 | payload 0..1024 | crc32 4

little-endian. The length is protected by a check byte of its own, because a reader that waits for
bytes a broken length promised is deaf until they come. The CRC-32 covers everything before it, so
that a whole frame is verified by one call that allocates nothing: the CRC of a frame including its
own little-endian CRC is a constant. The header is 8 bytes so that samples behind it stay aligned.

`epoch` is the low byte of the pod's boot_id (0 while it is unknown): a frame meant for, or coming
from, another life of the pod is seen as such at once.

Host to pod, some types are *sequenced*: accepted in order only, acknowledged, sent again until
they are. The others take effect whenever they arrive whole, and may be repeated. Pod to host,
frames are numbered but never repeated: gaps are counted, and samples carry their own counters.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


PROTOCOL = const(1)

MAGIC = const(0xD7)
HEADER_BYTES = const(8)
CRC_BYTES = const(4)
MAX_PAYLOAD = const(1024)
MAX_FRAME = const(1036)
CRC_RESIDUE = const(0x2144DF1C)

# --- host to pod -----------------------------------------------------------------------------
HELLO = const(0x01)  # nonce u32: who are you? Resets the sequence, is answered by DICTIONARY
PROBE = const(0x02)  # id u32: what time is it? Answered in the reader itself by PROBE_REPLY
STOP = const(0x03)  # no payload: silence, now, and until the next OPEN
OPEN = const(0x10)  # sequenced, no payload: a sound stream begins
CHUNK = const(0x11)  # sequenced: play_us u32, then PCM16 frames: play these at that pod time
CLOSE = const(0x12)  # sequenced, no payload: the stream ends when its last chunk has played
SENSE = const(0x13)  # sequenced: mask u8, bit i set: stream i is sampled and sent

_FIRST_SEQUENCED = const(0x10)

# --- pod to host -----------------------------------------------------------------------------
DICTIONARY = const(0x81)  # nonce u32, part u8, parts u8, then JSON text
PROBE_REPLY = const(0x82)  # id u32, received pod_us u32, answered pod_us u32
ACK = const(0x83)  # boot_id u32, next seq u16, free chunk slots u16, state u8
BLOCK = const(0x84)  # BLOCK_HEAD, then samples as the dictionary describes them
STATS = const(0x85)  # one u32 for each name in STATS_FIELDS
EVENT = const(0x86)  # kind u8, 3 spare, pod_us u32

DICTIONARY_HEAD = "<IBB"
PROBE_REPLY_FORMAT = "<III"
ACK_FORMAT = "<IHHB"
EVENT_FORMAT = "<BxxxI"

# stream u8, spare u8, samples u16, counter of the first u32; then a pair that ties the sample
# counter to the pod's clock: counter u32, pod_us u32. The host regresses over the pairs.
BLOCK_HEAD = "<BxHIII"
BLOCK_HEAD_BYTES = const(16)
CHUNK_HEAD_BYTES = const(4)

# What the pod says about itself each second. Counters run from boot and never go back.
STATS_FIELDS = (
    "boot_id",
    "pod_us",  # when these were read
    "rx_frames",  # whole frames accepted
    "rx_corrupt",  # headers or frames that failed their check
    "rx_skipped",  # bytes thrown away while looking for the next frame
    "rx_out_of_order",  # sequenced frames that were not the next one
    "tx_frames",
    "tx_dropped",  # frames the port did not take
    "sample_overflows",  # samples lost on the pod because nobody fetched them in time
    "sensor_errors",
    "chunks",  # sound chunks played
    "late",  # chunks that came after their time and were dropped
    "late_worst_us",  # by how much, at worst in the last second
    "underruns",  # times an open stream had nothing to play
    "i2s_slips",  # times the I2S ran dry, so that its time line moved
    "buffered_us",  # sound waiting to be played
    "peak",  # loudest sample of the last second, 0..32767
    "mean_square",  # of the last second, in units of 65536
    "ceiling_hits",  # samples held at the ceiling
    "loop_worst_us",  # longest turn of the main loop in the last second
    "mem_free",
    "state",  # STATE_*
)
STATS_FORMAT = "<22I"
STATS_BYTES = const(88)

# The sound's states, as ACK and STATS tell them
STATE_IDLE = const(0)
STATE_PLAYING = const(1)
STATE_HOST_LOST = const(2)
STATE_STOPPED = const(3)

# EVENT kinds
EVENT_HOST_FOUND = const(1)  # the pod hears a host, after a silence longer than its dead-man
EVENT_STOPPED = const(2)

# Sample formats a dictionary may name, with the bytes a value takes
SAMPLE_BYTES = {"u16": 2, "i16": 2, "i24be": 3}


def is_sequenced(kind):
    """True for the types that are accepted in order only and acknowledged."""
    return _FIRST_SEQUENCED <= kind < 0x80


def header_check(buf):
    """The check byte of a header. Odd weights, so that any one changed byte changes it."""
    return (
        0xA5
        + 3 * buf[0]
        + 5 * buf[1]
        + 7 * buf[2]
        + 11 * buf[3]
        + 13 * buf[4]
        + 17 * buf[5]
        + 19 * buf[6]
    ) & 0xFF


def header_ok(buf):
    """True if the first 8 bytes can begin a frame."""
    return buf[0] == MAGIC and buf[7] == header_check(buf) and buf[4] | buf[5] << 8 <= MAX_PAYLOAD


def payload_length(buf):
    """Bytes of payload that the header announces."""
    return buf[4] | buf[5] << 8


def put_header(buf, kind, seq, length, epoch):
    """Write the 8 bytes of a header at the start of `buf`."""
    buf[0] = MAGIC
    buf[1] = kind
    buf[2] = seq & 0xFF
    buf[3] = seq >> 8 & 0xFF
    buf[4] = length & 0xFF
    buf[5] = length >> 8
    buf[6] = epoch
    buf[7] = header_check(buf)
