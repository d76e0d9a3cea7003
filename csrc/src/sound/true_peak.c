/* True peaks: true_peak.h says why the bound holds. */
#include "simd.h"
RS_FUSED

#include "true_peak.h"

#include <math.h>

#include "kaiser.h"
#include "lanes.h"

static const double KAISER_BETA = 4.0;  /* 45 dB */
static const double CUTOFF = 1.04;      /* of the Nyquist frequency: rather too high a peak than too low a one */
static const double POSITIONS = 8.0;    /* in a frame */

void rs_true_peak_init(rs_true_peak *filter)
{
    const double rise = 1.0 / cos(RS_PI / (2.0 * POSITIONS));
    double most = rise;
    filter->rise = (float)rise;
    for (int p = 0; p < RS_PEAK_PAIRS; p++) {
        const double at = (p + 1) / POSITIONS;
        double before[RS_PEAK_REACH], after[RS_PEAK_REACH], sum = 0.0, magnitudes = 0.0;
        for (int t = 0; t < RS_PEAK_REACH; t++) {
            before[t] = rs_windowed_sinc(t + at, CUTOFF, RS_PEAK_REACH, KAISER_BETA);
            after[t] = rs_windowed_sinc(t + 1 - at, CUTOFF, RS_PEAK_REACH, KAISER_BETA);
            sum += before[t] + after[t];
        }
        for (int t = 0; t < RS_PEAK_REACH; t++) {
            filter->even[p][t] = (float)(rise * 0.5 * (before[t] + after[t]) / sum);
            filter->odd[p][t] = (float)(rise * 0.5 * (before[t] - after[t]) / sum);
            magnitudes += rise * (fabs(before[t]) + fabs(after[t])) / sum;
        }
        most = fmax(most, magnitudes);
    }
    filter->bound = (float)(most * 1.0001);
}

/* top = max(top, |x|), of numbers by their bits: see rs_magnitude. */
#define higher(x, top) \
    do { \
        const rs_lanes value = (x); \
        int32_t bits[RS_LANES]; \
        memcpy(bits, &value, sizeof bits); \
        for (int l = 0; l < RS_LANES; l++) { \
            bits[l] &= INT32_MAX; \
            (top)[l] = bits[l] > (top)[l] ? bits[l] : (top)[l]; \
        } \
    } while (0)

/* One side's 16 gaps from x on, joined with what is in `top`. */
RS_INLINE void gaps(const rs_true_peak *filter, const float *x, int32_t *top)
{
    rs_lanes even[RS_PEAK_PAIRS] = {0}, odd[RS_PEAK_PAIRS - 1] = {0};
    for (int t = 0; t < RS_PEAK_REACH; t++) {
        rs_lanes before, after;
        memcpy(&before, x - t, sizeof before);
        memcpy(&after, x + 1 + t, sizeof after);
        const rs_lanes sum = before + after, difference = before - after;
        for (int p = 0; p < RS_PEAK_PAIRS; p++)
            even[p] += filter->even[p][t] * sum;
        for (int p = 0; p < RS_PEAK_PAIRS - 1; p++)
            odd[p] += filter->odd[p][t] * difference;
    }
    rs_lanes sample;
    memcpy(&sample, x, sizeof sample);
    higher(sample * filter->rise, top);
    higher(even[RS_PEAK_PAIRS - 1], top);
    for (int p = 0; p < RS_PEAK_PAIRS - 1; p++) {
        float high[RS_LANES], low[RS_LANES];
        memcpy(high, &even[p], sizeof high);
        memcpy(low, &odd[p], sizeof low);
        for (int l = 0; l < RS_LANES; l++)
            high[l] = __builtin_fabsf(high[l]) + __builtin_fabsf(low[l]);
        memcpy(&even[p], high, sizeof high);
        higher(even[p], top);
    }
}

RS_CLONES static void all_gaps(const rs_true_peak *filter, size_t frames, const float *left, const float *right,
                               float *top)
{
    for (size_t k = 0; k < frames; k += RS_LANES) {
        int32_t most[RS_LANES] = {0};
        gaps(filter, left + k, most);
        gaps(filter, right + k, most);
        memcpy(top + k, most, sizeof most);
    }
}

void rs_true_peak_run(const rs_true_peak *filter, size_t frames, const float *left, const float *right, float *top)
{
    all_gaps(filter, frames, left, right, top);
}
