/* A- and K-weighting: see weighting.h. */
#include "simd.h"
RS_FUSED

#include "weighting.h"

#include <math.h>
#include <stdlib.h>

#include "kaiser.h"
#include "resonance.h"

/* IEC 61672-1:2013, Annex E. */
static const double A_LOW_HZ = 20.598997;      /* a double pole */
static const double A_SECOND_HZ = 107.65265;
static const double A_THIRD_HZ = 737.86223;
static const double A_HIGH_HZ = 12194.217;     /* a double pole */
static const double REFERENCE_HZ = 1000.0;     /* 0 dB here */

/* The analog filters whose bilinear transforms are BS.1770-4's coefficients at 48 kHz. */
static const double K_SHELF_HZ = 1681.974450955533, K_SHELF_Q = 0.7071752369554196;
static const double K_SHELF_GAIN = 1.58486470113;   /* 3.9998 dB: 10^(dB / 20) */
static const double K_SHELF_MIDDLE = 0.4996667741545416;    /* power of the gain at the shelf's frequency */
static const double K_HIGH_PASS_HZ = 38.13547087602444, K_HIGH_PASS_Q = 0.5003270373238773;

/* States below this are 0: denormal numbers are slow, and nobody hears them. */
static const double SILENT = 1e-30;

enum { PART = 32 };     /* frames that are turned from rows into columns at a time */

typedef double wide __attribute__((vector_size(RS_LANES * sizeof(double))));

/* First-order high-passes at two frequencies, by the bilinear transform; warping hardly shows as the response is
 * flat where it would. */
static void two_high_passes(double *b, double *a, double one_hz, double other_hz, double rate_hz)
{
    const double one = tan(RS_PI * one_hz / rate_hz), other = tan(RS_PI * other_hz / rate_hz);
    const double p = (1.0 - one) / (1.0 + one), q = (1.0 - other) / (1.0 + other);
    const double gain = (1.0 + p) * (1.0 + q) / 4.0;
    b[0] = gain;
    b[1] = -2.0 * gain;
    b[2] = gain;
    a[0] = -(p + q);
    a[1] = p * q;
}

/* Two first-order low-passes at a frequency near the Nyquist frequency. The bilinear transform would have a zero
 * there, 20 dB too low at 12.5 kHz of 32. So pole and zero are placed such that the magnitude is the analog filter's
 * at 0, at the Nyquist frequency and at 5/8 of it. With u = tan^2(w / 2) and k = ((1 + p) / (1 - p))^2 the square of
 * the magnitude is (1 + k m u) / (1 + k u), m being its value at the Nyquist frequency; that gives k, and k the pole. */
static void two_low_passes(double *b, double *a, double hz, double rate_hz)
{
    const double nyquist = 0.5 * rate_hz / hz, middle = 0.625 * nyquist;
    const double at_nyquist = 1.0 / (1.0 + nyquist * nyquist), at_middle = 1.0 / (1.0 + middle * middle);
    const double u = tan(0.5 * RS_PI * 0.625) * tan(0.5 * RS_PI * 0.625);
    const double root = sqrt((1.0 - at_middle) / (u * (at_middle - at_nyquist)));
    const double p = (root - 1.0) / (root + 1.0);
    const double sum = 1.0 - p, difference = (1.0 + p) * sqrt(at_nyquist);
    const double b0 = 0.5 * (sum + difference), b1 = 0.5 * (sum - difference);
    b[0] = b0 * b0;
    b[1] = 2.0 * b0 * b1;
    b[2] = b1 * b1;
    a[0] = -2.0 * p;
    a[1] = p * p;
}

static double gain_at(const rs_weighting *filter, double hz, double rate_hz)
{
    const double c1 = cos(2.0 * RS_PI * hz / rate_hz), s1 = -sin(2.0 * RS_PI * hz / rate_hz);
    const double c2 = c1 * c1 - s1 * s1, s2 = 2.0 * s1 * c1;
    double gain = 1.0;
    for (int s = 0; s < RS_SECTIONS; s++) {
        const double *b = filter->b[s], *a = filter->a[s];
        gain *= hypot(b[0] + b[1] * c1 + b[2] * c2, b[1] * s1 + b[2] * s2)
                / hypot(1.0 + a[0] * c1 + a[1] * c2, a[0] * s1 + a[1] * s2);
    }
    return gain;
}

static void a_weighting(rs_weighting *filter, double rate_hz)
{
    two_high_passes(filter->b[0], filter->a[0], A_LOW_HZ, A_LOW_HZ, rate_hz);
    two_high_passes(filter->b[1], filter->a[1], A_SECOND_HZ, A_THIRD_HZ, rate_hz);
    two_low_passes(filter->b[2], filter->a[2], A_HIGH_HZ, rate_hz);
    const double gain = gain_at(filter, REFERENCE_HZ, rate_hz);
    for (int i = 0; i < 3; i++)
        filter->b[2][i] /= gain;
}

static void k_weighting(rs_weighting *filter, double rate_hz)
{
    double k = tan(RS_PI * K_SHELF_HZ / rate_hz);
    double scale = 1.0 + k / K_SHELF_Q + k * k;
    const double middle = pow(K_SHELF_GAIN, K_SHELF_MIDDLE);
    filter->b[0][0] = (K_SHELF_GAIN + middle * k / K_SHELF_Q + k * k) / scale;
    filter->b[0][1] = 2.0 * (k * k - K_SHELF_GAIN) / scale;
    filter->b[0][2] = (K_SHELF_GAIN - middle * k / K_SHELF_Q + k * k) / scale;
    filter->a[0][0] = 2.0 * (k * k - 1.0) / scale;
    filter->a[0][1] = (1.0 - k / K_SHELF_Q + k * k) / scale;

    k = tan(RS_PI * K_HIGH_PASS_HZ / rate_hz);
    scale = 1.0 + k / K_HIGH_PASS_Q + k * k;
    filter->b[1][0] = 1.0;
    filter->b[1][1] = -2.0;
    filter->b[1][2] = 1.0;
    filter->a[1][0] = 2.0 * (k * k - 1.0) / scale;
    filter->a[1][1] = (1.0 - k / K_HIGH_PASS_Q + k * k) / scale;

    filter->b[2][0] = 1.0;
}

int rs_weighting_init(rs_weighting *filter, char weighting, double rate_hz)
{
    *filter = (rs_weighting){0};
    if (weighting == 'A')
        a_weighting(filter, rate_hz);
    else if (weighting == 'K')
        k_weighting(filter, rate_hz);
    else
        return -1;
    return 0;
}

RS_CLONES static void weigh(const rs_weighting *filter, size_t frames, const float *const *x, double *state,
                            double *sum)
{
    wide total = {0}, first[RS_SECTIONS], second[RS_SECTIONS];
    for (int s = 0; s < RS_SECTIONS; s++) {
        memcpy(&first[s], state + (2 * s) * RS_LANES, sizeof first[s]);
        memcpy(&second[s], state + (2 * s + 1) * RS_LANES, sizeof second[s]);
    }
    for (size_t start = 0; start < frames; start += PART) {
        const size_t part = frames - start < PART ? frames - start : PART;
        float column[PART][RS_LANES];
        for (int l = 0; l < RS_LANES; l++) {
            const float *row = x[l] + start;
            for (size_t k = 0; k < part; k++) {
                /* x - x is 0 for numbers only. */
                column[k][l] = row[k] - row[k] == 0.0f ? row[k] : 0.0f;
            }
        }
        for (size_t k = 0; k < part; k++) {
            wide y;
            for (int l = 0; l < RS_LANES; l++)
                y[l] = (double)column[k][l];
            for (int s = 0; s < RS_SECTIONS; s++) {
                const wide in = y;
                y = filter->b[s][0] * in + first[s];
                first[s] = filter->b[s][1] * in - filter->a[s][0] * y + second[s];
                second[s] = filter->b[s][2] * in - filter->a[s][1] * y;
            }
            total += y * y;
        }
    }
    for (int s = 0; s < RS_SECTIONS; s++)
        for (int l = 0; l < RS_LANES; l++) {
            state[(2 * s) * RS_LANES + l] = fabs(first[s][l]) < SILENT ? 0.0 : first[s][l];
            state[(2 * s + 1) * RS_LANES + l] = fabs(second[s][l]) < SILENT ? 0.0 : second[s][l];
        }
    memcpy(sum, &total, sizeof total);
}

void rs_weighting_run(const rs_weighting *filter, size_t frames, const float *const x[RS_LANES], double *state,
                      double *sum)
{
    weigh(filter, frames, x, state, sum);
}

/* ---- the meter of resonance.h: sounds of any number, 16 at a time ---- */

struct rs_meter {
    size_t sounds, groups;
    rs_weighting filter;
    double *state;          /* [groups, RS_SECTIONS, 2, RS_LANES] */
    float *side;            /* [RS_LANES, PART] */
};

rs_meter *rs_meter_new(size_t sounds, double rate_hz, char weighting)
{
    if (sounds == 0 || sounds > SIZE_MAX / 4096 || !(rate_hz >= RS_METER_LEAST_HZ) || rate_hz > RS_METER_MOST_HZ)
        return NULL;
    rs_meter *meter = calloc(1, sizeof *meter);
    if (meter == NULL)
        return NULL;
    meter->sounds = sounds;
    meter->groups = (2 * sounds + RS_LANES - 1) / RS_LANES;
    meter->state = calloc(meter->groups, RS_SECTIONS * 2 * RS_LANES * sizeof *meter->state);
    meter->side = calloc(RS_LANES, PART * sizeof *meter->side);
    if (!meter->state || !meter->side || rs_weighting_init(&meter->filter, weighting, rate_hz)) {
        rs_meter_free(meter);
        return NULL;
    }
    return meter;
}

void rs_meter_free(rs_meter *meter)
{
    if (meter == NULL)
        return;
    free(meter->state);
    free(meter->side);
    free(meter);
}

void rs_meter_process(rs_meter *meter, size_t frames, const float *x, double *energy)
{
    const float *side[RS_LANES];
    for (int l = 0; l < RS_LANES; l++)
        side[l] = meter->side + l * PART;
    for (size_t group = 0; group < meter->groups; group++) {
        const size_t first = group * (RS_LANES / 2);
        const size_t here = meter->sounds - first < RS_LANES / 2 ? meter->sounds - first : RS_LANES / 2;
        double total[RS_LANES] = {0};
        memset(meter->side, 0, RS_LANES * PART * sizeof *meter->side);
        for (size_t start = 0; start < frames; start += PART) {
            const size_t part = frames - start < PART ? frames - start : PART;
            for (size_t i = 0; i < here; i++) {
                const float *pair = x + 2 * ((first + i) * frames + start);
                for (size_t k = 0; k < part; k++) {
                    meter->side[(2 * i) * PART + k] = pair[2 * k];
                    meter->side[(2 * i + 1) * PART + k] = pair[2 * k + 1];
                }
            }
            double sum[RS_LANES];
            rs_weighting_run(&meter->filter, part, side, meter->state + group * RS_SECTIONS * 2 * RS_LANES, sum);
            for (int l = 0; l < RS_LANES; l++)
                total[l] += sum[l];
        }
        for (size_t i = 0; i < here; i++)
            energy[first + i] = total[2 * i] + total[2 * i + 1];
    }
}
