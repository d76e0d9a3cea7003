/*
 * What the exercises share. Each drives one theme of libresonance through its edges: smallest sizes, gaps, NaN,
 * refused arguments.
 *
 * They are built and run by tests/unit/test_resonance_build.py with the address and undefined behaviour sanitizers,
 * which see what no test in Python can: reads past an array, leaks, overflow. What the numbers should be is tested
 * in Python; here only what holds for any input. The last line that an exercise prints is "all well".
 */
#ifndef DREAMPODS_EXERCISE_H
#define DREAMPODS_EXERCISE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "resonance.h"

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* Marsaglia's xorshift; any noise does. */
static inline double noise(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (double)state / 2147483648.0 - 1.0;
}

#endif
