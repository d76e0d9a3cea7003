/*
 * Complex one-pole resonators: see resonance.h for what they promise.
 *
 * Why the fit is exact. Let the past k samples ago weigh (1 - r) r^k, and
 *
 *     s = sum of weights e^{iwk} = (1 - r) / (1 - r e^{iw}),      h = the same with 2w.
 *
 * The sinusoid Re(a e^{-iwk}) beside a constant c solves the normal equations
 *
 *     y = sum of weights x e^{iwk} = (a + h conj(a)) / 2 + c s
 *     m = sum of weights x         = Re(a conj(s)) + c
 *
 * Taking s times the second from the first removes c: z = y - s m = (p a + q conj(a)) / 2 with
 * p = 1 - |s|^2 and q = h - s^2. With its conjugate that is solved by
 * a = 2 (p z - q conj(z)) / (p^2 - |q|^2). Writing z[n] in terms of z[n-1] and m[n-1] gives the
 * recursion of the header with g = (1 - r)(1 - s). The fit explains Re(conj(a) z) of the variance,
 * never more than there is.
 *
 * A missing sample is treated as one equal to the mean: d = 0, so z rotates and decays, and the
 * variance decays more slowly than what is explained of it. All stays a fit with the same
 * weights, and the confidence a share.
 *
 * A lane is one band of one channel. TOGETHER lanes are stepped through a whole block before the next ones, so that
 * their states stay in registers, and each operation is one of vectors. What a lane computes depends on no other.
 */
#include <math.h>
#include <stdlib.h>

#include "resonance.h"
#include "simd.h"

static const double PI = 3.14159265358979323846;

/* Below this a state is silence. Long before, it would become a denormal number, which many
 * processors compute a hundred times slower. */
static const double SILENCE = 1e-150;

enum { TOGETHER = 16 };

typedef struct {
    double re[TOGETHER], im[TOGETHER];                  /* z */
    double mean[TOGETHER], variance[TOGETHER];          /* of x, under the same weights */
    double decay[TOGETHER];                             /* r */
    double turn_re[TOGETHER], turn_im[TOGETHER];        /* r e^{iw} */
    double gain_re[TOGETHER], gain_im[TOGETHER];        /* g */
    double own_scale[TOGETHER];                         /* 2 p / (p^2 - |q|^2) */
    double mirror_re[TOGETHER], mirror_im[TOGETHER];    /* 2 q / (p^2 - |q|^2) */
    size_t channel[TOGETHER];
    int started[TOGETHER];                              /* the first sample is where the mean begins */
} lanes;

struct rs_resonators {
    size_t channels, bands;
    double rate_hz;
    lanes of[];
};

static int within(double value, double below)
{
    return value > 0.0 && value < below;
}

/* The pole radius whose -3 dB points lie bandwidth apart: |1 - r e^{id}|^2 = 2 (1 - r)^2 with
 * d = pi bandwidth / rate gives q^2 + 2 q sin(d/2) - 1 = 0 for q = sqrt(r). */
static double decay_for(double bandwidth_hz, double rate_hz)
{
    const double s = sin(0.5 * PI * bandwidth_hz / rate_hz);
    const double q = sqrt(s * s + 1.0) - s;
    return q * q;
}

/* (1 - r) / (1 - r e^{iw}) */
static void weigh_turning(double decay, double w, double *re, double *im)
{
    const double below_re = 1.0 - decay * cos(w), below_im = -decay * sin(w);
    const double scale = (1.0 - decay) / (below_re * below_re + below_im * below_im);
    *re = below_re * scale;
    *im = -below_im * scale;
}

static void set_centre(lanes *some, size_t i, double freq_hz, double rate_hz)
{
    const double w = 2.0 * PI * freq_hz / rate_hz, r = some->decay[i];
    double s_re, s_im, h_re, h_im;
    weigh_turning(r, w, &s_re, &s_im);
    weigh_turning(r, 2.0 * w, &h_re, &h_im);
    const double p = 1.0 - s_re * s_re - s_im * s_im;
    const double q_re = h_re - (s_re * s_re - s_im * s_im), q_im = h_im - 2.0 * s_re * s_im;
    const double scale = 2.0 / (p * p - q_re * q_re - q_im * q_im);
    some->turn_re[i] = r * cos(w);
    some->turn_im[i] = r * sin(w);
    some->gain_re[i] = (1.0 - r) * (1.0 - s_re);
    some->gain_im[i] = (1.0 - r) * -s_im;
    some->own_scale[i] = scale * p;
    some->mirror_re[i] = scale * q_re;
    some->mirror_im[i] = scale * q_im;
}

rs_resonators *rs_resonators_new(size_t channels, size_t bands, double rate_hz,
                                 const double *freq_hz, const double *bandwidth_hz)
{
    if (channels == 0 || bands == 0 || !(rate_hz > 0.0) || isinf(rate_hz)
        || channels > (SIZE_MAX / 2) / sizeof(lanes) / bands)
        return NULL;
    for (size_t b = 0; b < bands; b++)
        if (!within(freq_hz[b], rate_hz / 2) || !within(bandwidth_hz[b], rate_hz / 2))
            return NULL;
    const size_t count = channels * bands;
    rs_resonators *bank = calloc(1, sizeof *bank + (count + TOGETHER - 1) / TOGETHER * sizeof(lanes));
    if (bank == NULL)
        return NULL;
    bank->channels = channels;
    bank->bands = bands;
    bank->rate_hz = rate_hz;
    for (size_t k = 0; k < count; k++) {
        lanes *some = &bank->of[k / TOGETHER];
        some->channel[k % TOGETHER] = k / bands;
        some->decay[k % TOGETHER] = decay_for(bandwidth_hz[k % bands], rate_hz);
        set_centre(some, k % TOGETHER, freq_hz[k % bands], rate_hz);
    }
    return bank;
}

void rs_resonators_free(rs_resonators *bank)
{
    free(bank);
}

void rs_resonators_retune(rs_resonators *bank, const double *freq_hz)
{
    for (size_t k = 0; k < bank->channels * bank->bands; k++)
        set_centre(&bank->of[k / TOGETHER], k % TOGETHER, freq_hz[k], bank->rate_hz);
}

/* Before its first sample a lane is at rest, whatever its mean: it may as well begin there. */
static void start(lanes *some, size_t count, size_t channels, size_t frames, const double *x,
                  const uint8_t *valid)
{
    for (size_t i = 0; i < count; i++)
        for (size_t at = some->channel[i]; !some->started[i] && at < frames * channels; at += channels)
            if (valid == NULL || valid[at]) {
                some->mean[i] = x[at];
                some->started[i] = 1;
            }
}

/* d [TOGETHER]: what the samples of one frame differ by from the means; 0 where one is missing. */
RS_INLINE void step(lanes *some, const double *d, double *fit_re, double *fit_im)
{
    for (size_t i = 0; i < TOGETHER; i++) {
        const double forget = 1.0 - some->decay[i];
        const double re = some->turn_re[i] * some->re[i] - some->turn_im[i] * some->im[i];
        const double im = some->turn_re[i] * some->im[i] + some->turn_im[i] * some->re[i];
        some->re[i] = re + some->gain_re[i] * d[i];
        some->im[i] = im + some->gain_im[i] * d[i];
        some->mean[i] += forget * d[i];
        some->variance[i] = some->decay[i] * (some->variance[i] + forget * d[i] * d[i]);
        fit_re[i] = some->own_scale[i] * some->re[i] - some->mirror_re[i] * some->re[i]
                  - some->mirror_im[i] * some->im[i];
        fit_im[i] = some->own_scale[i] * some->im[i] - some->mirror_im[i] * some->re[i]
                  + some->mirror_re[i] * some->im[i];
    }
}

/* The share of the variance that is explained. Only rounding, and a retune, whose old state belongs to another
 * centre, leave 0..1. */
RS_INLINE double share(double fit_re, double fit_im, double re, double im, double variance)
{
    const double explained = fit_re * re + fit_im * im;
    return !(explained > 0.0) ? 0.0 : explained < variance ? explained / variance : 1.0;
}

RS_CLONES
static void run(lanes *kept, size_t count, size_t all, size_t channels, size_t frames, const double *x,
                const uint8_t *valid, double *phasors, double *confidence)
{
    lanes some = *kept;  /* the compiler sees that nothing else writes here */
    for (size_t n = 0; n < frames; n++, x += channels, phasors += 2 * all) {
        double d[TOGETHER], re[TOGETHER], im[TOGETHER];
        for (size_t i = 0; i < TOGETHER; i++)
            d[i] = x[some.channel[i]] - some.mean[i];
        if (valid != NULL) {
            for (size_t i = 0; i < TOGETHER; i++)
                d[i] = valid[some.channel[i]] ? d[i] : 0.0;
            valid += channels;
        }
        step(&some, d, re, im);
        if (count == TOGETHER)
            for (size_t i = 0; i < TOGETHER; i++) {
                phasors[2 * i] = re[i];
                phasors[2 * i + 1] = im[i];
            }
        else
            for (size_t i = 0; i < count; i++) {
                phasors[2 * i] = re[i];
                phasors[2 * i + 1] = im[i];
            }
        if (confidence != NULL) {
            double shares[TOGETHER];
            for (size_t i = 0; i < TOGETHER; i++)
                shares[i] = share(re[i], im[i], some.re[i], some.im[i], some.variance[i]);
            for (size_t i = 0; i < count; i++)
                confidence[i] = shares[i];
            confidence += all;
        }
    }
    for (size_t i = 0; i < TOGETHER; i++) {
        if (fabs(some.re[i]) + fabs(some.im[i]) < SILENCE)
            some.re[i] = some.im[i] = 0.0;
        if (some.variance[i] < SILENCE)
            some.variance[i] = 0.0;
    }
    *kept = some;
}

void rs_resonators_process(rs_resonators *bank, size_t frames, const double *x,
                           const uint8_t *valid, double *phasors, double *confidence)
{
    const size_t all = bank->channels * bank->bands;
    for (size_t k = 0; k < all; k += TOGETHER) {
        lanes *some = &bank->of[k / TOGETHER];
        const size_t count = all - k < TOGETHER ? all - k : TOGETHER;
        start(some, count, bank->channels, frames, x, valid);
        run(some, count, all, bank->channels, frames, x, valid, phasors + 2 * k,
            confidence == NULL ? NULL : confidence + k);
    }
}

void rs_resonators_state(const rs_resonators *bank, double *phasor, double *confidence)
{
    for (size_t k = 0; k < bank->channels * bank->bands; k++) {
        const lanes *some = &bank->of[k / TOGETHER];
        const size_t i = k % TOGETHER;
        const double re = some->re[i], im = some->im[i];
        const double fit_re = some->own_scale[i] * re - some->mirror_re[i] * re - some->mirror_im[i] * im;
        const double fit_im = some->own_scale[i] * im - some->mirror_im[i] * re + some->mirror_re[i] * im;
        phasor[2 * k] = fit_re;
        phasor[2 * k + 1] = fit_im;
        confidence[k] = share(fit_re, fit_im, re, im, some->variance[i]);
    }
}
