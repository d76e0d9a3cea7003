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
 * States lie one after the other as [channel, band], so that the inner loop runs over neighbours.
 */
#include <math.h>
#include <stdlib.h>

#include "resonance.h"

static const double PI = 3.14159265358979323846;

/* Below this a state is silence. Long before, it would become a denormal number, which many
 * processors compute a hundred times slower. */
static const double SILENCE = 1e-150;

typedef struct {
    double re, im;                  /* z */
    double mean, variance;          /* of x, under the same weights */
    int started;                    /* the first sample is where the mean begins */
    double decay;                   /* r */
    double turn_re, turn_im;        /* r e^{iw} */
    double gain_re, gain_im;        /* g */
    double own_scale;               /* 2 p / (p^2 - |q|^2) */
    double mirror_re, mirror_im;    /* 2 q / (p^2 - |q|^2) */
} resonator;

struct rs_resonators {
    size_t channels, bands;
    double rate_hz;
    resonator at[];
};

static int within(double value, double below)
{
    return value > 0.0 && value < below;
}

/* The pole radius whose -3 dB points lie bandwidth apart: |1 - r e^{id}|^2 = 2 (1 - r)^2 with
 * d = pi bandwidth / rate gives q^2 + 2 q sin(d/2) - 1 = 0 for q = sqrt(r). */
static void set_memory(resonator *one, double bandwidth_hz, double rate_hz)
{
    const double s = sin(0.5 * PI * bandwidth_hz / rate_hz);
    const double q = sqrt(s * s + 1.0) - s;
    one->decay = q * q;
}

/* (1 - r) / (1 - r e^{iw}) */
static void weigh_turning(double decay, double w, double *re, double *im)
{
    const double below_re = 1.0 - decay * cos(w), below_im = -decay * sin(w);
    const double scale = (1.0 - decay) / (below_re * below_re + below_im * below_im);
    *re = below_re * scale;
    *im = -below_im * scale;
}

static void set_centre(resonator *one, double freq_hz, double rate_hz)
{
    const double w = 2.0 * PI * freq_hz / rate_hz, r = one->decay;
    double s_re, s_im, h_re, h_im;
    weigh_turning(r, w, &s_re, &s_im);
    weigh_turning(r, 2.0 * w, &h_re, &h_im);
    const double p = 1.0 - s_re * s_re - s_im * s_im;
    const double q_re = h_re - (s_re * s_re - s_im * s_im), q_im = h_im - 2.0 * s_re * s_im;
    const double scale = 2.0 / (p * p - q_re * q_re - q_im * q_im);
    one->turn_re = r * cos(w);
    one->turn_im = r * sin(w);
    one->gain_re = (1.0 - r) * (1.0 - s_re);
    one->gain_im = (1.0 - r) * -s_im;
    one->own_scale = scale * p;
    one->mirror_re = scale * q_re;
    one->mirror_im = scale * q_im;
}

rs_resonators *rs_resonators_new(size_t channels, size_t bands, double rate_hz,
                                 const double *freq_hz, const double *bandwidth_hz)
{
    if (channels == 0 || bands == 0 || !(rate_hz > 0.0) || isinf(rate_hz)
        || channels > (SIZE_MAX / 2) / sizeof(resonator) / bands)
        return NULL;
    for (size_t b = 0; b < bands; b++)
        if (!within(freq_hz[b], rate_hz / 2) || !within(bandwidth_hz[b], rate_hz / 2))
            return NULL;
    rs_resonators *bank = calloc(1, sizeof *bank + channels * bands * sizeof(resonator));
    if (bank == NULL)
        return NULL;
    bank->channels = channels;
    bank->bands = bands;
    bank->rate_hz = rate_hz;
    for (size_t i = 0; i < channels * bands; i++) {
        set_memory(&bank->at[i], bandwidth_hz[i % bands], rate_hz);
        set_centre(&bank->at[i], freq_hz[i % bands], rate_hz);
    }
    return bank;
}

void rs_resonators_free(rs_resonators *bank)
{
    free(bank);
}

void rs_resonators_retune(rs_resonators *bank, const double *freq_hz)
{
    for (size_t i = 0; i < bank->channels * bank->bands; i++)
        set_centre(&bank->at[i], freq_hz[i], bank->rate_hz);
}

static void fit(const resonator *one, double *re, double *im)
{
    *re = one->own_scale * one->re - one->mirror_re * one->re - one->mirror_im * one->im;
    *im = one->own_scale * one->im - one->mirror_im * one->re + one->mirror_re * one->im;
}

static void advance(resonator *one, double x)
{
    if (!one->started) {
        one->started = 1;
        one->mean = x;
    }
    const double forget = 1.0 - one->decay;
    const double d = x - one->mean;
    const double re = one->turn_re * one->re - one->turn_im * one->im;
    const double im = one->turn_re * one->im + one->turn_im * one->re;
    one->re = re + one->gain_re * d;
    one->im = im + one->gain_im * d;
    one->mean += forget * d;
    one->variance = one->decay * (one->variance + forget * d * d);
}

static void coast(resonator *one)
{
    const double re = one->turn_re * one->re - one->turn_im * one->im;
    one->im = one->turn_re * one->im + one->turn_im * one->re;
    one->re = re;
    one->variance *= one->decay;
}

void rs_resonators_process(rs_resonators *bank, size_t frames, const double *x,
                           const uint8_t *valid, double *phasors)
{
    const size_t bands = bank->bands;
    for (size_t n = 0; n < frames; n++) {
        for (size_t c = 0; c < bank->channels; c++) {
            const size_t sample = n * bank->channels + c;
            for (size_t b = 0; b < bands; b++) {
                resonator *one = &bank->at[c * bands + b];
                if (valid == NULL || valid[sample])
                    advance(one, x[sample]);
                else
                    coast(one);
                double *out = phasors + 2 * (sample * bands + b);
                fit(one, &out[0], &out[1]);
            }
        }
    }
    for (size_t i = 0; i < bank->channels * bands; i++) {
        resonator *one = &bank->at[i];
        if (fabs(one->re) + fabs(one->im) < SILENCE)
            one->re = one->im = 0.0;
        if (one->variance < SILENCE)
            one->variance = 0.0;
    }
}

void rs_resonators_state(const rs_resonators *bank, double *phasor, double *confidence)
{
    for (size_t i = 0; i < bank->channels * bank->bands; i++) {
        const resonator *one = &bank->at[i];
        fit(one, &phasor[2 * i], &phasor[2 * i + 1]);
        const double explained = phasor[2 * i] * one->re + phasor[2 * i + 1] * one->im;
        const double share = one->variance > 0.0 ? explained / one->variance : 0.0;
        /* Only rounding, and a retune, whose old state belongs to another centre, leave 0..1. */
        confidence[i] = share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share;
    }
}
