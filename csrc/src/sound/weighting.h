/*
 * Frequency weightings for 16 sounds at once. Not of the ABI.
 *
 * A recursive filter cannot use vectors along time, as each sample needs the one before. But a host has many pods:
 * here each lane of the vectors is another sound. Three second-order sections in transposed direct form II, in double:
 * a pole pair at 20 Hz needs more than float's digits.
 */
#ifndef DREAMPODS_WEIGHTING_H
#define DREAMPODS_WEIGHTING_H

#include <stddef.h>

#include "lanes.h"

enum { RS_SECTIONS = 3 };

typedef struct {
    double b[RS_SECTIONS][3], a[RS_SECTIONS][2];
} rs_weighting;

/* weighting 'A' (IEC 61672-1) or 'K' (ITU-R BS.1770-4); 0, or -1 if it is neither. */
int rs_weighting_init(rs_weighting *filter, char weighting, double rate_hz);

/* sum [RS_LANES] of squares of the weighted x[lane], `frames` each. A sample that is NaN or
 * infinite counts as 0. state [RS_SECTIONS, 2, RS_LANES]. */
void rs_weighting_run(const rs_weighting *filter, size_t frames, const float *const x[RS_LANES], double *state,
                      double *sum);

#endif
