/*
 * Sums behind the order parameter: see resonance.h.
 *
 * Nearly all of the time goes to sines and cosines: a strip of phases passes together (sincos.h). Phases beyond a
 * million radians, which that does not cover, are left to the C library.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "resonance.h"
#include "sincos.h"

RS_FUSED

#define STRIP 64
#define LANES 8                             /* sums side by side, as many as a vector holds */
#define MOST_RAD 1e6

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
            rs_sincos(x[i], &im[i], &re[i]);
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
