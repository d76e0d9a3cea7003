/*
 * Cues at a phase of the slow waves: see resonance/wiener.h.
 *
 * The estimate z of a step stands for `lead` after it. If its phase is short of the target by less than it turns in
 * one step, the target lies before the next step's estimate, and the cue is due now. If the estimates have jumped
 * over the target, the cue is due at once, a little late. How fast the phase turns is told by the last two
 * estimates, within what slow waves do.
 */
#include <math.h>
#include <stdlib.h>

#include "resonance.h"

static const double PI = 3.14159265358979323846;
static const double LOW_HZ = 0.5, HIGH_HZ = 2.0;            /* the band of slow waves */
static const double SLOWEST_HZ = 0.5, FASTEST_HZ = 1.5;     /* as phases turn in it */
static const double MEMORY_S = 120.0;
static const double PAUSE_S = 0.4;                          /* between two cues: one for each wave */
static const double LATEST_RAD = 0.5 * 3.14159265358979323846;
static const double LEAST_SURE_RAD = 3.14159265358979323846 / 6.0;

typedef struct {
    double re, im;      /* the estimate of the step before */
    double last;        /* when the last cue was due, in samples */
} channel;

struct rs_slow_waves {
    rs_wiener *wiener;
    size_t channels, hop;
    double rate_hz, target, lead, least;    /* lead in samples */
    double now;                             /* samples in whole steps */
    double *phasors, *confidence, *error;   /* of one step, and as large a reserve */
    channel *at;
};

rs_slow_waves *rs_slow_waves_new(size_t channels, double rate_hz, double target_rad, double lead_s, double least,
                                 double largest)
{
    if (!(rate_hz >= 10.0 * HIGH_HZ) || !isfinite(target_rad) || !(least >= 0.0) || isinf(least))
        return NULL;
    rs_slow_waves *waves = calloc(1, sizeof *waves);
    if (waves == NULL)
        return NULL;
    waves->wiener = rs_wiener_new(channels, rate_hz, LOW_HZ, HIGH_HZ, lead_s, MEMORY_S, largest);
    if (waves->wiener == NULL) {
        free(waves);
        return NULL;
    }
    waves->channels = channels;
    waves->hop = rs_wiener_hop(waves->wiener);
    waves->rate_hz = rate_hz;
    waves->target = target_rad;
    waves->lead = lead_s * rate_hz;
    waves->least = least;
    waves->phasors = calloc(4 * channels, sizeof(double));
    waves->confidence = calloc(2 * channels, sizeof(double));
    waves->error = calloc(2 * channels, sizeof(double));
    waves->at = calloc(channels, sizeof *waves->at);
    if (waves->phasors == NULL || waves->confidence == NULL || waves->error == NULL
        || waves->at == NULL) {
        rs_slow_waves_free(waves);
        return NULL;
    }
    for (size_t c = 0; c < channels; c++)
        waves->at[c].last = -HUGE_VAL;
    return waves;
}

void rs_slow_waves_free(rs_slow_waves *waves)
{
    if (waves == NULL)
        return;
    rs_wiener_free(waves->wiener);
    free(waves->phasors);
    free(waves->confidence);
    free(waves->error);
    free(waves->at);
    free(waves);
}

size_t rs_slow_waves_hop(const rs_slow_waves *waves)
{
    return waves->hop;
}

static double short_of(double re, double im, double target)
{
    return remainder(atan2(im, re) - target, 2.0 * PI);
}

/* Is a cue of this channel due? At which sample? */
static int due(const rs_slow_waves *waves, const channel *before, double re, double im, double *at)
{
    const double step_s = (double)waves->hop / waves->rate_hz;
    const double turned = atan2(im * before->re - re * before->im, re * before->re + im * before->im);
    const double turn = fmin(fmax(turned, 2.0 * PI * SLOWEST_HZ * step_s), 2.0 * PI * FASTEST_HZ * step_s);
    const double phase = short_of(re, im, waves->target);
    const double was = short_of(before->re, before->im, waves->target);
    const double newest = waves->now - 1.0 + waves->lead;
    if (phase <= 0.0 && phase > -turn)
        *at = newest - phase / turn * (double)waves->hop;
    else if (phase > 0.0 && phase < LATEST_RAD && !(was >= 0.0 && was < LATEST_RAD))
        *at = newest;
    else
        return 0;
    return *at - before->last > PAUSE_S * waves->rate_hz;
}

size_t rs_slow_waves_process(rs_slow_waves *waves, size_t frames, const double *x, const uint8_t *valid,
                             rs_cue *cues)
{
    size_t given = 0;
    for (size_t n = 0; n < frames; n++) {
        const size_t row = n * waves->channels;
        if (rs_wiener_process(waves->wiener, 1, x + row, valid == NULL ? NULL : valid + row, waves->phasors,
                              waves->confidence, waves->error) == 0)
            continue;
        waves->now += (double)waves->hop;
        for (size_t c = 0; c < waves->channels; c++) {
            const double re = waves->phasors[2 * c], im = waves->phasors[2 * c + 1];
            const double amplitude = hypot(re, im), sigma_rad = waves->error[c] / (amplitude * sqrt(2.0));
            double at;
            if (amplitude >= waves->least && sigma_rad <= LEAST_SURE_RAD
                && due(waves, &waves->at[c], re, im, &at)) {
                cues[given++] = (rs_cue){at, amplitude, sigma_rad, c};
                waves->at[c].last = at;
            }
            waves->at[c].re = re;
            waves->at[c].im = im;
        }
    }
    return given;
}
