/*
 * Power with an exponential memory: see resonance.h.
 *
 * Two sums are kept, of weighted power and of weights, both forgetting alike. Their quotient is a mean from the
 * first frame on, not a rise from zero, and a frame of weight 0 only makes the older ones older, not smaller.
 */
#include <math.h>
#include <stdlib.h>

#include "resonance.h"
#include "simd.h"

/* Of which less is left is forgotten; long after, it would become a denormal number, slow to compute with. */
static const double LEAST_EVIDENCE = 1e-100;

struct rs_power {
    size_t lanes;
    double decay;
    double *sum, *evidence;
    double memory[];
};

rs_power *rs_power_new(size_t lanes, double rate_hz, double memory_s)
{
    if (lanes == 0 || lanes > SIZE_MAX / 4 / sizeof(double) || !(rate_hz > 0.0) || isinf(rate_hz)
        || !(memory_s > 0.0) || isinf(memory_s))
        return NULL;
    rs_power *power = calloc(1, sizeof *power + 2 * lanes * sizeof(double));
    if (power == NULL)
        return NULL;
    power->lanes = lanes;
    power->decay = exp(-1.0 / (rate_hz * memory_s));
    power->sum = power->memory;
    power->evidence = power->memory + lanes;
    return power;
}

void rs_power_free(rs_power *power)
{
    free(power);
}

RS_CLONES
static void add(size_t lanes, double decay, const double *phasor, const double *weight, double *sum,
                double *evidence)
{
    const double fresh = 1.0 - decay;
    for (size_t i = 0; i < lanes; i++) {
        const double w = weight == NULL ? fresh : fresh * weight[i];
        sum[i] = decay * sum[i] + w * 0.5 * (phasor[2 * i] * phasor[2 * i] + phasor[2 * i + 1] * phasor[2 * i + 1]);
        evidence[i] = decay * evidence[i] + w;
    }
}

void rs_power_push(rs_power *power, size_t frames, const double *phasors, const double *weight)
{
    const size_t lanes = power->lanes;
    for (size_t n = 0; n < frames; n++)
        add(lanes, power->decay, phasors + 2 * n * lanes, weight == NULL ? NULL : weight + n * lanes, power->sum,
            power->evidence);
    for (size_t i = 0; i < lanes; i++)
        if (power->evidence[i] < LEAST_EVIDENCE)
            power->sum[i] = power->evidence[i] = 0.0;
}

void rs_power_values(const rs_power *power, double *values, double *evidence)
{
    for (size_t i = 0; i < power->lanes; i++) {
        evidence[i] = power->evidence[i];
        values[i] = power->evidence[i] > 0.0 ? power->sum[i] / power->evidence[i] : (double)NAN;
    }
}
