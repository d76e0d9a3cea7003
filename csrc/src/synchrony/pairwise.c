/*
 * Phase locking values over a sliding window: see resonance.h.
 *
 * A frame is kept as weighted unit phasors, w e^{ip}, and weights. For pods a < b the products
 * (wa e^{ipa}) conj(wb e^{ipb}) and wa wb are what enters the sums of that pair and, a window
 * later, leaves them. Sums of floating point numbers that only enter and leave would collect
 * rounding errors for ever, and a pair that fell silent would show the locking of its errors.
 * Therefore `next` sums what has entered since the ring's last turn; at the turn that is the
 * whole window, summed afresh, and replaces `now`.
 *
 * Sums of one band lie as [pod, pod] with only a <= b used: the inner loop runs over neighbours.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

typedef struct {
    double re, im, weight, square;
    double frames;          /* of weight above 0: a whole number, so exact */
} pair_sums;

typedef struct {
    double re, im, weight;
} member;

struct rs_pairwise {
    size_t pods, bands, window;
    size_t slot;            /* where the next frame goes, and the oldest one lies */
    member *ring;           /* [window, bands, pods]; zero until filled */
    pair_sums *now, *next;  /* [bands, pods, pods] */
};

/* NULL rather than a small array if the product overflows. */
static void *grid(size_t a, size_t b, size_t c, size_t size)
{
    if (b != 0 && a > SIZE_MAX / b)
        return NULL;
    if (c != 0 && a * b > SIZE_MAX / c)
        return NULL;
    return calloc(a * b * c, size);
}

rs_pairwise *rs_pairwise_new(size_t pods, size_t bands, size_t window)
{
    if (pods == 0 || bands == 0 || window == 0)
        return NULL;
    rs_pairwise *pairs = calloc(1, sizeof *pairs);
    if (pairs == NULL)
        return NULL;
    pairs->pods = pods;
    pairs->bands = bands;
    pairs->window = window;
    pairs->ring = grid(window, bands, pods, sizeof *pairs->ring);
    pairs->now = grid(bands, pods, pods, sizeof *pairs->now);
    pairs->next = grid(bands, pods, pods, sizeof *pairs->next);
    if (pairs->ring == NULL || pairs->now == NULL || pairs->next == NULL) {
        rs_pairwise_free(pairs);
        return NULL;
    }
    return pairs;
}

void rs_pairwise_free(rs_pairwise *pairs)
{
    if (pairs == NULL)
        return;
    free(pairs->ring);
    free(pairs->now);
    free(pairs->next);
    free(pairs);
}

static member weighted_unit(double re, double im, double weight)
{
    const double length = hypot(re, im);
    if (!(length > 0.0))
        return (member){0.0, 0.0, 0.0};
    return (member){weight * (re / length), weight * (im / length), weight};
}

/* Adds the pairs of one frame of one band, or takes them away with sign -1. */
static void add_pairs(pair_sums *sums, const member *frame, size_t pods, double sign)
{
    for (size_t a = 0; a < pods; a++) {
        const member one = frame[a];
        pair_sums *row = sums + a * pods;
        for (size_t b = a; b < pods; b++) {
            const member other = frame[b];
            const double weight = one.weight * other.weight;
            if (weight == 0.0)
                continue;
            row[b].re += sign * (one.re * other.re + one.im * other.im);
            row[b].im += sign * (one.im * other.re - one.re * other.im);
            row[b].weight += sign * weight;
            row[b].square += sign * weight * weight;
            row[b].frames += sign;
        }
    }
}

void rs_pairwise_push(rs_pairwise *pairs, size_t frames, const double *u, const double *weight)
{
    const size_t pods = pairs->pods, bands = pairs->bands, all = bands * pods * pods;
    for (size_t n = 0; n < frames; n++) {
        for (size_t b = 0; b < bands; b++) {
            member *frame = pairs->ring + (pairs->slot * bands + b) * pods;
            pair_sums *now = pairs->now + b * pods * pods;
            add_pairs(now, frame, pods, -1.0);
            for (size_t p = 0; p < pods; p++) {
                const size_t i = (n * pods + p) * bands + b;
                frame[p] = weighted_unit(u[2 * i], u[2 * i + 1],
                                         weight == NULL ? 1.0 : weight[i]);
            }
            add_pairs(now, frame, pods, 1.0);
            add_pairs(pairs->next + b * pods * pods, frame, pods, 1.0);
        }
        if (++pairs->slot == pairs->window) {
            pairs->slot = 0;
            pair_sums *fresh = pairs->next;
            pairs->next = pairs->now;
            pairs->now = fresh;
            memset(pairs->next, 0, all * sizeof *pairs->next);
        }
    }
}

void rs_pairwise_values(const rs_pairwise *pairs, double *plv, double *n_eff)
{
    const size_t pods = pairs->pods;
    for (size_t band = 0; band < pairs->bands; band++) {
        for (size_t a = 0; a < pods; a++) {
            for (size_t b = a; b < pods; b++) {
                const size_t i = (band * pods + a) * pods + b;
                const size_t mirrored = (band * pods + b) * pods + a;
                const pair_sums sum = pairs->now[i];
                /* Taking away leaves rounding errors; the count tells whether they are all. */
                const int evidence = sum.frames > 0.0 && sum.weight > 0.0 && sum.square > 0.0;
                const double value = hypot(sum.re, sum.im) / sum.weight;
                const double equal = sum.weight * sum.weight / sum.square;
                plv[i] = plv[mirrored] = evidence ? fmin(value, 1.0) : NAN;
                n_eff[i] = n_eff[mirrored] = evidence ? fmin(equal, sum.frames) : 0.0;
            }
        }
    }
}
