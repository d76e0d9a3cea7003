/* Numbers that come from outside, before anything is made of them. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_NUMBERS_H
#define DREAMPODS_RESONANCE_NUMBERS_H

#include <stddef.h>

/* 1 if no number of x [n] is NaN or infinite, else 0. */
int rs_all_finite(size_t n, const double *x);
int rs_all_finite_single(size_t n, const float *x);

#endif
