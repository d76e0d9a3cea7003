/*
 * The weights of the slow wave's readout: see resonance.h for what they are good for.
 *
 * Why it works. The wave that an analysis finds afterwards, with all the night before it, is a two-sided filter of
 * the signal: a Butterworth band run forwards and backwards, so without delay, of which the positive frequencies
 * give the phase. Half of that filter lies in the future. But a sleeper's signal has a spectrum, hence an
 * autocovariance r, and of all sums of past values the one with the weights w that solve
 *
 *     sum over j of r[k - j] w[j] = c[k],     c[k] = sum over m of g[m] r[k - m]
 *
 * comes nearest to that wave in the mean square (Wiener 1949; Levinson 1946 for the solution in K^2 steps). g is the
 * two-sided filter. The error that is left is unrelated to every past value: whatever of the past decides that now
 * is the moment for a cue, on average over such moments the phase is right.
 *
 * What stands between the electrode and the values (the removal of the level, the averaging of samples, and their
 * delay) is known, so g is the wanted response divided by theirs.
 */
#include <complex.h>
#include <math.h>
#include <stdlib.h>

#include "slow_wave_readout.h"

static const double PI = 3.14159265358979323846;
static const double PAST_S = 5.0;        /* that a reading looks at: enough to tell a drift from the slowest waves */
static const double SPAN_S = 3.0;        /* on either side, beyond which the two-sided filter is nothing */
static const double GRID_HZ = 0.02;      /* of the integral over frequency; repeats after 50 s, far beyond the spans */
static const double RIDGE = 1e-4;        /* of the power, as if white noise: what no spectrum can promise away */

/* Butterworth's band of order 2, there and back: |H|^2. */
static double band(double hz, double low_hz, double high_hz)
{
    const double detune = (hz * hz - low_hz * high_hz) / (hz * (high_hz - low_hz));
    return 1.0 / (1.0 + detune * detune * detune * detune);
}

/* From a sample to a slow value: the level's removal, and the triangle with its delay of every - 1 samples. */
static double complex front(double hz, double rate_hz, size_t every, double corner_hz)
{
    const double w = 2.0 * PI * hz / rate_hz, keep = exp(-2.0 * PI * corner_hz / rate_hz);
    const double complex back = cexp(-I * w);
    const double box = sin(0.5 * w * (double)every) / ((double)every * sin(0.5 * w));
    return (1.0 - back) / (1.0 - keep * back) * box * box * cexp(-I * w * (double)(every - 1));
}

int rs_readout_init(rs_readout *readout, double rate_hz, size_t every, double corner_hz, double low_hz,
                    double high_hz, double lead_s)
{
    const double step_s = (double)every / rate_hz;
    readout->taps = (size_t)(PAST_S / step_s);
    readout->lags = readout->taps + (size_t)(SPAN_S / step_s);
    const size_t taps = readout->taps, lags = readout->lags, wide = 2 * lags - 1 + taps;
    readout->kernel = calloc(RS_ROWS * wide, sizeof(double));
    readout->square = calloc(lags, sizeof(double));
    readout->wanted = calloc(RS_ROWS * taps, sizeof(double));
    readout->mirrored = calloc(2 * lags - 1, sizeof(double));
    if (!readout->kernel || !readout->square || !readout->wanted || !readout->mirrored) {
        rs_readout_clear(readout);
        return 0;
    }
    const double d = 2.0 * GRID_HZ * step_s;  /* of the integral, and 2 for the missing negative frequencies */
    for (double hz = 0.5 * GRID_HZ; hz < 0.5 / step_s; hz += GRID_HZ) {
        const double complex response = band(hz, low_hz, high_hz) / front(hz, rate_hz, every, corner_hz);
        const double complex turn = cexp(2.0 * I * PI * hz * step_s);
        for (int row = RS_NOW; row < RS_ROWS; row += 2) {
            const double ahead = lead_s + (row == RS_NEXT ? step_s : 0.0) - step_s * (double)(lags - 1);
            double complex term = d * response * cexp(2.0 * I * PI * hz * ahead);
            double *re = readout->kernel + (size_t)row * wide, *im = re + wide;
            for (size_t m = 0; m < wide; m++, term *= turn) {
                re[m] += creal(term);
                im[m] += cimag(term);
            }
        }
        double complex term = 2.0 * d * creal(response * conj(response));
        for (size_t j = 0; j < lags; j++, term *= turn)
            readout->square[j] += creal(term);
    }
    return 1;
}

void rs_readout_clear(rs_readout *readout)
{
    free(readout->kernel);
    free(readout->square);
    free(readout->wanted);
    free(readout->mirrored);
}

/* c[k] of the head comment, for all rows. */
RS_CLONES
static void correlate(rs_readout *readout, const double *r)
{
    const size_t taps = readout->taps, lags = readout->lags, wide = 2 * lags - 1 + taps;
    for (size_t j = 0; j < lags; j++)
        readout->mirrored[lags - 1 + j] = readout->mirrored[lags - 1 - j] = r[j];
    for (size_t row = 0; row < RS_ROWS; row++)
        for (size_t k = 0; k < taps; k++)
            readout->wanted[row * taps + k]
                = rs_product(2 * lags - 1, readout->mirrored, readout->kernel + row * wide + k);
}

int rs_readout_solve(rs_readout *readout, const double *autocovariance, double *weights, double *predictor,
                     rs_readout_share *share)
{
    const size_t taps = readout->taps;
    const double *r = autocovariance;
    const double ridge = r[0] * RIDGE;
    correlate(readout, r);
    double error = r[0] + ridge;
    if (!(error > 0.0))
        return 0;
    for (size_t row = 0; row < RS_ROWS; row++)
        weights[row * taps] = readout->wanted[row * taps] / error;
    /* Levinson: from the solution for i values, and their best predictor p, those for i + 1. */
    double *p = predictor;
    for (size_t i = 1; i < taps; i++) {
        double missed = r[i];
        for (size_t j = 0; j + 1 < i; j++)
            missed -= p[j] * r[i - 1 - j];
        const double reflection = missed / error;
        for (size_t j = 0; 2 * j + 1 < i; j++) {
            const double near = p[j], far = p[i - 2 - j];
            p[j] = near - reflection * far;
            p[i - 2 - j] = far - reflection * near;
        }
        p[i - 1] = reflection;
        error *= 1.0 - reflection * reflection;
        if (!(error > 0.0) || !(fabs(reflection) < 1.0))
            return 0;
        for (size_t row = 0; row < RS_ROWS; row++) {
            double *w = weights + row * taps;
            double left = readout->wanted[row * taps + i];
            for (size_t j = 0; j < i; j++)
                left -= w[j] * r[i - j];
            const double newest = left / error;
            for (size_t j = 0; j < i; j++)
                w[j] -= newest * p[i - 1 - j];
            w[i] = newest;
        }
    }
    share->power = r[0] * readout->square[0];
    for (size_t j = 1; j < readout->lags; j++)
        share->power += 2.0 * r[j] * readout->square[j];
    share->explained = rs_product(2 * taps, weights, readout->wanted);
    return share->power > 0.0 && share->explained > 0.0;
}
