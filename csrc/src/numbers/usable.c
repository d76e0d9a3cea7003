/* See resonance.h: a finite number less itself is 0, any other NaN. */
#include <stdint.h>

#include "resonance.h"
#include "simd.h"

/* What says so is as wide as a number, or compilers spend their time on widening. */
RS_CLONES
static int numbers_usable(size_t n, const double *x, double least)
{
    uint64_t strange = 0;
    for (size_t i = 0; i < n; i++)
        strange |= !((x[i] - x[i] == 0.0) & (x[i] >= least));
    return !strange;
}

int rs_numbers_usable(size_t n, const double *x, double least)
{
    return numbers_usable(n, x, least);
}

RS_CLONES
static int numbers_usable_single(size_t n, const float *x, float least)
{
    uint32_t strange = 0;
    for (size_t i = 0; i < n; i++)
        strange |= !((x[i] - x[i] == 0.0f) & (x[i] >= least));
    return !strange;
}

int rs_numbers_usable_single(size_t n, const float *x, float least)
{
    return numbers_usable_single(n, x, least);
}
