/*
 * A feedback delay network: see resonance.h.
 *
 * Eight delay lines feed one another through a Householder reflection, which is orthogonal: energy is neither made nor
 * lost but for one gain per line, set so that every echo falls by 60 dB in decay_s, and a three-point smoothing that
 * makes highs die earlier, as cloth and skin do. Every delay is longer than a stretch of 64 frames, so a whole
 * stretch can be computed at once from what is already known.
 */
#include <math.h>
#include <stdlib.h>

#include "lanes.h"
#include "resonance.h"

RS_FUSED

#define LINES 8
#define SMOOTHED (STRETCH + 2)

/* Mutually prime in frames at usual rates, so that echoes spread. */
static const double DELAY_S[LINES] = {0.02117, 0.02633, 0.03179, 0.03793, 0.04457, 0.05273, 0.06181, 0.07331};
static const float DAMPING = 0.16f;
static const float SILENT = 1e-9f;

struct rs_room {
    size_t voices, size;            /* frames of a line, a power of two */
    size_t at;
    size_t delay[LINES];
    float gain[LINES];              /* per round */
    float leave[LINES];             /* into the line's ear: even lines left, odd lines right */
    float enter[LINES];
    float *held;                    /* [voices, LINES, size] */
    size_t *quiet;                  /* [voices], frames since something was heard; from `size` on lines are all zero */
};

rs_room *rs_room_new(size_t voices, double rate_hz, double decay_s, double level)
{
    if (voices == 0 || voices > (size_t)1 << 20 || !(rate_hz >= 4000.0 && rate_hz <= 1e6) || !(decay_s > 0.0)
        || !(level >= 0.0) || !isfinite(level))
        return NULL;
    rs_room *room = calloc(1, sizeof *room);
    if (room == NULL)
        return NULL;
    room->voices = voices;
    room->size = 256;
    while ((double)room->size < DELAY_S[LINES - 1] * rate_hz + 2.0 * SMOOTHED)
        room->size *= 2;
    double lost = 0.0;
    for (int k = 0; k < LINES; k++) {
        room->delay[k] = (size_t)rint(DELAY_S[k] * rate_hz);
        const double gain = pow(10.0, -3.0 * (double)room->delay[k] / rate_hz / decay_s);
        room->gain[k] = (float)gain;
        lost += (1.0 - gain * gain) / LINES;
    }
    for (int k = 0; k < LINES; k++) {
        const double sign = k / 2 % 2 ? -1.0 : 1.0;
        room->enter[k] = (float)sign;
        room->leave[k] = (float)(sign * level * sqrt(lost) / sqrt(LINES / 2.0));
    }
    room->held = calloc(voices * LINES, room->size * sizeof *room->held);
    room->quiet = calloc(voices, sizeof *room->quiet);
    if (!room->held || !room->quiet) {
        rs_room_free(room);
        return NULL;
    }
    for (size_t v = 0; v < voices; v++)
        room->quiet[v] = room->size;
    return room;
}

void rs_room_free(rs_room *room)
{
    if (room == NULL)
        return;
    free(room->held);
    free(room->quiet);
    free(room);
}

/* `frames` of a ring from `at` on. */
RS_INLINE void from_ring(const float *ring, size_t size, size_t at, size_t frames, float *out)
{
    const size_t straight = size - at < frames ? size - at : frames;
    memcpy(out, ring + at, straight * sizeof *out);
    memcpy(out + straight, ring, (frames - straight) * sizeof *out);
}

RS_INLINE void to_ring(float *ring, size_t size, size_t at, size_t frames, const float *x)
{
    const size_t straight = size - at < frames ? size - at : frames;
    memcpy(ring + at, x, straight * sizeof *x);
    memcpy(ring, x + straight, (frames - straight) * sizeof *x);
}

/* Whether anything is in the lines after it. */
RS_CLONES
static int room_answer(const rs_room *room, float *lines, size_t at, size_t frames, const float *dry, float *wet)
{
    const size_t size = room->size;
    float soft[LINES][STRETCH], sum[STRETCH] = {0.0f}, ears[2][STRETCH] = {{0.0f}}, in[2][STRETCH] = {{0.0f}};
    float heard[SMOOTHED] = {0.0f};
    for (size_t t = 0; t < frames; t++) {
        in[0][t] = dry[2 * t];
        in[1][t] = dry[2 * t + 1];
    }
    for (size_t k = 0; k < LINES; k++) {
        from_ring(lines + k * size, size, (at + size - room->delay[k] - 1) & (size - 1), frames + 2, heard);
        const float gain = room->gain[k], leave = room->leave[k];
        float *restrict ear = ears[k % 2];
        for (size_t t = 0; t < STRETCH; t++) {
            const float here = (1.0f - 2.0f * DAMPING) * heard[t + 1] + DAMPING * (heard[t] + heard[t + 2]);
            ear[t] += leave * here;
            soft[k][t] = gain * here;
            sum[t] += soft[k][t];
        }
    }
    float loudest[STRETCH] = {0.0f};
    for (size_t k = 0; k < LINES; k++) {
        const float enter = room->enter[k];
        const float *restrict ear = in[k % 2];
        for (size_t t = 0; t < STRETCH; t++) {
            soft[k][t] += enter * ear[t] - 2.0f / LINES * sum[t];
            loudest[t] = fabsf(soft[k][t]) > loudest[t] ? fabsf(soft[k][t]) : loudest[t];
        }
        to_ring(lines + k * size, size, at, frames, soft[k]);
    }
    int loud = 0;
    for (size_t t = 0; t < frames; t++) {
        wet[2 * t] = ears[0][t];
        wet[2 * t + 1] = ears[1][t];
        loud |= loudest[t] > SILENT;
    }
    return loud;
}

static int quiet(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (x[i] != 0.0f)
            return 0;
    return 1;
}

void rs_room_process(rs_room *room, size_t frames, const float *dry, float *wet)
{
    for (size_t v = 0; v < room->voices; v++) {
        float *lines = room->held + v * LINES * room->size;
        for (size_t t = 0; t < frames; t += STRETCH) {
            const size_t count = frames - t < STRETCH ? frames - t : STRETCH;
            const size_t i = 2 * (v * frames + t);
            if (room->quiet[v] >= room->size && quiet(dry + i, 2 * count)) {
                memset(wet + i, 0, 2 * count * sizeof *wet);
                continue;
            }
            const size_t at = (room->at + t) & (room->size - 1);
            room->quiet[v] = room_answer(room, lines, at, count, dry + i, wet + i) ? 0 : room->quiet[v] + count;
            if (room->quiet[v] >= room->size)
                memset(lines, 0, LINES * room->size * sizeof *lines);
        }
    }
    room->at = (room->at + frames) & (room->size - 1);
}
