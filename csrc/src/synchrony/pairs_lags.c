/*
 * Sums for the weighted phase lag index: of Im(z_a conj(z_b)), of its size, and of its square.
 *
 * A size is no product of a's and b's numbers, so each frame costs a few operations for each pair; the tile still
 * stays in registers. This file has no fused multiply-adds: y_a x_b - x_a y_b must be exactly 0 for two equal
 * signals, or the index would be made of rounding errors.
 */
#include <string.h>

#include "pairs.h"

#define REAL double
#define NAME(x) x##_double
#define WORD int64_t
#include "pairs_lags.h"
#undef REAL
#undef NAME
#undef WORD

#define REAL float
#define NAME(x) x##_float
#define WORD int32_t
#include "pairs_lags.h"
