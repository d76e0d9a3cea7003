/* Frames, CRC and packed samples: see exercise.h. Every buffer is exactly as long as the header says it must be, so
 * that a byte too far is seen. */
#include <string.h>

#include "exercise.h"
#include "wire/crc32.h"

static uint8_t byte(void)
{
    return (uint8_t)((noise() + 1.0) * 127.9);
}

/* A stream of frames, some of them spoiled, between garbage. Returns its length. */
static size_t make_stream(uint8_t *out, size_t room, int spoil)
{
    uint8_t payload[1024];
    size_t used = 0;
    for (size_t k = 0; k < sizeof payload; k++)
        payload[k] = k % 5 ? byte() : 0xD7;
    while (room - used > 1100) {
        rs_frame frame = {.length = (uint16_t)((noise() + 1.0) * (noise() > 0.5 ? 512 : 20)),
                          .seq = (uint16_t)used, .type = byte(), .epoch = byte()};
        const size_t written = rs_frames_encode(1, &frame, payload, out + used);
        REQUIRE(written == 12u + frame.length);
        if (spoil && noise() > 0.0)
            out[used + (size_t)((noise() + 1.0) * 0.4999 * (double)written)] ^= 0x10;
        used += written;
        for (int more = spoil ? (int)(4.0 * noise()) : 0; more > 0; more--)
            out[used++] = noise() > 0.0 ? 0xD7 : byte();
    }
    return used;
}

/* Many streams cut anywhere against one that is read whole. */
static void streams(int spoil)
{
    enum { ROOM = 20000, PODS = 3 };
    static uint8_t stream[ROOM];
    static rs_frame whole[ROOM / 12];
    const size_t n = make_stream(stream, ROOM, spoil);
    rs_frame_faults expected = {0}, faults[PODS];
    size_t found = 0, done = 0;
    for (size_t before = 1; found != before;) {
        before = found;
        done += rs_frames_scan(n - done, stream + done, 7, whole, &found, &expected);
        REQUIRE(done <= n);
    }
    rs_frames *pods = rs_frames_new(PODS);
    REQUIRE(pods != NULL && rs_frames_held(pods) == 0);
    size_t decoded = 0;
    for (size_t at = 0; at < n;) {
        const size_t left = n - at;
        size_t step = (size_t)((noise() + 1.0) * (noise() > 0.0 ? 900.0 : 6.0));
        step = step > left ? left : step;
        const uint32_t pod[PODS] = {2, 0, 1};
        const uint32_t length[PODS] = {(uint32_t)step, (uint32_t)step, (uint32_t)step};
        const size_t most = PODS * step + rs_frames_held(pods);
        uint8_t *bytes = malloc(PODS * step + 1), *payloads = malloc(most + 1);
        rs_frame *frames = malloc(most / 12 * sizeof *frames + 1);
        for (size_t k = 0; step && k < PODS; k++)
            memcpy(bytes + k * step, stream + at, step);
        const size_t now = rs_frames_decode(pods, PODS, pod, length, PODS * step, bytes, frames, payloads);
        REQUIRE(now % PODS == 0 && now <= most / 12);
        for (size_t k = 0; k < now; k++)
            REQUIRE(frames[k].offset + frames[k].length <= most && frames[k].length <= 1024);
        decoded += now / PODS;
        free(bytes);
        free(payloads);
        free(frames);
        at += step;
    }
    REQUIRE(decoded == found);
    rs_frames_state(pods, faults);
    REQUIRE(faults[0].corrupt == faults[1].corrupt && faults[0].skipped == faults[2].skipped);
    REQUIRE(spoil || (faults[0].corrupt == 0 && faults[0].skipped == 0));
    const uint32_t nobody[2] = {0, PODS}, two[2] = {2, 2};
    const size_t still = rs_frames_held(pods);
    REQUIRE(rs_frames_decode(pods, 2, nobody, two, 4, stream, whole, stream) == SIZE_MAX);
    REQUIRE(rs_frames_decode(pods, 1, nobody, two, 4, stream, whole, stream) == SIZE_MAX);
    REQUIRE(rs_frames_held(pods) == still);
    rs_frames_restart(pods, 0);
    rs_frames_restart(pods, 1);
    rs_frames_restart(pods, 2);
    REQUIRE(rs_frames_held(pods) == 0);
    rs_frames_free(pods);
}

static void crc(void)
{
    REQUIRE(rs_crc32(0, 9, (const uint8_t *)"123456789") == 0xCBF43926u);
    for (size_t n = 0; n < 1100; n++) {
        uint8_t *bytes = malloc(n + 1);
        for (size_t k = 0; k < n; k++)
            bytes[k] = byte();
        const uint32_t whole = rs_crc32(0, n, bytes);
        REQUIRE(~rs_crc32_by_table(~0u, n, bytes) == whole);
        for (size_t cut = 0; cut <= n; cut += 1 + n / 10)
            REQUIRE(rs_crc32(rs_crc32(0, cut, bytes), n - cut, bytes + cut) == whole);
        free(bytes);
    }
}

static void samples(void)
{
    for (int format = RS_U16; format <= RS_I24BE; format++)
        for (size_t n = 0; n < 70; n++) {
            const size_t width = format >= RS_U24BE ? 3 : 2;
            uint8_t *bytes = malloc(width * n + 1);
            float *x = malloc(n * sizeof *x + 1);
            memset(bytes, 0xFF, width * n);
            REQUIRE(rs_samples_decode(format, n, bytes, 2.0, 1.0, x) == 0);
            const int is_signed = format == RS_I16 || format == RS_I16BE || format == RS_I24BE;
            const float all_ones = is_signed ? -1.0f : width == 3 ? 33554431.0f : 131071.0f;
            for (size_t k = 0; k < n; k++)
                REQUIRE(x[k] == all_ones);
            free(bytes);
            free(x);
        }
    REQUIRE(rs_samples_decode(-1, 0, NULL, 1.0, 0.0, NULL) == -1);
    REQUIRE(rs_samples_decode(5, 0, NULL, 1.0, 0.0, NULL) == -1);
}

int main(void)
{
    REQUIRE(rs_frames_new(0) == NULL);
    rs_frames_free(NULL);
    const rs_frame too_long = {.length = 1025};
    REQUIRE(rs_frames_encode(1, &too_long, NULL, NULL) == 0);
    const rs_frame outside = {.offset = 7, .length = 4};
    REQUIRE(rs_frames_bytes(1, &outside, 10) == 0 && rs_frames_bytes(1, &outside, 3) == 0);
    REQUIRE(rs_frames_bytes(1, &outside, 11) == 16 && rs_frames_bytes(0, NULL, 0) == 0);
    crc();
    samples();
    for (int round = 0; round < 30; round++)
        streams(round % 2);
    puts("all well");
    return 0;
}
