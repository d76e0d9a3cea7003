/* Numbers that come from outside, before anything is made of them. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_NUMBERS_H
#define DREAMPODS_RESONANCE_NUMBERS_H

#include <stddef.h>

/* 1 if every number of x [n] is from `least` to `most`, both finite; else 0, as for NaN and infinity. */
int rs_numbers_within(size_t n, const double *x, double least, double most);
int rs_numbers_within_single(size_t n, const float *x, float least, float most);

#endif
