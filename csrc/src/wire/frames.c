/*
 * Frames out of bytes, and into bytes: see resonance.h.
 *
 * One loop serves a single stream and many. A stream of many holds at most the start of one frame between two reads.
 * What comes next is first read together with that start, in a room that has space for the longest frame behind it;
 * once reading has passed the start, it goes on in the caller's own bytes, which are never copied whole. A payload is
 * copied out when its frame has proved whole, while it is still in the nearest cache.
 */
#include <stdlib.h>
#include <string.h>

#include "resonance.h"
#include "simd.h"

enum { MAGIC = 0xD7, HEADER = 8, CRC = 4, MOST_PAYLOAD = 1024, MOST_FRAME = 1036, ENCODED_TOGETHER = 16 };

/* What the register holds, inverted, after a frame and its own CRC in little-endian order. */
static const uint32_t RESIDUE = 0x2144DF1C;

typedef struct {
    size_t held;
    uint8_t bytes[2 * MOST_FRAME];
} stream;

struct rs_frames {
    size_t pods;
    size_t held; /* by all */
    stream *streams;
    rs_frame_faults *faults;
};

/* Where frames go. */
typedef struct {
    rs_frame *frames;
    size_t found, most;
    uint8_t *payloads; /* NULL: they stay where they are */
    size_t used;
    uint32_t pod;
} basket;

RS_INLINE uint8_t check(const uint8_t *b)
{
    return (uint8_t)(0xA5 + 3 * b[0] + 5 * b[1] + 7 * b[2] + 11 * b[3] + 13 * b[4] + 17 * b[5] +
                     19 * b[6]);
}

RS_INLINE size_t payload_length(const uint8_t *b)
{
    return b[4] | (size_t)b[5] << 8;
}

RS_INLINE int header_ok(const uint8_t *b)
{
    return b[0] == MAGIC && b[7] == check(b) && payload_length(b) <= MOST_PAYLOAD;
}

/* The first magic byte from `at`; n if there is none. */
static size_t next_magic(const uint8_t *bytes, size_t at, size_t n)
{
    const uint8_t *there = at < n ? memchr(bytes + at, MAGIC, n - at) : NULL;
    return there ? (size_t)(there - bytes) : n;
}

RS_INLINE void keep(basket *to, const uint8_t *bytes, size_t at, size_t length)
{
    const uint8_t *b = bytes + at;
    rs_frame *frame = &to->frames[to->found++];
    *frame = (rs_frame){.offset = (uint32_t)(at + HEADER),
                        .pod = to->pod,
                        .seq = (uint16_t)(b[2] | b[3] << 8),
                        .length = (uint16_t)length,
                        .type = b[1],
                        .epoch = b[6]};
    if (to->payloads) {
        frame->offset = (uint32_t)to->used;
        memcpy(to->payloads + to->used, b + HEADER, length);
        to->used += length;
    }
}

/* Reads frames that begin before `stop`. After bytes [n] come beyond [more], where a search for the next frame goes
 * on. Returns where reading has come to, which may lie beyond n. */
RS_INLINE size_t scan(size_t n, const uint8_t *bytes, size_t stop, size_t more,
                      const uint8_t *beyond, basket *to, rs_frame_faults *faults)
{
    size_t at = 0;
    while (at < stop && n - at >= HEADER && to->found < to->most) {
        const uint8_t *b = bytes + at;
        if (!header_ok(b)) {
            faults->corrupt += b[0] == MAGIC;
            size_t next = next_magic(bytes, at + 1, n);
            if (next == n && more)
                next += next_magic(beyond, 0, more);
            faults->skipped += next - at;
            at = next;
            continue;
        }
        const size_t length = payload_length(b), whole = HEADER + length + CRC;
        if (n - at < whole)
            break;
        if (rs_crc32(0, whole, b) != RESIDUE) {
            faults->corrupt++;
            faults->skipped++;
            at++;
            continue;
        }
        keep(to, bytes, at, length);
        at += whole;
    }
    return at;
}

size_t rs_frames_scan(size_t n, const uint8_t *bytes, size_t most, rs_frame *frames,
                      size_t *found, rs_frame_faults *faults)
{
    basket to = {.frames = frames, .found = *found, .most = *found + most};
    const size_t done = scan(n, bytes, n, 0, NULL, &to, faults);
    *found = to.found;
    return done;
}

rs_frames *rs_frames_new(size_t pods)
{
    if (!pods || pods > UINT32_MAX)
        return NULL;
    rs_frames *streams = calloc(1, sizeof *streams);
    if (!streams)
        return NULL;
    streams->pods = pods;
    streams->streams = calloc(pods, sizeof *streams->streams);
    streams->faults = calloc(pods, sizeof *streams->faults);
    if (!streams->streams || !streams->faults) {
        rs_frames_free(streams);
        return NULL;
    }
    return streams;
}

void rs_frames_free(rs_frames *streams)
{
    if (!streams)
        return;
    free(streams->streams);
    free(streams->faults);
    free(streams);
}

void rs_frames_restart(rs_frames *streams, uint32_t pod)
{
    streams->held -= streams->streams[pod].held;
    streams->streams[pod].held = 0;
}

size_t rs_frames_held(const rs_frames *streams)
{
    return streams->held;
}

void rs_frames_state(const rs_frames *streams, rs_frame_faults *faults)
{
    memcpy(faults, streams->faults, streams->pods * sizeof *faults);
}

/* One read of one pod. */
static void take(stream *from, size_t n, const uint8_t *bytes, basket *to, rs_frame_faults *faults)
{
    if (from->held) {
        const size_t held = from->held, added = n < MOST_FRAME ? n : MOST_FRAME;
        if (added)
            memcpy(from->bytes + held, bytes, added);
        const size_t done = scan(held + added, from->bytes, held, n - added, bytes + added, to, faults);
        if (done < held) { /* a frame that is still not whole, so all bytes are here */
            from->held = held + added - done;
            memmove(from->bytes, from->bytes + done, from->held);
            return;
        }
        bytes += done - held;
        n -= done - held;
    }
    const size_t done = scan(n, bytes, n, 0, NULL, to, faults);
    from->held = n - done;
    if (from->held)
        memcpy(from->bytes, bytes + done, from->held);
}

size_t rs_frames_decode(rs_frames *streams, size_t reads, const uint32_t *pod,
                        const uint32_t *length, size_t n, const uint8_t *bytes, rs_frame *frames,
                        uint8_t *payloads)
{
    size_t sum = 0;
    for (size_t k = 0; k < reads; k++) {
        if (pod[k] >= streams->pods)
            return SIZE_MAX;
        sum += length[k];
    }
    if (sum != n || n > UINT32_MAX || streams->held > UINT32_MAX - n)
        return SIZE_MAX;
    basket to = {.frames = frames, .most = SIZE_MAX, .payloads = payloads};
    for (size_t k = 0; k < reads;) {
        const uint32_t who = pod[k];
        size_t together = length[k++];
        while (k < reads && pod[k] == who) /* they lie one behind the other, as they were sent */
            together += length[k++];
        stream *from = &streams->streams[who];
        const size_t held = from->held;
        to.pod = who;
        take(from, together, bytes, &to, &streams->faults[who]);
        streams->held += from->held - held;
        bytes += together;
    }
    return to.found;
}

size_t rs_frames_bytes(size_t n, const rs_frame *frames, size_t room)
{
    size_t bytes = 0;
    for (size_t k = 0; k < n; k++) {
        const size_t length = frames[k].length;
        if (length > MOST_PAYLOAD || length > room || frames[k].offset > room - length)
            return 0;
        bytes += HEADER + length + CRC;
    }
    return bytes;
}

/* A frame without its CRC; returns where that belongs. */
RS_INLINE uint8_t *write_frame(const rs_frame *frame, const uint8_t *payloads, uint8_t *out)
{
    out[0] = MAGIC;
    out[1] = frame->type;
    out[2] = (uint8_t)(frame->seq & 0xFF);
    out[3] = (uint8_t)(frame->seq >> 8);
    out[4] = (uint8_t)(frame->length & 0xFF);
    out[5] = (uint8_t)(frame->length >> 8);
    out[6] = frame->epoch;
    out[7] = check(out);
    if (frame->length)
        memcpy(out + HEADER, payloads + frame->offset, frame->length);
    return out + HEADER + frame->length;
}

size_t rs_frames_encode(size_t n, const rs_frame *frames, const uint8_t *payloads, uint8_t *out)
{
    if (!rs_frames_bytes(n, frames, SIZE_MAX))
        return 0;
    const uint8_t *start = out;
    for (size_t k = 0; k < n;) {
        /* A few are written, then all get their CRCs: a processor reads back at once what it wrote, but not if the
         * reads are wider than the writes were */
        const size_t end = n - k < ENCODED_TOGETHER ? n : k + ENCODED_TOGETHER;
        uint8_t *at = out;
        for (size_t j = k; j < end; j++)
            at = write_frame(&frames[j], payloads, at) + CRC;
        for (; k < end; k++) {
            const size_t length = HEADER + (size_t)frames[k].length;
            const uint32_t crc = rs_crc32(0, length, out);
            out += length;
            for (int byte = 0; byte < CRC; byte++)
                *out++ = (uint8_t)(crc >> 8 * byte);
        }
    }
    return (size_t)(out - start);
}
