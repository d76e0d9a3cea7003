/*
 * The endpoint-corrected Hilbert transform as a dot product: see resonance.h for what it promises.
 *
 * Why one dot product is the whole transform. Fourier transform, doubling of positive frequencies, multiplication
 * with a filter's response and the inverse transform are all linear, and of the result only the last sample is
 * wanted. With k the bins and m the age of a sample in a window of N, that sample is
 *
 *     sum over m of h[m] x[m],     h[m] = 1/N sum over k of A[k] H[k] e^{2 pi i k m / N}
 *
 * with A = 2 for positive frequencies. H is the response of the causal band-pass: it makes the window's ends, where a
 * Hilbert transform rings, meet as if the filter had run over them.
 *
 * Why it is then exact at the centre. A tone of phasor a gives a G + conj(a) G' with two known numbers, the gain at
 * the centre and the leakage from the mirror image at minus the centre. Written for the real and imaginary part this
 * is a matrix of 2 by 2; its inverse, multiplied into h once and for all, leaves a. H is 0 at 0 Hz, so a constant
 * gives nothing.
 *
 * Where samples are missing, the sums run over the others. Then the constant no longer vanishes, and the gain is
 * another one: with the mean as a third sum there are three equations for a's two parts and the constant, solved anew
 * for this window. A tone at the centre stays exact, whatever is missing.
 */
#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"
#include "simd.h"

RS_FUSED

static const double PI = 3.14159265358979323846;
static const double LEAST_HEARD = 0.25;   /* of the window's weight, for a phasor to be given */
static const double LEAST_VOLUME = 1e-3;  /* determinant, 1 where nothing is missing, below which nothing is solved */
enum { TOGETHER = 16, LANES = 32, PARTS = 16 }; /* frames that share a pass; parts of one frame's sum, or sums */

typedef struct {
    double *re, *im;     /* [window], oldest first: the calibrated h */
    double *cosine, *sine, *weight;  /* [window], oldest first: a tone at the centre; |h|, of sum 1 */
} band;

struct rs_hilbert {
    size_t channels, bands, window;
    size_t room, used;   /* of a channel's past: samples that fit, and that are there */
    double *past;        /* [channels, room] */
    double *heard;       /* [channels, room]: 1, or 0 where a sample is missing */
    size_t *missing;     /* [channels]: among the newest window - 1 samples */
    double *memory;
    band at[];
};

/* Butterworth's band-pass of order 2 by the bilinear transform, at w radians a sample. */
static double complex response(double w, double low, double high)
{
    const double at = tan(0.5 * w), from = tan(0.5 * low), to = tan(0.5 * high);
    const double complex s = I * (at * at - from * to) / (at * (to - from));
    return 1.0 / (s * s + sqrt(2.0) * s + 1.0);
}

static void make_band(band *one, size_t window, double low, double high, const double complex *root)
{
    const double centre = 2.0 * atan(sqrt(tan(0.5 * low) * tan(0.5 * high)));
    for (size_t m = 0; m < window; m++)
        one->re[m] = one->im[m] = 0.0;
    for (size_t k = 1; 2 * k < window; k++) {
        const double complex bin
            = 2.0 / (double)window * response(2.0 * PI * (double)k / (double)window, low, high);
        for (size_t m = 0, at = 0; m < window; m++) {
            const double complex term = bin * root[at];
            one->re[window - 1 - m] += creal(term);
            one->im[window - 1 - m] += cimag(term);
            at += k;
            if (at >= window)
                at -= window;
        }
    }
    double re_c = 0.0, re_s = 0.0, im_c = 0.0, im_s = 0.0;
    for (size_t i = 0; i < window; i++) {
        const double angle = centre * (double)(window - 1 - i);
        one->cosine[i] = cos(angle);
        one->sine[i] = sin(angle);
        re_c += one->re[i] * one->cosine[i];
        re_s += one->re[i] * one->sine[i];
        im_c += one->im[i] * one->cosine[i];
        im_s += one->im[i] * one->sine[i];
    }
    const double volume = re_c * im_s - re_s * im_c;
    double sum = 0.0;
    for (size_t i = 0; i < window; i++) {
        const double re = one->re[i], im = one->im[i];
        one->re[i] = (im_s * re - re_s * im) / volume;
        one->im[i] = (re_c * im - im_c * re) / volume;
        one->weight[i] = hypot(one->re[i], one->im[i]);
        sum += one->weight[i];
    }
    for (size_t i = 0; i < window; i++)
        one->weight[i] /= sum;
}

rs_hilbert *rs_hilbert_new(size_t channels, size_t bands, size_t window, double rate_hz,
                           const double *low_hz, const double *high_hz)
{
    const size_t most = SIZE_MAX / 64;
    if (channels == 0 || bands == 0 || window < 8 || !(rate_hz > 0.0) || isinf(rate_hz)
        || window > RS_HILBERT_MOST || channels > most / (2 * window + TOGETHER) || bands > most / sizeof(band)
        || bands > most / 5 / window)
        return NULL;
    for (size_t b = 0; b < bands; b++)
        if (!(low_hz[b] > 0.0 && low_hz[b] < high_hz[b] && high_hz[b] < rate_hz / 2)
            || !((double)window * (high_hz[b] + low_hz[b]) >= 2.0 * rate_hz))
            return NULL;
    rs_hilbert *hilbert = calloc(1, sizeof *hilbert + bands * sizeof(band));
    double complex *root = calloc(window, sizeof *root);
    if (hilbert == NULL || root == NULL) {
        free(hilbert);
        free(root);
        return NULL;
    }
    hilbert->channels = channels;
    hilbert->bands = bands;
    hilbert->window = window;
    hilbert->room = 2 * window + TOGETHER;
    hilbert->used = window;
    hilbert->memory = calloc(2 * channels * hilbert->room + 5 * bands * window, sizeof(double));
    hilbert->missing = calloc(channels, sizeof(size_t));
    if (hilbert->memory == NULL || hilbert->missing == NULL) {
        rs_hilbert_free(hilbert);
        free(root);
        return NULL;
    }
    hilbert->past = hilbert->memory;
    hilbert->heard = hilbert->past + channels * hilbert->room;
    double *next = hilbert->heard + channels * hilbert->room;
    for (size_t k = 0; k < window; k++)
        root[k] = cexp(2.0 * I * PI * (double)k / (double)window);
    for (size_t b = 0; b < bands; b++, next += 5 * window) {
        hilbert->at[b] = (band){next, next + window, next + 2 * window, next + 3 * window, next + 4 * window};
        make_band(&hilbert->at[b], window, 2.0 * PI * low_hz[b] / rate_hz, 2.0 * PI * high_hz[b] / rate_hz,
                  root);
    }
    free(root);
    for (size_t c = 0; c < channels; c++)
        hilbert->missing[c] = window - 1;
    return hilbert;
}

void rs_hilbert_free(rs_hilbert *hilbert)
{
    if (hilbert == NULL)
        return;
    free(hilbert->memory);
    free(hilbert->missing);
    free(hilbert);
}

/* The sums for TOGETHER frames that follow one another: every weight is read once for all of them. */
RS_INLINE void project_many(const band *one, size_t window, const double *x, double *re, double *im)
{
    double sum_re[TOGETHER] = {0}, sum_im[TOGETHER] = {0};
    for (size_t i = 0; i < window; i++)
        for (size_t f = 0; f < TOGETHER; f++) {
            sum_re[f] += one->re[i] * x[i + f];
            sum_im[f] += one->im[i] * x[i + f];
        }
    memcpy(re, sum_re, sizeof sum_re);
    memcpy(im, sum_im, sizeof sum_im);
}

RS_INLINE void project(const band *one, size_t window, const double *x, double *re, double *im)
{
    double sum_re[LANES] = {0}, sum_im[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= window; i += LANES)
        for (size_t f = 0; f < LANES; f++) {
            sum_re[f] += one->re[i + f] * x[i + f];
            sum_im[f] += one->im[i + f] * x[i + f];
        }
    for (; i < window; i++) {
        sum_re[0] += one->re[i] * x[i];
        sum_im[0] += one->im[i] * x[i];
    }
    *re = *im = 0.0;
    for (size_t f = 0; f < LANES; f++) {
        *re += sum_re[f];
        *im += sum_im[f];
    }
}

static double volume_of(double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
         - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
         + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* Three equations for a's parts and the constant, over what is there. */
static void project_the_heard(const band *one, size_t window, const double *x, const double *heard,
                              double *re, double *im)
{
    double m[3][3] = {{0}}, y[3] = {0}, part[2] = {0};
    for (size_t i = 0; i < window; i++) {
        const double row[3] = {heard[i] * one->re[i], heard[i] * one->im[i], heard[i] * one->weight[i]};
        const double tone[3] = {one->cosine[i], one->sine[i], 1.0};
        for (int k = 0; k < 3; k++) {
            for (int j = 0; j < 3; j++)
                m[k][j] += row[k] * tone[j];
            y[k] += row[k] * x[i];
        }
    }
    const double volume = volume_of(m);
    if (m[2][2] >= LEAST_HEARD && fabs(volume) >= LEAST_VOLUME)
        for (int j = 0; j < 2; j++) {
            double with[3][3];
            memcpy(with, m, sizeof with);
            for (int k = 0; k < 3; k++)
                with[k][j] = y[k];
            part[j] = volume_of(with) / volume;
        }
    *re = part[0];
    *im = part[1];
}

/* Of the signal and of what the tone leaves of it, both less the newest sample that came, which keeps squares small. */
typedef struct {
    double there, sum, square, left, left_square;
} window_sums;

RS_INLINE void weigh(const band *one, size_t i, double weight, double d, double re, double im, window_sums *to)
{
    const double e = d - re * one->cosine[i] - im * one->sine[i];
    to->there += weight;
    to->sum += weight * d;
    to->square += weight * d * d;
    to->left += weight * e;
    to->left_square += weight * e * e;
}

/* 1 - what the tone leaves of the variance, times what was there. */
RS_CLONES
static double hilbert_confidence(const band *one, size_t window, const double *x, const double *heard, double re,
                                 double im)
{
    double there[PARTS] = {0}, sum[PARTS] = {0}, square[PARTS] = {0}, left[PARTS] = {0}, left_square[PARTS] = {0};
    window_sums all = {0};
    size_t last = window - 1, i = 0;
    while (last > 0 && heard[last] == 0.0)
        last--;
    const double newest = x[last];
    for (; i + PARTS <= window; i += PARTS)
        for (size_t f = 0; f < PARTS; f++) {
            window_sums part = {there[f], sum[f], square[f], left[f], left_square[f]};
            weigh(one, i + f, heard[i + f] * one->weight[i + f], x[i + f] - newest, re, im, &part);
            there[f] = part.there;
            sum[f] = part.sum;
            square[f] = part.square;
            left[f] = part.left;
            left_square[f] = part.left_square;
        }
    for (; i < window; i++)
        weigh(one, i, heard[i] * one->weight[i], x[i] - newest, re, im, &all);
    for (size_t f = 0; f < PARTS; f++) {
        all.there += there[f];
        all.sum += sum[f];
        all.square += square[f];
        all.left += left[f];
        all.left_square += left_square[f];
    }
    if (!(all.there >= LEAST_HEARD) || (re == 0.0 && im == 0.0))
        return 0.0;
    const double variance = all.square - all.sum * all.sum / all.there;
    const double unexplained = fmax(all.left_square - all.left * all.left / all.there, 0.0);
    return unexplained < variance ? fmin(all.there, 1.0) * (1.0 - unexplained / variance) : 0.0;
}

/* frames that are in the past already: phasors of the channel. */
RS_CLONES
static void project_block(const rs_hilbert *hilbert, size_t channel, size_t frames, double *phasors)
{
    const size_t bands = hilbert->bands, window = hilbert->window, apart = 2 * hilbert->channels * bands;
    const double *x = hilbert->past + channel * hilbert->room + hilbert->used - frames + 1 - window;
    for (size_t b = 0; b < bands; b++) {
        double *out = phasors + 2 * (channel * bands + b);
        size_t n = 0;
        for (; n + TOGETHER <= frames; n += TOGETHER) {
            double re[TOGETHER], im[TOGETHER];
            project_many(&hilbert->at[b], window, x + n, re, im);
            for (size_t f = 0; f < TOGETHER; f++) {
                out[(n + f) * apart] = re[f];
                out[(n + f) * apart + 1] = im[f];
            }
        }
        for (; n < frames; n++)
            project(&hilbert->at[b], window, x + n, &out[n * apart], &out[n * apart + 1]);
    }
}

/* Over the phasors of windows in which something is missing, those of what is there. */
static void mend_block(rs_hilbert *hilbert, size_t channel, size_t frames, double *phasors)
{
    const size_t bands = hilbert->bands, window = hilbert->window, apart = 2 * hilbert->channels * bands;
    const size_t first = channel * hilbert->room + hilbert->used - frames + 1 - window;
    const double *x = hilbert->past + first, *heard = hilbert->heard + first;
    for (size_t n = 0; n < frames; n++) {
        hilbert->missing[channel] += heard[n + window - 1] == 0.0;
        for (size_t b = 0; b < bands && hilbert->missing[channel] > 0; b++) {
            double *out = phasors + n * apart + 2 * (channel * bands + b);
            project_the_heard(&hilbert->at[b], window, x + n, heard + n, &out[0], &out[1]);
        }
        hilbert->missing[channel] -= heard[n] == 0.0;
    }
}

/* After the phasors, how much of each window they explain. */
static void judge_block(const rs_hilbert *hilbert, size_t channel, size_t frames, const double *phasors,
                        double *confidence)
{
    const size_t bands = hilbert->bands, apart = hilbert->channels * bands;
    const size_t first = channel * hilbert->room + hilbert->used - frames + 1 - hilbert->window;
    for (size_t n = 0; n < frames; n++)
        for (size_t b = 0; b < bands; b++) {
            const size_t at = n * apart + channel * bands + b;
            confidence[at] = hilbert_confidence(&hilbert->at[b], hilbert->window, hilbert->past + first + n,
                                           hilbert->heard + first + n, phasors[2 * at], phasors[2 * at + 1]);
        }
}

void rs_hilbert_process(rs_hilbert *hilbert, size_t frames, const double *x, const uint8_t *valid,
                        double *phasors, double *confidence)
{
    const size_t channels = hilbert->channels, room = hilbert->room, keep = hilbert->window - 1;
    while (frames > 0) {
        if (hilbert->used == room) {
            for (size_t c = 0; c < channels; c++) {
                memmove(hilbert->past + c * room, hilbert->past + (c + 1) * room - keep, keep * sizeof(double));
                memmove(hilbert->heard + c * room, hilbert->heard + (c + 1) * room - keep,
                        keep * sizeof(double));
            }
            hilbert->used = keep;
        }
        const size_t some = frames < room - hilbert->used ? frames : room - hilbert->used;
        for (size_t c = 0; c < channels; c++)
            for (size_t n = 0; n < some; n++) {
                const size_t from = n * channels + c, to = c * room + hilbert->used + n;
                const int there = valid == NULL || valid[from];
                hilbert->past[to] = there ? x[from] : 0.0;
                hilbert->heard[to] = there ? 1.0 : 0.0;
            }
        hilbert->used += some;
        for (size_t c = 0; c < channels; c++) {
            project_block(hilbert, c, some, phasors);
            mend_block(hilbert, c, some, phasors);
            if (confidence != NULL)
                judge_block(hilbert, c, some, phasors, confidence);
        }
        frames -= some;
        x += some * channels;
        valid = valid == NULL ? NULL : valid + some * channels;
        phasors += 2 * some * channels * hilbert->bands;
        confidence = confidence == NULL ? NULL : confidence + some * channels * hilbert->bands;
    }
}

void rs_hilbert_state(const rs_hilbert *hilbert, double *phasor, double *confidence)
{
    const size_t bands = hilbert->bands, window = hilbert->window;
    for (size_t c = 0; c < hilbert->channels; c++) {
        const size_t first = c * hilbert->room + hilbert->used - window;
        const double *x = hilbert->past + first, *heard = hilbert->heard + first;
        size_t missing = 0;
        for (size_t i = 0; i < window; i++)
            missing += heard[i] == 0.0;
        for (size_t b = 0; b < bands; b++) {
            double *re = &phasor[2 * (c * bands + b)], *im = re + 1;
            if (missing > 0)
                project_the_heard(&hilbert->at[b], window, x, heard, re, im);
            else
                project(&hilbert->at[b], window, x, re, im);
            confidence[c * bands + b] = hilbert_confidence(&hilbert->at[b], window, x, heard, *re, *im);
        }
    }
}
