/*
 * Fuzzes the frame decoder: many streams, cut anywhere, against a reader too simple to be wrong.
 *
 * A fuzzer does not guess a CRC, so the input is a list of what happens: bytes arrive as they are, or as the payload
 * of a whole frame, or of one that was damaged or cut. What must hold after every read: the same frames and counters
 * as the simple reader's; every frame, encoded again, is the bytes it came from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

enum { PODS = 4, MOST_PAYLOAD = 1024, MOST_FRAME = 1036, MOST_READS = 16, ROOM = 1 << 16 };

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "not so: %s\n", #condition); \
            abort(); \
        } \
    } while (0)

/* One stream as the simple reader sees it: all that is not done with yet. */
typedef struct {
    size_t held;
    rs_frame_faults faults;
    uint8_t bytes[ROOM + MOST_FRAME];
} stream;

static uint32_t simple_crc(size_t n, const uint8_t *bytes)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t k = 0; k < n; k++) {
        crc ^= bytes[k];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static int simple_header(const uint8_t *b)
{
    const int sum = 0xA5 + 3 * b[0] + 5 * b[1] + 7 * b[2] + 11 * b[3] + 13 * b[4] + 17 * b[5] + 19 * b[6];
    return b[0] == 0xD7 && b[7] == sum % 256 && b[4] + 256 * b[5] <= MOST_PAYLOAD;
}

/* Checks the frames of one read; returns how many there are. */
static size_t compare(stream *s, uint32_t pod, size_t most, const rs_frame *frames, const uint8_t *payloads)
{
    size_t at = 0, found = 0;
    while (s->held - at >= 8) {
        const uint8_t *b = s->bytes + at;
        if (!simple_header(b)) {
            s->faults.corrupt += b[0] == 0xD7;
            do {
                at++;
                s->faults.skipped++;
            } while (at < s->held && s->bytes[at] != 0xD7);
            continue;
        }
        const size_t length = b[4] + 256u * b[5], whole = length + 12;
        if (s->held - at < whole)
            break;
        const uint32_t crc = b[whole - 4] | b[whole - 3] << 8 | b[whole - 2] << 16 | (uint32_t)b[whole - 1] << 24;
        if (simple_crc(whole - 4, b) != crc) {
            s->faults.corrupt++;
            s->faults.skipped++;
            at++;
            continue;
        }
        MUST(found < most);
        const rs_frame *frame = &frames[found++];
        uint8_t again[MOST_FRAME];
        MUST(frame->pod == pod);
        MUST(rs_frames_encode(1, frame, payloads, again) == whole);
        MUST(memcmp(again, b, whole) == 0);
        at += whole;
    }
    s->held -= at;
    memmove(s->bytes, s->bytes + at, s->held);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static stream simple[PODS];
    memset(simple, 0, sizeof simple);
    rs_frames *streams = rs_frames_new(PODS);
    MUST(streams != NULL);
    uint32_t pod[MOST_READS], length[MOST_READS];
    static uint8_t pending[MOST_READS * MOST_FRAME];
    size_t reads = 0, used = 0;
    while (size >= 3) {
        const uint8_t what = input[0];
        size_t n = input[1] * (what & 16 ? 5u : 1u);
        const uint8_t more = input[2];
        input += 3;
        size -= 3;
        n = n > MOST_PAYLOAD ? MOST_PAYLOAD : n;
        n = n > size ? size : n;
        uint8_t *read = pending + used;
        size_t got = n;
        if (what & 4) {
            const rs_frame frame = {.length = (uint16_t)n, .type = more, .seq = (uint16_t)(what * more), .epoch = what};
            got = rs_frames_encode(1, &frame, input, read);
            if (what & 8)
                read[more % got] ^= what | 1;
            else if (what & 32)
                got = more % got;
        } else if (n) {
            memcpy(read, input, n);
        }
        input += n;
        size -= n;
        pod[reads] = what & 3;
        length[reads++] = (uint32_t)got;
        used += got;
        if (what & 64 && size >= 3 && reads < MOST_READS)
            continue;

        const size_t most = used + rs_frames_held(streams);
        uint8_t *bytes = malloc(used + 1), *payloads = malloc(most + 1);
        rs_frame *frames = malloc(most / 12 * sizeof *frames + 1);
        memcpy(bytes, pending, used);
        const size_t found = rs_frames_decode(streams, reads, pod, length, used, bytes, frames, payloads);
        size_t seen = 0;
        const uint8_t *from = bytes;
        for (size_t k = 0; k < reads; k++) {
            stream *s = &simple[pod[k]];
            memcpy(s->bytes + s->held, from, length[k]);
            s->held += length[k];
            from += length[k];
            if (k + 1 == reads || pod[k + 1] != pod[k]) /* reads in a row are one */
                seen += compare(s, pod[k], found - seen, frames + seen, payloads);
        }
        MUST(seen == found);
        rs_frame_faults faults[PODS];
        rs_frames_state(streams, faults);
        size_t held = 0;
        for (int k = 0; k < PODS; k++) {
            MUST(faults[k].corrupt == simple[k].faults.corrupt);
            MUST(faults[k].skipped == simple[k].faults.skipped);
            held += simple[k].held;
        }
        MUST(rs_frames_held(streams) == held);
        free(bytes);
        free(payloads);
        free(frames);
        if (what & 128) {
            rs_frames_restart(streams, what & 3);
            simple[what & 3].held = 0;
        }
        reads = used = 0;
    }
    rs_frames_free(streams);
    return 0;
}
