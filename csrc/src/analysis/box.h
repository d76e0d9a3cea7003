/*
 * Means over a window of any length, at a cost that does not depend on it. Not of the ABI.
 *
 * A ring keeps the running sum before each sample; the sum over a window is the difference of two of them. A window
 * may end between samples: there the running sum is a straight line, as if each sample lasted from half a sample
 * before to half a sample after its moment. So a window has the length in seconds that was asked for at every rate,
 * and its mean belongs to its middle: no delay of phase.
 *
 * The running sum begins anew, at the oldest sample kept, each time the ring has turned: rounding cannot pile up.
 */
#ifndef DREAMPODS_BOX_H
#define DREAMPODS_BOX_H

#include <math.h>
#include <stdint.h>

#include "simd.h"

typedef struct {
    double *before;      /* [mask + 1], zero at first: the sum of all samples before this one */
    int64_t mask, next;  /* the number of the next sample */
} box_ring;

/* A window around a sample, in samples: both its ends lie `reach` + `part` after the sample's own edges. */
typedef struct {
    int64_t reach;
    double part, scale;  /* part of 1 that the outermost sample counts; 1 / length */
} box;

RS_INLINE box box_of(double length)
{
    const double side = length > 1.0 ? (length - 1.0) / 2.0 : 0.0;
    const double whole = floor(side);
    return (box){(int64_t)whole, side - whole, 1.0 / (2.0 * side + 1.0)};
}

/* Samples after the middle that the window needs. */
RS_INLINE int64_t box_ahead(const box *window)
{
    return window->reach + (window->part > 0.0);
}

RS_INLINE void ring_push(box_ring *ring, double x)
{
    const double total = ring->before[ring->next & ring->mask] + x;
    ring->next++;
    ring->before[ring->next & ring->mask] = total;
    if ((ring->next & ring->mask) == ring->mask) {
        const double oldest = ring->before[0];
        for (int64_t i = 0; i <= ring->mask; i++)
            ring->before[i] -= oldest;
    }
}

/* The running sum before sample i, at most the next one; the ring must still keep it. Before the first it is 0, in
 * places that nothing was written to yet. */
RS_INLINE double ring_before(const box_ring *ring, int64_t i)
{
    return ring->before[i & ring->mask];
}

RS_INLINE double ring_at(const box_ring *ring, int64_t i)
{
    return ring_before(ring, i + 1) - ring_before(ring, i);
}

RS_INLINE double box_sum(const box_ring *ring, const box *window, int64_t middle)
{
    const int64_t a = middle - window->reach, b = middle + window->reach + 1;
    const double from = ring_before(ring, a), to = ring_before(ring, b);
    return (to - from) + window->part * ((ring_before(ring, b + 1) - to) + (from - ring_before(ring, a - 1)));
}

#endif
