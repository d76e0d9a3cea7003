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


PROTOCOL = const(2)

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
OPEN = const(0x10)  # sequenced: codec u8, CODEC_*; without it PCM16. A sound stream begins
CHUNK = const(0x11)  # sequenced: play_us u32, then frames in the stream's codec: play these at that pod time
CLOSE = const(0x12)  # sequenced, no payload: the stream ends when its last chunk has played
SENSE = const(0x13)  # sequenced: mask u8, bit i set: stream i is sampled and sent
CUE = const(0x14)  # sequenced: CUE_FORMAT: a sound or touch the pod makes itself, at a pod time or at once
FOLLOW = const(0x15)  # sequenced: FOLLOW_FORMAT, then a CUE payload: the pod's own closed loop, or its end
LIGHT = const(0x16)  # sequenced: red u8, green u8, blue u8, spare u8, fade_ms u16
LIMIT = const(0x17)  # sequenced: LIMIT_FORMAT, then its HMAC-SHA256: another ceiling until the next boot
TEST = const(0x20)  # sequenced: request u16: test yourself. Answered by REPORT, a part at a time
UPDATE = const(0x21)  # sequenced: op u8, UPDATE_*, and what belongs to it. Answered by REPORT
RESTART = const(0x22)  # sequenced, no payload: as if the power had gone and come back

_FIRST_SEQUENCED = const(0x10)

# --- pod to host -----------------------------------------------------------------------------
DICTIONARY = const(0x81)  # nonce u32, part u8, parts u8, then JSON text
PROBE_REPLY = const(0x82)  # id u32, received pod_us u32, answered pod_us u32
ACK = const(0x83)  # boot_id u32, next seq u16, free chunk slots u16, state u8, refused u8 (a frame)
BLOCK = const(0x84)  # BLOCK_HEAD, then samples as the dictionary describes them
STATS = const(0x85)  # one u32 for each name in STATS_FIELDS
EVENT = const(0x86)  # kind u8, which u8, 2 spare, pod_us u32, then text for people, or none
REPORT = const(0x87)  # request u16, part u8, parts u8, then JSON text

DICTIONARY_HEAD = "<IBB"
PROBE_REPLY_FORMAT = "<III"
ACK_FORMAT = "<IHHBB"
ACK_BYTES = const(10)
EVENT_FORMAT = "<BBxxI"
EVENT_HEAD_BYTES = const(8)
REPORT_HEAD = "<HBB"
REPORT_HEAD_BYTES = const(4)

# stream u8, spare u8, samples u16, counter of the first u32; then a pair that ties the sample
# counter to the pod's clock: counter u32, pod_us u32. The host regresses over the pairs.
BLOCK_HEAD = "<BxHIII"
BLOCK_HEAD_BYTES = const(16)
CHUNK_HEAD_BYTES = const(4)

# Codecs of a stream. A chunk in IMA ADPCM decodes by itself: for each channel a head (first sample
# i16, step index u8, 1 in the first channel's if the last nibble is none), then the samples after the
# first, a nibble each, low nibble first;
# with two channels a byte is left in its low nibble, right in its high one.
CODEC_PCM16 = const(0)
CODEC_IMA = const(1)
IMA_HEAD_BYTES = const(4)

# kind u8, flags u8, number u16 (told back in events), play_us u32, duration_ms u16, ramp_ms u16,
# level u16 (peak, 0..32767), pitch u16 (tone: Hz; haptic: effect number of the driver's library)
CUE_FORMAT = "<BBHIHHHH"
CUE_BYTES = const(16)
CUE_PINK = const(1)  # a burst of pink noise
CUE_TONE = const(2)
CUE_HAPTIC = const(3)
CUE_NOW = const(1)  # flag: at once, whatever play_us says

# on u8, EEG channel u8, centre frequency u16 in mHz, phase u16 in units of 2*pi/65536 (0: the crest),
# least amplitude u16 and most amplitude u16 in 0.1 uV, least confidence u8 in 1/255, spare u8,
# refractory time u16 in ms
FOLLOW_FORMAT = "<BBHHHHBxH"
FOLLOW_BYTES = const(14)

LIGHT_BYTES = const(6)

LIMIT_FORMAT = "<IH"  # boot_id u32 (a frame kept from another life is worth nothing), ceiling in 0.01 dBA
LIMIT_BYTES = const(6)

# Ops of an update, in this order; see update.py
UPDATE_BEGIN = const(1)  # manifest length u32, then the manifest's HMAC-SHA256 with the pod's key
UPDATE_MANIFEST = const(2)  # bytes of the manifest
UPDATE_FILE = const(3)  # number u16 of the file in the manifest: begins anew
UPDATE_DATA = const(4)  # bytes of that file
UPDATE_END = const(5)  # all is there: check it, and start it on trial
UPDATE_ROLLBACK = const(6)  # start the other slot

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
    "faults",  # parts that do not work just now
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
    "level_a",  # A-weighted mean square of the last second, in units of 4: full scale is 2**28
    "bus_errors",  # transfers that failed, were tried again, or found a part gone
    "cues",  # cues begun, the closed loop's included
    "cues_late",  # cues that came after their time and were dropped
    "loop_cues",  # of the cues, those of the closed loop
    "loop_refused",  # targets of the closed loop let pass: low confidence, arousal, too soon
)
STATS_FORMAT = "<28I"
STATS_BYTES = const(112)

# The sound's states, as ACK and STATS tell them
STATE_IDLE = const(0)
STATE_PLAYING = const(1)
STATE_HOST_LOST = const(2)
STATE_STOPPED = const(3)

# EVENT kinds
EVENT_HOST_FOUND = const(1)  # the pod hears a host, after a silence longer than its dead-man
EVENT_STOPPED = const(2)
EVENT_PART_FAILED = const(3)  # which: number of the part in the dictionary; text: what is wrong with it
EVENT_PART_BACK = const(4)  # which: number of the part
EVENT_WAKE = const(5)  # the sleeper pressed *wake me*
EVENT_STOP_PRESSED = const(6)  # the sleeper pressed *stop*; the pod is falling silent already
EVENT_CUE = const(7)  # which: kind of the cue; its time is when the first frame plays; text: its number
EVENT_CUE_LATE = const(8)
EVENT_REFUSED = const(9)  # text: what was asked for, and why it was not done
EVENT_TURNED_AWAY = const(10)  # text: who wanted to connect over the network, and why they may not

# Sample formats a dictionary may name, with the bytes a value takes
SAMPLE_BYTES = {"u16": 2, "i16": 2, "i16be": 2, "u24be": 3, "i24be": 3}


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
