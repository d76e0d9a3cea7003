/* Look-ahead limiter: limiter.h says why it works. */
#include "simd.h"
RS_FUSED

#include "limiter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"

/* A held gain this near to 1 is 1: a step of -100 dB, and the limiter comes to rest. */
static const double NEAR_ONE = 1e-5;

/* The frames at a block's end whose gaps are known only with the next block. */
enum { LATE = RS_PEAK_REACH };

static size_t groups_ahead(size_t lookahead)
{
    return lookahead < RS_GROUP ? 1 : lookahead / RS_GROUP;
}

size_t rs_limiter_delay(size_t lookahead)
{
    return RS_GROUP * (groups_ahead(lookahead) + RS_MARGIN) + LATE;
}

size_t rs_limiter_scratch(size_t lookahead, size_t frames)
{
    const size_t ahead = groups_ahead(lookahead), groups = frames / RS_GROUP;
    return frames + (ahead + 2 * RS_MARGIN + groups) + (ahead + groups);
}

int rs_limiter_init(rs_limiter *limiter, size_t lookahead, double release_frames)
{
    const size_t ahead = groups_ahead(lookahead), sight = ahead + 2 * RS_MARGIN + 1;
    *limiter = (rs_limiter){.ahead = ahead, .sight = sight, .now = 1.0, .gain = 1.0f, .resting = 1};
    limiter->recovery = release_frames > 0.0 ? -expm1(-RS_GROUP / release_frames) : 1.0;
    limiter->need = calloc(sight - 1, sizeof *limiter->need);
    limiter->held = calloc(ahead, sizeof *limiter->held);
    limiter->line = calloc(2 * rs_limiter_delay(lookahead), sizeof *limiter->line);
    if (!limiter->need || !limiter->held || !limiter->line) {
        rs_limiter_done(limiter);
        return -1;
    }
    for (size_t i = 0; i < sight - 1; i++)
        limiter->need[i] = 1.0f;
    for (size_t i = 0; i < ahead; i++)
        limiter->held[i] = 1.0f;
    return 0;
}

void rs_limiter_done(rs_limiter *limiter)
{
    free(limiter->need);
    free(limiter->held);
    free(limiter->line);
    *limiter = (rs_limiter){0};
}

/* need [groups]: what each group of true peaks needs. NaN and infinity are not at or below any ceiling, and nothing
 * of them may be heard. */
RS_INLINE void needs(size_t groups, float ceiling, const float *top, float *need)
{
    for (size_t g = 0; g < groups; g++) {
        const float peak = rs_magnitude(top + g * RS_GROUP, RS_GROUP);
        need[g] = peak <= ceiling ? 1.0f : isfinite(peak) ? ceiling / peak : 0.0f;
    }
}

/* need[g] becomes the smallest of need[g] .. need[g + sight - 1], for `groups` groups. The smallest of 2 neighbours is
 * that of both, of 4 that of two such pairs, and so on; the last step overlaps. */
RS_INLINE void smallest(size_t groups, size_t sight, float *need)
{
    size_t width = 1;
    for (; 2 * width <= sight; width *= 2)
        for (size_t g = 0; g < groups + sight - 2 * width; g++)
            need[g] = need[g + width] < need[g] ? need[g + width] : need[g];
    for (size_t g = 0; g < groups; g++)
        need[g] = need[g + sight - width] < need[g] ? need[g + sight - width] : need[g];
}

/* Replaces each group's true peaks by the gains of the four frames of the group that leaves as it comes. */
RS_CLONES static void gains(rs_limiter *limiter, size_t frames, float ceiling, float *restrict top,
                            float *restrict need, float *restrict held)
{
    const size_t groups = frames / RS_GROUP, ahead = limiter->ahead, before = limiter->sight - 1;
    memcpy(need, limiter->need, before * sizeof *need);
    needs(groups, ceiling, top, need + before);
    memcpy(limiter->need, need + groups, before * sizeof *need);
    smallest(groups, limiter->sight, need);

    memcpy(held, limiter->held, ahead * sizeof *held);
    const double recovery = limiter->recovery;
    double now = limiter->now;
    for (size_t g = 0; g < groups; g++) {
        const double target = (double)need[g], recovered = now + (target - now) * recovery;
        now = target < recovered ? target : recovered;
        now = target == 1.0 && now > 1.0 - NEAR_ONE ? 1.0 : now;
        held[ahead + g] = (float)now;
    }
    limiter->now = now;
    memcpy(limiter->held, held + groups, ahead * sizeof *held);

    double sum = 0.0;
    for (size_t i = 0; i < ahead; i++)
        sum += (double)held[i];
    const double share = 1.0 / (double)ahead;
    float gain = limiter->gain;
    for (size_t g = 0; g < groups; g++) {
        sum += (double)held[ahead + g] - (double)held[g];
        const float from = gain;
        gain = (float)(sum * share);
        const float rise = (gain - from) / RS_GROUP;
        for (int i = 0; i < RS_GROUP; i++)
            top[g * RS_GROUP + (size_t)i] = from + rise * (float)(i + 1);
    }
    int resting = 1;
    for (size_t i = 0; i < ahead; i++)
        resting &= held[groups + i] == 1.0f;
    limiter->gain = resting ? 1.0f : gain;
    limiter->resting = resting;
}

RS_CLONES static void turn_down(size_t frames, float ceiling, const float *restrict gain, float *restrict x)
{
    for (size_t k = 0; k < frames; k++) {
        float y = x[k] * gain[k];
        y = y > ceiling ? ceiling : y;
        y = y < -ceiling ? -ceiling : y;
        x[k] = y == y ? y : 0.0f;
    }
}

RS_CLONES static float highest(const float *x, size_t n)
{
    return rs_magnitude(x, n);
}

void rs_limiter_run(rs_limiter *limiter, const rs_true_peak *filter, size_t frames, float ceiling, float *side,
                    size_t pitch, float *scratch)
{
    if (!(ceiling >= 0.0f))
        ceiling = 0.0f;
    const size_t delay = RS_GROUP * (limiter->ahead + RS_MARGIN) + LATE;
    float *left = side, *right = side + pitch;
    memcpy(left, limiter->line, delay * sizeof *left);
    memcpy(right, limiter->line + delay, delay * sizeof *right);

    const float top_left = highest(left, delay + frames), top_right = highest(right, delay + frames);
    /* What leaves had a true peak below the ceiling when it came; the ceiling may have fallen. */
    int untouched = limiter->resting && top_left <= ceiling && top_right <= ceiling;
    if (!(untouched && top_left * filter->bound <= ceiling && top_right * filter->bound <= ceiling)) {
        rs_true_peak_run(filter, frames, left + delay - LATE, right + delay - LATE, scratch);
        untouched = untouched && highest(scratch, frames) <= ceiling;
        if (!untouched) {
            float *need = scratch + frames, *held = need + limiter->sight - 1 + frames / RS_GROUP;
            gains(limiter, frames, ceiling, scratch, need, held);
        }
    }
    memcpy(limiter->line, left + frames, delay * sizeof *left);
    memcpy(limiter->line + delay, right + frames, delay * sizeof *right);
    if (!untouched) {
        turn_down(frames, ceiling, scratch, left);
        turn_down(frames, ceiling, scratch, right);
    }
}
