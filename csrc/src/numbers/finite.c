/* See resonance.h: a finite number less itself is 0, and NaN otherwise. */
#include <stdint.h>

#include "resonance.h"
#include "simd.h"

RS_CLONES
static int all_finite(size_t n, const double *x)
{
    uint64_t strange = 0;
    for (size_t i = 0; i < n; i++)
        strange |= !(x[i] - x[i] == 0.0);
    return !strange;
}

int rs_all_finite(size_t n, const double *x)
{
    return all_finite(n, x);
}

RS_CLONES
static int all_finite_single(size_t n, const float *x)
{
    uint32_t strange = 0;
    for (size_t i = 0; i < n; i++)
        strange |= !(x[i] - x[i] == 0.0f);
    return !strange;
}

int rs_all_finite_single(size_t n, const float *x)
{
    return all_finite_single(n, x);
}
