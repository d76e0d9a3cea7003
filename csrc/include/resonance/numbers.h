/* Numbers that come from outside, before anything is made of them. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_NUMBERS_H
#define DREAMPODS_RESONANCE_NUMBERS_H

#include <stddef.h>

/* 1 if no number of x [n] is NaN, infinite, or below `least` (-INFINITY: none is), else 0. */
int rs_numbers_usable(size_t n, const double *x, double least);
int rs_numbers_usable_single(size_t n, const float *x, float least);

#endif
