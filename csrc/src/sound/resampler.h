/* How the mixer hands a pod's mix to that pod's resampler. Not of the ABI. */
#ifndef DREAMPODS_RESAMPLER_H
#define DREAMPODS_RESAMPLER_H

#include "resonance.h"

/* rs_resampler_write of sides that lie apart: frame k is left[k stride], right[k stride]. */
void rs_resampler_write_sides(rs_resampler *resampler, size_t frames, const float *left, const float *right,
                              size_t stride);

#endif
