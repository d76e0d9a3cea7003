/*
 * Kuramoto-Sakaguchi oscillators through the mean fields of their groups: see resonance.h.
 *
 * R sin(q - p - lag) is the imaginary part of R e^{iq} e^{-i lag} e^{-ip}. So all that a group feels, its drives
 * included, is one complex number: no angle of a mean is ever needed, and each oscillator costs one sine and cosine.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "resonance.h"

#define LANES 8

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

static const double TWO_PI = 6.28318530717958647693;

typedef struct {
    double re, im;
} complex_sum;

struct rs_kuramoto {
    size_t n, groups;
    size_t *first;                  /* [groups + 1] */
    uint64_t seed, drawn;           /* steps that have taken noise */
    complex_sum *field;             /* [groups], sums over the members */
    complex_sum *pull;              /* [groups, groups], K e^{-i lag} / members, rad/s */
    double *phase;                  /* [n] */
    double *ahead;                  /* [n], where a plain Euler step would lead */
    double *slope, *slope_ahead;    /* [n], rad/s at both */
    double *sine, *cosine;          /* [n], scratch */
    double *drive_re, *drive_im;    /* [n], D e^{id}, rad/s */
    double *kick;                   /* [n + 1], as normal numbers come in pairs */
};

rs_kuramoto *rs_kuramoto_new(size_t groups, const size_t *size, const double *phase, uint64_t seed)
{
    const size_t most = (size_t)1 << 40;
    size_t n = 0;
    if (groups == 0 || groups > 65536)
        return NULL;
    for (size_t g = 0; g < groups; g++) {
        if (size[g] == 0 || size[g] > most - n)
            return NULL;
        n += size[g];
    }
    rs_kuramoto *all = calloc(1, sizeof *all);
    if (all == NULL)
        return NULL;
    all->n = n;
    all->groups = groups;
    all->first = calloc(groups + 1, sizeof *all->first);
    all->field = calloc(groups, sizeof *all->field);
    all->pull = calloc(groups * groups, sizeof *all->pull);
    all->phase = calloc(9 * n + 1, sizeof *all->phase);
    if (!all->first || !all->field || !all->pull || !all->phase) {
        rs_kuramoto_free(all);
        return NULL;
    }
    double **parts[] = {&all->ahead, &all->slope, &all->slope_ahead, &all->sine, &all->cosine, &all->drive_re,
                        &all->drive_im, &all->kick};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        *parts[k] = all->phase + (k + 1) * n;
    for (size_t g = 0; g < groups; g++)
        all->first[g + 1] = all->first[g] + size[g];
    /* Neighbouring seeds must not give neighbouring counters. */
    all->seed = rs_random(seed, 0);
    memcpy(all->phase, phase, n * sizeof *phase);
    return all;
}

void rs_kuramoto_free(rs_kuramoto *all)
{
    if (all == NULL)
        return;
    free(all->first);
    free(all->field);
    free(all->pull);
    free(all->phase);
    free(all);
}

/* The sum in a fixed order, whatever vectors the processor has. */
RS_INLINE double sum_of(const double *x, size_t n)
{
    lanes sums = {0.0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes next;
        memcpy(&next, x + i, sizeof next);
        sums += next;
    }
    double sum = 0.0;
    for (; i < n; i++)
        sum += x[i];
    for (int k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

RS_INLINE void slopes(const rs_kuramoto *all, const double *restrict natural_hz, int driven,
                      const double *restrict phase, double *restrict slope)
{
    double *restrict sine = all->sine, *restrict cosine = all->cosine;
    for (size_t i = 0; i < all->n; i++)
        rs_sincos(phase[i], &sine[i], &cosine[i]);
    for (size_t g = 0; g < all->groups; g++) {
        const size_t first = all->first[g], members = all->first[g + 1] - first;
        all->field[g] = (complex_sum){sum_of(cosine + first, members), sum_of(sine + first, members)};
    }
    for (size_t g = 0; g < all->groups; g++) {
        double re = 0.0, im = 0.0;
        for (size_t h = 0; h < all->groups; h++) {
            const complex_sum pull = all->pull[g * all->groups + h], field = all->field[h];
            re += pull.re * field.re - pull.im * field.im;
            im += pull.re * field.im + pull.im * field.re;
        }
        const size_t end = all->first[g + 1];
        if (driven) {
            const double *restrict drive_re = all->drive_re, *restrict drive_im = all->drive_im;
            for (size_t i = all->first[g]; i < end; i++)
                slope[i] = TWO_PI * natural_hz[i] + (im + drive_im[i]) * cosine[i] - (re + drive_re[i]) * sine[i];
        } else {
            for (size_t i = all->first[g]; i < end; i++)
                slope[i] = TWO_PI * natural_hz[i] + im * cosine[i] - re * sine[i];
        }
    }
}

RS_CLONES
static void kuramoto_prepare(rs_kuramoto *all, const double *coupling_hz, const double *lag_rad,
                    const double *restrict drive_phase, const double *restrict drive_hz)
{
    for (size_t g = 0; g < all->groups; g++) {
        for (size_t h = 0; h < all->groups; h++) {
            const size_t i = g * all->groups + h;
            const double strength = TWO_PI * coupling_hz[i] / (double)(all->first[h + 1] - all->first[h]);
            double sine, cosine;
            rs_sincos(lag_rad[i], &sine, &cosine);
            all->pull[i] = (complex_sum){strength * cosine, -strength * sine};
        }
    }
    if (drive_phase == NULL)
        return;
    double *restrict re = all->drive_re, *restrict im = all->drive_im;
    for (size_t i = 0; i < all->n; i++) {
        double sine, cosine;
        rs_sincos(drive_phase[i], &sine, &cosine);
        re[i] = TWO_PI * drive_hz[i] * cosine;
        im[i] = TWO_PI * drive_hz[i] * sine;
    }
}

RS_CLONES
static void kuramoto_draw(rs_kuramoto *all, double size)
{
    const size_t pairs = all->n / 2 + all->n % 2;
    const uint64_t seed = all->seed, before = all->drawn * pairs;
    double *restrict kick = all->kick;
    for (size_t j = 0; j < pairs; j++) {
        double one, other;
        rs_normal_pair(seed, before + j, &one, &other);
        kick[2 * j] = size * one;
        kick[2 * j + 1] = size * other;
    }
    all->drawn++;
}

RS_CLONES
static void kuramoto_step(rs_kuramoto *all, double dt_s, const double *restrict natural_hz, int driven,
                          double *restrict out)
{
    const double *restrict kick = all->kick;
    double *restrict phase = all->phase, *restrict ahead = all->ahead;
    slopes(all, natural_hz, driven, phase, all->slope);
    const double *restrict slope = all->slope, *restrict slope_ahead = all->slope_ahead;
    for (size_t i = 0; i < all->n; i++)
        ahead[i] = phase[i] + dt_s * slope[i] + kick[i];
    slopes(all, natural_hz, driven, ahead, all->slope_ahead);
    for (size_t i = 0; i < all->n; i++) {
        const double mean_slope = 0.5 * (slope[i] + slope_ahead[i]);
        out[i] = rs_wrapped(phase[i] + dt_s * mean_slope + kick[i]);
    }
    memcpy(phase, out, all->n * sizeof *phase);
}

void rs_kuramoto_run(rs_kuramoto *all, size_t steps, double dt_s, const double *natural_hz, const double *coupling_hz,
                     const double *lag_rad, const double *drive_phase, const double *drive_hz, double noise_rad,
                     double *phase)
{
    kuramoto_prepare(all, coupling_hz, lag_rad, drive_phase, drive_hz);
    if (noise_rad == 0.0)
        memset(all->kick, 0, all->n * sizeof *all->kick);
    for (size_t k = 0; k < steps; k++) {
        if (noise_rad != 0.0)
            kuramoto_draw(all, noise_rad * sqrt(dt_s));
        kuramoto_step(all, dt_s, natural_hz, drive_phase != NULL, phase + k * all->n);
    }
}
