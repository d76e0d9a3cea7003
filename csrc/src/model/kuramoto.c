/* Kuramoto-Sakaguchi oscillators through their mean field: see resonance.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

static const double TWO_PI = 6.28318530717958647693;

struct rs_kuramoto {
    size_t n;
    double *phase;      /* [n] */
    double *ahead;      /* [n] where a plain Euler step would lead */
    double *slope, *slope_ahead;    /* [n] rad/s at both */
    double *sine, *cosine;          /* [n] scratch */
};

typedef struct {
    const double *natural_hz, *drive_phase, *drive_hz;
    double coupling_hz, lag_rad;
} forces;

rs_kuramoto *rs_kuramoto_new(size_t n, const double *phase)
{
    if (n == 0 || n > SIZE_MAX / 16 / sizeof(double))
        return NULL;
    rs_kuramoto *group = calloc(1, sizeof *group);
    double *room = calloc(6 * n, sizeof *room);
    if (group == NULL || room == NULL) {
        free(group);
        free(room);
        return NULL;
    }
    group->n = n;
    group->phase = room;
    group->ahead = room + n;
    group->slope = room + 2 * n;
    group->slope_ahead = room + 3 * n;
    group->sine = room + 4 * n;
    group->cosine = room + 5 * n;
    memcpy(group->phase, phase, n * sizeof *phase);
    return group;
}

void rs_kuramoto_free(rs_kuramoto *group)
{
    if (group == NULL)
        return;
    free(group->phase);
    free(group);
}

/* R sin(q - p - lag) is the imaginary part of R e^{iq} e^{-i(p + lag)}: no angle is needed. */
static void slopes(const rs_kuramoto *group, const forces *f, const double *phase, double *slope)
{
    const size_t n = group->n;
    double re = 0.0, im = 0.0;
    for (size_t i = 0; i < n; i++) {
        group->sine[i] = sin(phase[i]);
        group->cosine[i] = cos(phase[i]);
        re += group->cosine[i];
        im += group->sine[i];
    }
    const double pull = TWO_PI * f->coupling_hz / (double)n;
    /* The field turned back by the lag, once for all. */
    const double field_re = pull * (re * cos(f->lag_rad) + im * sin(f->lag_rad));
    const double field_im = pull * (im * cos(f->lag_rad) - re * sin(f->lag_rad));
    for (size_t i = 0; i < n; i++) {
        slope[i] = TWO_PI * f->natural_hz[i]
                   + field_im * group->cosine[i] - field_re * group->sine[i];
        if (f->drive_phase != NULL)
            slope[i] += TWO_PI * f->drive_hz[i] * sin(f->drive_phase[i] - phase[i]);
    }
}

void rs_kuramoto_step(rs_kuramoto *group, double dt_s, const double *natural_hz,
                      double coupling_hz, double lag_rad, const double *drive_phase,
                      const double *drive_hz, const double *kick, double *phase)
{
    const forces f = {natural_hz, drive_phase, drive_hz, coupling_hz, lag_rad};
    slopes(group, &f, group->phase, group->slope);
    for (size_t i = 0; i < group->n; i++)
        group->ahead[i] = group->phase[i] + dt_s * group->slope[i] + (kick ? kick[i] : 0.0);
    slopes(group, &f, group->ahead, group->slope_ahead);
    for (size_t i = 0; i < group->n; i++) {
        const double mean_slope = 0.5 * (group->slope[i] + group->slope_ahead[i]);
        double p = group->phase[i] + dt_s * mean_slope + (kick ? kick[i] : 0.0);
        p -= TWO_PI * floor(p / TWO_PI + 0.5);
        group->phase[i] = phase[i] = p;
    }
}
