/*
 * Sums behind the order parameter: see resonance.h.
 *
 * Nearly all of the time goes to sines and cosines, and the C library takes them one by one. Here a strip of phases
 * passes together: each is brought to within a quarter turn of 0 by taking away whole quarters, in three parts so that
 * no digit is lost, then both functions are their Taylor series, and the quarters say which is which. Errors are
 * below 3e-16; phases beyond a million radians, which the three parts do not cover, are left to the library.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "resonance.h"
#include "simd.h"

RS_FUSED

#define STRIP 64
#define LANES 8                             /* sums side by side, as many as a vector holds */
#define MOST_RAD 1e6
#define QUARTERS_PER_RAD 0.63661977236758134308
#define ROUNDING 6755399441055744.0         /* 1.5 * 2^52: what is added to it becomes a whole number */

/* A quarter turn, pi / 2: 33 bits, the next 33, and the rest. */
#define QUARTER_HIGH 1.57079632673412561417e+00
#define QUARTER_MIDDLE 6.07710050630396597660e-11
#define QUARTER_LOW 2.02226624879595063154e-21

RS_INLINE void unit_phasor(double phase, double *re, double *im)
{
    const double rounded = phase * QUARTERS_PER_RAD + ROUNDING;
    const double quarters = rounded - ROUNDING;
    const double x = ((phase - quarters * QUARTER_HIGH) - quarters * QUARTER_MIDDLE) - quarters * QUARTER_LOW;
    int64_t count;                          /* the whole number lies in the last bits */
    memcpy(&count, &rounded, sizeof count);
    const double y = x * x;
    const double sine = x + x * y * (-1.0 / 6 + y * (1.0 / 120 + y * (-1.0 / 5040 + y * (1.0 / 362880
        + y * (-1.0 / 39916800 + y * (1.0 / 6227020800 + y * (-1.0 / 1307674368000)))))));
    const double cosine = 1.0 + y * (-1.0 / 2 + y * (1.0 / 24 + y * (-1.0 / 720 + y * (1.0 / 40320
        + y * (-1.0 / 3628800 + y * (1.0 / 479001600 + y * (-1.0 / 87178291200 + y * (1.0 / 20922789888000))))))));
    const double c = count & 1 ? sine : cosine, s = count & 1 ? cosine : sine;
    *re = (count + 1) & 2 ? -c : c;
    *im = count & 2 ? -s : s;
}

typedef struct {
    double re[LANES], im[LANES], weight[LANES], square[LANES];
} lanes;

RS_INLINE void add(lanes *sums, const double *re, const double *im, const double *weight)
{
    for (size_t i = 0; i < STRIP; i += LANES)
        for (size_t k = 0; k < LANES; k++) {
            const double w = weight[i + k];
            sums->re[k] += w * re[i + k];
            sums->im[k] += w * im[i + k];
            sums->weight[k] += w;
            sums->square[k] += w * w;
        }
}

RS_INLINE void finish(rs_order_sums *sums, const lanes *lane)
{
    for (size_t k = 0; k < LANES; k++) {
        sums->re += lane->re[k];
        sums->im += lane->im[k];
        sums->weight += lane->weight[k];
        sums->square += lane->square[k];
    }
}

/* A strip's weights; what is past the end has none. */
RS_INLINE void weights_of(double *strip, const double *weight, size_t count)
{
    for (size_t i = 0; i < STRIP; i++)
        strip[i] = i >= count ? 0.0 : weight == NULL ? 1.0 : weight[i];
}

RS_CLONES
static void order_add(rs_order_sums *sums, size_t n, const double *phase, const double *weight)
{
    lanes lane = {0};
    for (size_t start = 0; start < n; start += STRIP) {
        const size_t count = n - start < STRIP ? n - start : STRIP;
        double x[STRIP] = {0}, re[STRIP], im[STRIP], w[STRIP];
        memcpy(x, phase + start, count * sizeof *x);
        weights_of(w, weight == NULL ? NULL : weight + start, count);
        int far = 0;
        for (size_t i = 0; i < STRIP; i++) {
            unit_phasor(x[i], &re[i], &im[i]);
            far |= !(fabs(x[i]) < MOST_RAD);
        }
        if (far)
            for (size_t i = 0; i < STRIP; i++) {
                re[i] = cos(x[i]);
                im[i] = sin(x[i]);
            }
        add(&lane, re, im, w);
    }
    finish(sums, &lane);
}

void rs_order_add(rs_order_sums *sums, size_t n, const double *phase, const double *weight)
{
    order_add(sums, n, phase, weight);
}

RS_CLONES
static void order_add_phasors(rs_order_sums *sums, size_t n, const double *u, const double *weight)
{
    lanes lane = {0};
    for (size_t start = 0; start < n; start += STRIP) {
        const size_t count = n - start < STRIP ? n - start : STRIP;
        double z[2 * STRIP] = {0}, re[STRIP], im[STRIP], w[STRIP];
        memcpy(z, u + 2 * start, 2 * count * sizeof *z);
        weights_of(w, weight == NULL ? NULL : weight + start, count);
        for (size_t i = 0; i < STRIP; i++) {
            /* Scaled first: the square of a very large or small number is none. */
            const double a = fabs(z[2 * i]), b = fabs(z[2 * i + 1]), size = a > b ? a : b;
            const double by = size > 0.0 ? size : 1.0, x = z[2 * i] / by, y = z[2 * i + 1] / by;
            const double length = sqrt(x * x + y * y), unit = size > 0.0 ? length : 1.0;
            re[i] = x / unit;
            im[i] = y / unit;
            w[i] = size > 0.0 ? w[i] : 0.0;
        }
        add(&lane, re, im, w);
    }
    finish(sums, &lane);
}

void rs_order_add_phasors(rs_order_sums *sums, size_t n, const double *u, const double *weight)
{
    order_add_phasors(sums, n, u, weight);
}
