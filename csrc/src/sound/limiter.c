/* Look-ahead limiter: limiter.h says why it works. */
#include "simd.h"
RS_FUSED

#include "limiter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"

/* A held gain this near to 1 is 1: a step of -100 dB, and the limiter comes to rest. */
static const float NEAR_ONE = 1e-5f;

/* The frames at a block's end whose gaps are known only with the next block. */
enum { LATE = RS_PEAK_REACH };

size_t rs_limiter_delay(size_t lookahead)
{
    const size_t ahead = lookahead / RS_GROUP;
    return RS_GROUP * ((ahead ? ahead : 1) + RS_MARGIN) + LATE;
}

int rs_limiter_init(rs_limiter *limiter, size_t lookahead, double release_frames)
{
    const size_t delay = rs_limiter_delay(lookahead);
    const uint32_t ahead = lookahead < RS_GROUP ? 1 : (uint32_t)(lookahead / RS_GROUP);
    const uint32_t sight = ahead + 2 * RS_MARGIN + 1;
    *limiter = (rs_limiter){.ahead = ahead, .sight = sight, .untouched = sight, .held = 1.0f, .gain = 1.0f};
    limiter->recovery = release_frames > 0.0 ? (float)-expm1(-RS_GROUP / release_frames) : 1.0f;
    limiter->sum = ahead;
    limiter->seen = calloc(sight, sizeof *limiter->seen);
    limiter->need = calloc(sight, sizeof *limiter->need);
    limiter->ring = calloc(ahead, sizeof *limiter->ring);
    limiter->line = calloc(2 * delay, sizeof *limiter->line);
    if (!limiter->seen || !limiter->need || !limiter->ring || !limiter->line) {
        rs_limiter_done(limiter);
        return -1;
    }
    for (size_t i = 0; i < ahead; i++)
        limiter->ring[i] = 1.0f;
    return 0;
}

void rs_limiter_done(rs_limiter *limiter)
{
    free(limiter->seen);
    free(limiter->need);
    free(limiter->ring);
    free(limiter->line);
    *limiter = (rs_limiter){0};
}

static uint32_t queue_slot(const rs_limiter *limiter, uint32_t place)
{
    const uint32_t at = limiter->first + place;
    return at < limiter->sight ? at : at - limiter->sight;
}

/* Takes one more group's need into the queue; returns the smallest that is in sight. */
static float smallest_need(rs_limiter *limiter, float need)
{
    if (limiter->count && limiter->now - limiter->seen[limiter->first] >= limiter->sight) {
        limiter->first = queue_slot(limiter, 1);
        limiter->count--;
    }
    if (need < 1.0f) {
        while (limiter->count && limiter->need[queue_slot(limiter, limiter->count - 1)] >= need)
            limiter->count--;
        const uint32_t last = queue_slot(limiter, limiter->count++);
        limiter->seen[last] = limiter->now;
        limiter->need[last] = need;
    }
    return limiter->count ? limiter->need[limiter->first] : 1.0f;
}

/* The gain at the end of the group that leaves now. */
static float glide(rs_limiter *limiter, float need)
{
    const float target = smallest_need(limiter, need);
    limiter->now++;
    if (target < limiter->held)
        limiter->held = target;
    else
        limiter->held += (target - limiter->held) * limiter->recovery;
    if (limiter->held > 1.0f - NEAR_ONE && target == 1.0f)
        limiter->held = 1.0f;
    if (limiter->held < 1.0f)
        limiter->untouched = 0;
    else if (limiter->untouched < limiter->sight)
        limiter->untouched++;

    limiter->sum += (double)limiter->held - (double)limiter->ring[limiter->slot];
    limiter->ring[limiter->slot] = limiter->held;
    if (++limiter->slot == limiter->ahead) {
        /* Afresh at every turn, so that rounding cannot pile up over a night. */
        limiter->slot = 0;
        limiter->sum = 0.0;
        for (uint32_t i = 0; i < limiter->ahead; i++)
            limiter->sum += (double)limiter->ring[i];
    }
    return (float)(limiter->sum / limiter->ahead);
}

/* Replaces each group's true peaks by the gains of its four frames as the group leaves. */
static void gains(rs_limiter *limiter, size_t frames, float ceiling, float *top)
{
    for (size_t k = 0; k < frames; k += RS_GROUP) {
        const float peak = rs_magnitude(top + k, RS_GROUP);
        /* NaN and infinity are not at or below any ceiling, and nothing of them may be heard. */
        const float need = peak <= ceiling ? 1.0f : isfinite(peak) ? ceiling / peak : 0.0f;
        const float from = limiter->gain;
        limiter->gain = glide(limiter, need);
        const float rise = (limiter->gain - from) / RS_GROUP;
        for (int i = 0; i < RS_GROUP; i++)
            top[k + (size_t)i] = from + rise * (float)(i + 1);
    }
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
    const float top = top_left > top_right ? top_left : top_right;
    int resting = limiter->untouched == limiter->sight;
    if (!(resting && top_left <= ceiling && top_right <= ceiling && top * filter->bound <= ceiling)) {
        rs_true_peak_run(filter, frames, left + delay - LATE, right + delay - LATE, scratch);
        /* What leaves has passed the same test, but perhaps under a higher ceiling. */
        resting = resting && top_left <= ceiling && top_right <= ceiling && highest(scratch, frames) <= ceiling;
        if (!resting)
            gains(limiter, frames, ceiling, scratch);
    }
    memcpy(limiter->line, left + frames, delay * sizeof *left);
    memcpy(limiter->line + delay, right + frames, delay * sizeof *right);
    if (resting) {
        limiter->now = 0;
        limiter->sum = limiter->ahead;
    } else {
        turn_down(frames, ceiling, scratch, left);
        turn_down(frames, ceiling, scratch, right);
    }
}
