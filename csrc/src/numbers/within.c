/* See resonance.h: NaN is neither above nor below anything. */
#include <stdint.h>

#include "resonance.h"
#include "simd.h"

/* What says so is as wide as a number, or compilers spend their time on widening. */
RS_CLONES
static int numbers_within(size_t n, const double *x, double least, double most)
{
    uint64_t strange = 0;
    for (size_t i = 0; i < n; i++)
        strange |= !((x[i] >= least) & (x[i] <= most));
    return !strange;
}

int rs_numbers_within(size_t n, const double *x, double least, double most)
{
    return numbers_within(n, x, least, most);
}

RS_CLONES
static int numbers_within_single(size_t n, const float *x, float least, float most)
{
    uint32_t strange = 0;
    for (size_t i = 0; i < n; i++)
        strange |= !((x[i] >= least) & (x[i] <= most));
    return !strange;
}

int rs_numbers_within_single(size_t n, const float *x, float least, float most)
{
    return numbers_within_single(n, x, least, most);
}
