/*
 * Sixteen floats at once, in whatever vectors the processor has. Not of the ABI.
 *
 * GCC's vector types compile to one AVX-512 register, two of AVX2 or four of SSE and NEON, and always compute the same.
 * They stay inside functions, as how they would be handed over depends on the processor.
 */
#ifndef DREAMPODS_LANES_H
#define DREAMPODS_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd.h"

#define LANES 16

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t whole_lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef int32_t signed_lanes __attribute__((vector_size(LANES * sizeof(int32_t))));

/* A stretch of sound that fits into the registers: four vectors for each ear. */
#define STRETCH 64
#define VECTORS (STRETCH / LANES)

/* Two ears side by side, as sound goes out. */
RS_INLINE void interleave(const lanes *left, const lanes *right, size_t frames, float *out)
{
    float ears[2][STRETCH];
    memcpy(ears[0], left, sizeof ears[0]);
    memcpy(ears[1], right, sizeof ears[1]);
    for (size_t t = 0; t < frames; t++) {
        out[2 * t] = ears[0][t];
        out[2 * t + 1] = ears[1][t];
    }
}

#endif
