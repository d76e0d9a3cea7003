/* Look-ahead limiter: limiter.h says why it works. */
#include "limiter.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Sums in this many lanes need no reordering by the compiler to fill a vector register. */
#define LANES 8

/* A held gain this near to 1 is 1: a step of -100 dB, and the limiter comes to rest. */
static const double NEAR_ONE = 1e-5;

int rs_limiter_init(rs_limiter *limiter, size_t frames, size_t lookahead, double release_frames)
{
    const size_t reach = lookahead + 1;
    *limiter = (rs_limiter){.reach = reach, .held = 1.0, .untouched = reach};
    limiter->recovery = release_frames > 0.0 ? -expm1(-1.0 / release_frames) : 1.0;
    limiter->sum = (double)reach;
    limiter->seen = calloc(reach, sizeof *limiter->seen);
    limiter->need = calloc(reach, sizeof *limiter->need);
    limiter->ring = calloc(reach, sizeof *limiter->ring);
    limiter->line = calloc(lookahead + frames, 2 * sizeof *limiter->line);
    if (!limiter->seen || !limiter->need || !limiter->ring || !limiter->line) {
        rs_limiter_done(limiter);
        return -1;
    }
    for (size_t i = 0; i < reach; i++)
        limiter->ring[i] = 1.0;
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

float *rs_limiter_input(rs_limiter *limiter)
{
    return limiter->line + 2 * (limiter->reach - 1);
}

/* The largest magnitude. Bits of non-negative floats are ordered like the floats, infinity above
 * all numbers and NaN above infinity: so NaN is noticed, where a comparison of floats would pass
 * it by, and compilers may compare several at once. */
static float magnitude(const float *x, size_t n)
{
    int32_t top = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= INT32_MAX;
        top = bits > top ? bits : top;
    }
    float result;
    memcpy(&result, &top, sizeof result);
    return result;
}

static float mean_of_squares(const float *x, size_t n)
{
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lane[l] += x[i + l] * x[i + l];
    double sum = 0.0;
    for (size_t l = 0; l < LANES; l++)
        sum += lane[l];
    for (; i < n; i++)
        sum += x[i] * x[i];
    return (float)(sum / (double)n);
}

static float clip(float x, float ceiling)
{
    if (x >= -ceiling && x <= ceiling)
        return x;
    return x > ceiling ? ceiling : x < -ceiling ? -ceiling : 0.0f;
}

static size_t queue_slot(const rs_limiter *limiter, size_t place)
{
    const size_t at = limiter->first + place;
    return at < limiter->reach ? at : at - limiter->reach;
}

/* Takes one more frame's need into the queue; returns the smallest that is in sight. */
static double smallest_need(rs_limiter *limiter, double need)
{
    if (limiter->count && limiter->seen[limiter->first] + limiter->reach <= limiter->now) {
        limiter->first = queue_slot(limiter, 1);
        limiter->count--;
    }
    if (need < 1.0) {
        while (limiter->count && limiter->need[queue_slot(limiter, limiter->count - 1)] >= need)
            limiter->count--;
        const size_t last = queue_slot(limiter, limiter->count++);
        limiter->seen[last] = limiter->now;
        limiter->need[last] = need;
    }
    return limiter->count ? limiter->need[limiter->first] : 1.0;
}

/* The gain for the frame that leaves now. */
static double glide(rs_limiter *limiter, double need)
{
    const double target = smallest_need(limiter, need);
    limiter->now++;
    if (target < limiter->held)
        limiter->held = target;
    else
        limiter->held += (target - limiter->held) * limiter->recovery;
    if (limiter->held > 1.0 - NEAR_ONE && target == 1.0)
        limiter->held = 1.0;
    if (limiter->held < 1.0)
        limiter->untouched = 0;
    else if (limiter->untouched < limiter->reach)
        limiter->untouched++;

    limiter->sum += limiter->held - limiter->ring[limiter->slot];
    limiter->ring[limiter->slot] = limiter->held;
    if (++limiter->slot == limiter->reach) {
        /* Afresh at every turn, so that rounding cannot pile up over a night. */
        limiter->slot = 0;
        limiter->sum = 0.0;
        for (size_t i = 0; i < limiter->reach; i++)
            limiter->sum += limiter->ring[i];
    }
    return limiter->sum / (double)limiter->reach;
}

static void work(rs_limiter *limiter, size_t frames, float ceiling, float *out)
{
    const float *leaving = limiter->line;
    const float *coming = rs_limiter_input(limiter);
    for (size_t k = 0; k < frames; k++) {
        const float left = fabsf(coming[2 * k]), right = fabsf(coming[2 * k + 1]);
        const float top = left > right ? left : right;
        const double gain = glide(limiter, top > ceiling ? (double)ceiling / top : 1.0);
        out[2 * k] = clip((float)(leaving[2 * k] * gain), ceiling);
        out[2 * k + 1] = clip((float)(leaving[2 * k + 1] * gain), ceiling);
    }
}

void rs_limiter_run(rs_limiter *limiter, size_t frames, float ceiling, float *out, float *peak,
                    float *mean_square)
{
    if (!(ceiling >= 0.0f))
        ceiling = 0.0f;
    float *line = limiter->line;
    const size_t delay = limiter->reach - 1;
    const int resting = limiter->untouched == limiter->reach;
    if (resting && magnitude(line, 2 * (delay + frames)) <= ceiling) {
        limiter->now = 0;
        limiter->sum = (double)limiter->reach;
        memcpy(out, line, 2 * frames * sizeof *out);
    } else {
        work(limiter, frames, ceiling, out);
    }
    memmove(line, line + 2 * frames, 2 * delay * sizeof *line);
    *peak = magnitude(out, 2 * frames);
    *mean_square = mean_of_squares(out, 2 * frames);
}
