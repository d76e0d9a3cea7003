/* From what a sleeper's signal has been like to the weights that read its slow wave. Not of the ABI. */
#ifndef DREAMPODS_SLOW_WAVE_READOUT_H
#define DREAMPODS_SLOW_WAVE_READOUT_H

#include <stddef.h>

#include "simd.h"

/* The wave is read at two moments: RS_NOW and one step of the slow rate later. Each reading has a real and an
 * imaginary part, and each part its own row of weights. */
enum { RS_NOW = 0, RS_NEXT = 2, RS_ROWS = 4 };

typedef struct {
    size_t taps, lags;  /* values that a reading uses; lags of the autocovariance that its weights need */
    double *kernel;     /* [RS_ROWS, 2 lags - 1 + taps]: the wanted wave as a two-sided filter of the slow values */
    double *square;     /* [lags]: its power, as a sum over the autocovariance */
    double *wanted;     /* [RS_ROWS, taps]: scratch */
    double *mirrored;   /* [2 lags - 1]: scratch */
} rs_readout;

typedef struct {
    double power, explained;  /* mean square of the wave, and of what a reading foretells of it */
} rs_readout_share;

/* The wave lies in low..high Hz, lead_s ahead; rate_hz and every say how slow values came from samples:
 * a level followed at corner_hz taken away, then a triangle of 2 every - 1 samples. 0 if memory is short. */
int rs_readout_init(rs_readout *readout, double rate_hz, size_t every, double corner_hz, double low_hz,
                    double high_hz, double lead_s);
void rs_readout_clear(rs_readout *readout);

/* From the autocovariance [lags] the weights [RS_ROWS, taps] and the one-step predictor [taps - 1], all with the
 * newest value first. Returns 0, leaving garbage, if that is no autocovariance. */
int rs_readout_solve(rs_readout *readout, const double *autocovariance, double *weights, double *predictor,
                     rs_readout_share *share);

/* A sum of products in eight parts, so that compilers may use vectors, and all of them round alike. */
RS_INLINE double rs_product(size_t n, const double *a, const double *b)
{
    double part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            part[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        part[0] += a[i] * b[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

#endif
