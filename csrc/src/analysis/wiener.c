/*
 * A band's phasor from the past alone: see resonance/wiener.h.
 *
 * From spectrum to weights. Let P(f) be the one-sided power at frequency f, A(f) the zero-phase response of the band
 * and t the middle of the newest step, whose last sample is d later. Then with k in steps of 1 / r seconds
 *
 *     R[k] = sum over f of P cos(2 pi f k / r)
 *     c[k] = sum over f of P A e^{2 pi i f (k / r + d + lead)}
 *
 * because z turns forwards only: of a cosine of power P it holds 2 A times one half. R is a covariance by
 * construction, whatever P, so Levinson's recursion cannot fail but by rounding; a thousandth of white noise beside
 * it keeps that away and the weights small. E|z|^2 is 2 sum P A^2, and conj(h) c of it is explained.
 *
 * The periodograms' windows are twice as long as the weights reach, and overlap by three quarters. Twice as many
 * frequencies are computed as a window has of its own: the sums above then are those of its samples, without the
 * ends meeting.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"
#include "simd.h"

RS_FUSED

static const double PI = 3.14159265358979323846;
static const double STEPS_PER_PERIOD = 12.5;    /* of the shortest one in the band */
/* How far back the weights reach: periods of low_hz, and times 1 / width of the band. In units of that: */
static const double PERIODS = 2.0, WIDTHS = 6.0;
static const double WINDOW = 2.0;               /* of a periodogram, */
static const double EVERY = 0.5;                /* and between two */
static const double MEAN = 2.5;                 /* of the running mean */
static const double NARROWEST = 1.2, WIDEST = 20.0; /* bands, high_hz / low_hz */
static const double PRIOR = 10.0;               /* the first spectrum weighs like so many periodograms */
static const double CORNER = 1.4;               /* of the first spectrum, in units of low_hz */
static const double WHITE = 1e-3;               /* share of noise added */

typedef struct {
    double *power;              /* [bins], sums of decaying weight */
    double *weights;            /* complex [taps]: h */
    double *past;               /* [window]: deviations of the newest steps, a ring */
    uint8_t *seen;              /* [window]: was there a whole step? */
    double confidence, norm;    /* of the weights: conj(h) c / E|z|^2, sum |h|^2 */
    double variance;            /* E|z|^2 */
    double sum;                 /* of the step in the making, */
    int whole;                  /* of which no sample is missing */
    double mean;                /* of the recent past */
    int started;                /* is there a mean? */
    double learned;             /* weight of the periodograms in `power`, 0 before the first */
} listener;

struct rs_wiener {
    size_t channels, hop, taps, window, bins, every;
    size_t slot, filled, steps; /* in the rings; of the running step; since the last periodogram */
    double pull, decay, largest;
    double *cosine;             /* [taps, bins] */
    double *target;             /* complex [taps, bins]: with A */
    double *wave;               /* complex [bins, window], windowed */
    double *gain;               /* [bins]: A */
    double *prior;              /* [bins]: the first spectrum */
    double *covariance, *cross, *predictor, *mirror, *segment;  /* scratch */
    listener *at;
};

static double *doubles(size_t a, size_t b)
{
    return b != 0 && a > SIZE_MAX / 16 / b ? NULL : calloc(a * b, sizeof(double));
}

static size_t whole_steps(double seconds, double step_hz)
{
    return (size_t)ceil(seconds * step_hz);
}

/* |H|^2 of the band-pass: what it does forwards and backwards. */
static double band(double f, double low, double high)
{
    const double off = (f * f - low * high) / (f * (high - low));
    return 1.0 / (1.0 + off * off * off * off);
}

static void make_tables(rs_wiener *w, double step_hz, double bin_hz, double low, double high, double ahead_s)
{
    const double corner = CORNER * low;
    double square = 0.0;
    for (size_t t = 0; t < w->window; t++) {
        const double s = sin(PI * ((double)t + 1.0) / ((double)w->window + 1.0));
        square += s * s * s * s;
    }
    for (size_t b = 0; b < w->bins; b++) {
        const double f = bin_hz * (double)(b + 1), turn = 2.0 * PI * f / step_hz;
        w->gain[b] = band(f, low, high);
        w->prior[b] = 1.0 / (f * f + corner * corner);
        for (size_t k = 0; k < w->taps; k++) {
            const double angle = turn * (double)k + 2.0 * PI * f * ahead_s;
            w->cosine[k * w->bins + b] = cos(turn * (double)k);
            w->target[2 * (k * w->bins + b)] = w->gain[b] * cos(angle);
            w->target[2 * (k * w->bins + b) + 1] = w->gain[b] * sin(angle);
        }
        for (size_t t = 0; t < w->window; t++) {
            const double s = sin(PI * ((double)t + 1.0) / ((double)w->window + 1.0));
            const double size = s * s / sqrt(square * (double)w->bins);
            w->wave[2 * (b * w->window + t)] = size * cos(turn * (double)t);
            w->wave[2 * (b * w->window + t) + 1] = -size * sin(turn * (double)t);
        }
    }
}

RS_CLONES
static double product(const double *a, const double *b, size_t n)
{
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++)
            lane[l] += a[i + l] * b[i + l];
    double sum = 0.0;
    for (size_t l = 0; l < 8; l++)
        sum += lane[l];
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* re and im: sums of a with the real and the imaginary parts of b. */
RS_CLONES
static void complex_product(const double *a, const double *b, size_t n, double *re, double *im)
{
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t l = 0; l < 8; l++)
            lane[l] += a[i + l / 2] * b[2 * i + l];
    *re = lane[0] + lane[2] + lane[4] + lane[6];
    *im = lane[1] + lane[3] + lane[5] + lane[7];
    for (; i < n; i++) {
        *re += a[i] * b[2 * i];
        *im += a[i] * b[2 * i + 1];
    }
}

/* Levinson's recursion for R h = c, R[j - k] = r[|j - k|]; -1 where rounding leaves no covariance. */
static int solve(const rs_wiener *w, const double *r, const double *c, double *h)
{
    double *a = w->predictor, *mirror = w->mirror;
    double error = r[0];
    if (!(error > 0.0))
        return -1;
    a[0] = 1.0;
    h[0] = c[0] / error;
    h[1] = c[1] / error;
    for (size_t i = 1; i < w->taps; i++) {
        double missed = 0.0, re = c[2 * i], im = c[2 * i + 1];
        for (size_t j = 0; j < i; j++) {
            missed += a[j] * r[i - j];
            re -= h[2 * j] * r[i - j];
            im -= h[2 * j + 1] * r[i - j];
        }
        const double reflection = -missed / error;
        error *= 1.0 - reflection * reflection;
        if (!(error > 0.0))
            return -1;
        a[i] = 0.0;
        for (size_t j = 0; j <= i; j++)
            mirror[j] = a[j] + reflection * a[i - j];
        memcpy(a, mirror, (i + 1) * sizeof *a);
        re /= error;
        im /= error;
        h[2 * i] = h[2 * i + 1] = 0.0;
        for (size_t j = 0; j <= i; j++) {
            h[2 * j] += re * a[i - j];
            h[2 * j + 1] += im * a[i - j];
        }
    }
    return 0;
}

/* The weights for a spectrum, the sum of so many; should they not come out, the old ones stay. */
static void design(const rs_wiener *w, listener *one, const double *power, double weight)
{
    double *r = w->covariance, *c = w->cross;
    double all = 0.0;
    for (size_t b = 0; b < w->bins; b++)
        all += power[b] * w->gain[b] * w->gain[b];
    for (size_t k = 0; k < w->taps; k++) {
        r[k] = product(power, w->cosine + k * w->bins, w->bins);
        complex_product(power, w->target + 2 * k * w->bins, w->bins, &c[2 * k], &c[2 * k + 1]);
    }
    r[0] *= 1.0 + WHITE;
    double *fresh = w->segment;     /* [2 max(taps, window)] */
    if (!(all > 0.0) || solve(w, r, c, fresh) != 0)
        return;
    double explained = 0.0, norm = 0.0;
    for (size_t k = 0; k < 2 * w->taps; k++) {
        explained += fresh[k] * c[k];
        norm += fresh[k] * fresh[k];
    }
    memcpy(one->weights, fresh, 2 * w->taps * sizeof *fresh);
    one->norm = norm;
    one->confidence = fmin(fmax(explained / (2.0 * all), 0.0), 1.0);
    one->variance = 2.0 * all / weight;
}

rs_wiener *rs_wiener_new(size_t channels, double rate_hz, double low_hz, double high_hz, double lead_s,
                         double memory_s, double largest)
{
    if (channels == 0 || channels > SIZE_MAX / 64 / sizeof(listener) || !(rate_hz > 0.0) || isinf(rate_hz)
        || !(low_hz > 0.0) || !(high_hz >= NARROWEST * low_hz) || !(high_hz <= WIDEST * low_hz)
        || !(high_hz <= rate_hz / 10.0) || !(lead_s >= 0.0) || !(lead_s <= 1.0 / high_hz)
        || !(memory_s > 0.0) || isinf(memory_s) || !(largest > 0.0))
        return NULL;
    const double span_s = fmax(PERIODS / low_hz, WIDTHS / (high_hz - low_hz)), window_s = WINDOW * span_s;
    if (memory_s < window_s)
        return NULL;
    rs_wiener *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    const double hop = fmax(1.0, floor(rate_hz / (STEPS_PER_PERIOD * high_hz)));
    const double step_hz = rate_hz / hop;
    w->channels = channels;
    w->hop = (size_t)hop;
    const double bin_hz = 0.5 / window_s;
    w->taps = whole_steps(span_s, step_hz);
    w->window = whole_steps(window_s, step_hz);
    w->every = whole_steps(EVERY * span_s, step_hz);
    w->bins = (size_t)ceil(step_hz / 2.0 / bin_hz) - 1;
    w->pull = 1.0 / (MEAN * span_s * step_hz);
    w->decay = exp(-EVERY * span_s / memory_s);
    w->largest = largest;
    w->cosine = doubles(w->taps, w->bins);
    w->target = doubles(w->taps, 2 * w->bins);
    w->wave = doubles(w->bins, 2 * w->window);
    w->gain = doubles(w->bins, 1);
    w->prior = doubles(w->bins, 1);
    w->covariance = doubles(w->taps, 1);
    w->cross = doubles(w->taps, 2);
    w->predictor = doubles(w->taps, 1);
    w->mirror = doubles(w->taps, 1);
    w->segment = doubles(w->window, 2);
    w->at = calloc(channels, sizeof *w->at);
    int complete = w->cosine && w->target && w->wave && w->gain && w->prior && w->covariance && w->cross
                   && w->predictor && w->mirror && w->segment && w->at;
    for (size_t i = 0; complete && i < channels; i++) {
        listener *one = &w->at[i];
        one->power = doubles(w->bins, 1);
        one->weights = doubles(w->taps, 2);
        one->past = doubles(w->window, 1);
        one->seen = calloc(w->window, 1);
        one->whole = 1;
        complete = one->power && one->weights && one->past && one->seen;
    }
    if (!complete) {
        rs_wiener_free(w);
        return NULL;
    }
    make_tables(w, step_hz, bin_hz, low_hz, high_hz, lead_s + (hop - 1.0) / 2.0 / rate_hz);
    for (size_t i = 0; i < channels; i++)
        design(w, &w->at[i], w->prior, 0.0);
    return w;
}

void rs_wiener_free(rs_wiener *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; w->at != NULL && i < w->channels; i++) {
        free(w->at[i].power);
        free(w->at[i].weights);
        free(w->at[i].past);
        free(w->at[i].seen);
    }
    free(w->cosine);
    free(w->target);
    free(w->wave);
    free(w->gain);
    free(w->prior);
    free(w->covariance);
    free(w->cross);
    free(w->predictor);
    free(w->mirror);
    free(w->segment);
    free(w->at);
    free(w);
}

size_t rs_wiener_hop(const rs_wiener *w)
{
    return w->hop;
}

/* One more periodogram, of the last window, if nothing is missing in it. */
static void learn(rs_wiener *w, listener *one)
{
    double *segment = w->segment, mean = 0.0;
    for (size_t t = 0; t < w->window; t++) {
        if (!one->seen[t])
            return;
        segment[t] = one->past[(w->slot + t) % w->window];
        mean += segment[t];
    }
    mean /= (double)w->window;
    for (size_t t = 0; t < w->window; t++)
        segment[t] -= mean;
    double sum = 0.0, of_prior = 0.0;
    for (size_t b = 0; b < w->bins; b++) {
        double re, im;
        complex_product(segment, w->wave + 2 * b * w->window, w->window, &re, &im);
        const double power = re * re + im * im;
        sum += power;
        one->power[b] = one->power[b] * w->decay + power;
        of_prior += w->prior[b];
    }
    one->learned = one->learned * w->decay + 1.0;
    if (one->learned == 1.0) {
        /* Only now it is known how large the first spectrum should be. */
        one->learned += PRIOR;
        for (size_t b = 0; b < w->bins; b++)
            one->power[b] += PRIOR * w->prior[b] * sum / of_prior;
    }
    design(w, one, one->power, one->learned);
}

/* Takes the finished step into the past, and estimates. */
static void step(rs_wiener *w, listener *one, double *phasor, double *confidence, double *error)
{
    const int whole = one->whole;
    const double value = one->sum / (double)w->hop;
    if (whole) {
        one->mean = one->started ? one->mean + w->pull * (value - one->mean) : value;
        one->started = 1;
    }
    one->past[w->slot] = whole ? value : one->mean;
    one->seen[w->slot] = (uint8_t)whole;
    double re = 0.0, im = 0.0, norm = 0.0;
    size_t at = w->slot;
    for (size_t k = 0; k < w->taps; k++) {
        const double *h = one->weights + 2 * k;
        if (one->seen[at]) {
            const double d = one->past[at] - one->mean;
            re += h[0] * d;
            im += h[1] * d;
            norm += h[0] * h[0] + h[1] * h[1];
        }
        at = at == 0 ? w->window - 1 : at - 1;
    }
    phasor[0] = re;
    phasor[1] = im;
    *confidence = one->norm > 0.0 ? one->confidence * fmin(norm / one->norm, 1.0) : 0.0;
    *error = sqrt(one->variance * (1.0 - *confidence));
    one->sum = 0.0;
    one->whole = 1;
}

size_t rs_wiener_process(rs_wiener *w, size_t frames, const double *x, const uint8_t *valid, double *phasors,
                         double *confidence, double *error)
{
    size_t done = 0;
    for (size_t n = 0; n < frames; n++) {
        for (size_t c = 0; c < w->channels; c++) {
            listener *one = &w->at[c];
            const size_t i = n * w->channels + c;
            if ((valid == NULL || valid[i]) && fabs(x[i]) <= w->largest) {
                one->sum += x[i];
            } else {
                one->whole = 0;
            }
        }
        if (++w->filled < w->hop)
            continue;
        w->filled = 0;
        for (size_t c = 0; c < w->channels; c++) {
            const size_t i = done * w->channels + c;
            step(w, &w->at[c], phasors + 2 * i, confidence + i, error + i);
        }
        done++;
        w->slot = (w->slot + 1) % w->window;
        if (++w->steps == w->every) {
            w->steps = 0;
            for (size_t c = 0; c < w->channels; c++)
                learn(w, &w->at[c]);
        }
    }
    return done;
}
