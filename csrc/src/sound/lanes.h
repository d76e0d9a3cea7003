/*
 * Vectors of 16 floats for the sound files. Not of the ABI.
 *
 * Compilers split a vector into as many registers as the processor needs: one of AVX-512, two of AVX2, four of SSE
 * or NEON. Sound in these files is planar (each side an array of its own) and comes in blocks of a multiple of
 * RS_LANES frames, so that no loop needs a tail.
 */
#ifndef DREAMPODS_LANES_H
#define DREAMPODS_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RS_LANES 16

typedef float rs_lanes __attribute__((vector_size(RS_LANES * sizeof(float))));

/* The largest magnitude of n floats. Bits of non-negative floats are ordered like the floats, infinity above all
 * numbers and NaN above infinity: so NaN is noticed, where a comparison of floats would pass it by. */
static inline __attribute__((always_inline)) float rs_magnitude(const float *x, size_t n)
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

/* Sum of x[i]^2; n a multiple of RS_LANES. */
static inline __attribute__((always_inline)) double rs_sum_of_squares(const float *x, size_t n)
{
    rs_lanes sum = {0};
    for (size_t i = 0; i < n; i += RS_LANES) {
        rs_lanes v;
        memcpy(&v, x + i, sizeof v);
        sum += v * v;
    }
    double total = 0.0;
    for (size_t l = 0; l < RS_LANES; l++)
        total += (double)sum[l];
    return total;
}

#endif
