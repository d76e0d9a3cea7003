/*
 * Chance that can be asked for by number: the k-th value of a seed, without the k - 1 before it. Not of the ABI.
 *
 * SplitMix64 (Steele, Lea & Flood 2014) is a counter times an odd constant, stirred until no test finds the counter
 * any more. As nothing is carried from one value to the next, loops become vectors. Only operations that IEEE 754
 * rounds in one way only are used, so that a seed gives the same numbers on every machine, as long as the file that
 * includes this doesn't say RS_FUSED.
 */
#ifndef DREAMPODS_RANDOM_H
#define DREAMPODS_RANDOM_H

#include <math.h>

#include "sincos.h"

/* The k-th 64 bits of a seed. */
RS_INLINE uint64_t rs_random(uint64_t seed, uint64_t k)
{
    uint64_t z = seed + (k + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Evenly in (0, 1], from 52 bits: the mantissa of a number in [1, 2), taken from 2. */
RS_INLINE double rs_uniform(uint64_t seed, uint64_t k)
{
    return 2.0 - rs_double_(rs_random(seed, k) >> 12 | 0x3FF0000000000000u);
}

/* Natural logarithm of u in (0, 1], normal: within 1e-13 of itself. */
RS_INLINE double rs_log_(double u)
{
    /* u = m 2^e with m from sqrt(1/2) to sqrt(2); the exponent is kept positive, and made a double by its bits. */
    const uint64_t root_half = 0x3FE6A09E667F3BCDu;
    const uint64_t bits = rs_bits_(u);
    const uint64_t up = (bits - root_half + ((uint64_t)1024 << 52)) >> 52;
    const double e = rs_double_(up | 0x4330000000000000u) - 4503599627370496.0 - 1024.0;
    const double m = rs_double_(bits - ((up - 1024) << 52));
    /* log m = 2 artanh s = 2 s (1 + s^2 / 3 + s^4 / 5 + ...), |s| < 0.172 */
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double sum = 1.0 / 15.0;
    sum = sum * z + 1.0 / 13.0;
    sum = sum * z + 1.0 / 11.0;
    sum = sum * z + 1.0 / 9.0;
    sum = sum * z + 1.0 / 7.0;
    sum = sum * z + 1.0 / 5.0;
    sum = sum * z + 1.0 / 3.0;
    sum = sum * z + 1.0;
    return e * 0.69314718055994530942 + 2.0 * s * sum;
}

/* Two independent numbers of the standard normal distribution (Box & Muller 1958). */
RS_INLINE void rs_normal_pair(uint64_t seed, uint64_t k, double *one, double *other)
{
    double sine, cosine;
    rs_sincos(6.28318530717958647693 * rs_uniform(seed, 2 * k + 1), &sine, &cosine);
    const double radius = sqrt(-2.0 * rs_log_(rs_uniform(seed, 2 * k)));
    *one = radius * cosine;
    *other = radius * sine;
}

#endif
