/*
 * Cues at a phase of the slow wave: see resonance.h for what they promise, slow_wave_readout.c for why.
 *
 * Samples become slow values, 50 to 100 a second: the level is followed and taken away, and a triangle over two steps
 * weighs what is left. A movement or an electrode that slips is left out, until the level has caught up. Each slow
 * value costs one pass over the lags of the autocovariance and one over the weights, whatever came before. Weights
 * are solved anew every few seconds, each channel at its own turn, so that many channels do not all do so in the
 * same step.
 *
 * The crossing is looked for between the reading for this step and the one for the next, hence ahead of it, and its
 * place between both is interpolated. Readings change with every value: one that was "not yet" may become "already".
 * Then the cue is for this step, the earliest that can be.
 *
 * A reading is smaller than the wave, for what cannot be foretold counts as 0 in the mean square. For comparison with
 * least_uv it is scaled up to the wave's own mean square.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "resonance.h"
#include "simd.h"
#include "slow_wave_readout.h"

static const double PI = 3.14159265358979323846;
static const double SLOW_HZ = 50.0;       /* least rate of slow values */
static const double LEVEL_HZ = 0.1;       /* slower than this is the electrode */
static const double MOST_UV = 500.0;      /* no wave of a sleeping brain is larger at the scalp */
static const double SETTLING_S = 1.0;     /* after larger values, in which the level follows faster */
static const double SETTLING_HZ = 1.0;
static const double MOST_OFFSET_UV = 1e5; /* no electrode's offset is larger; beyond, the level follows no faster */
static const double MEMORY_S = 100.0;     /* of the autocovariance */
static const double WARM_UP_S = 12.0;     /* heard before the first weights */
static const double RENEWAL_S = 4.0;
static const double LEAST_REFRACTORY_S = 0.1;
static const double LEAST_HALF = 0.25;    /* of the least height: what either half-wave has at least */
static const double SILENCE_UV2 = 1e-9;   /* mean square of a channel on which nothing is */
enum { TROUGH = 100 };                    /* slow values, at least a second, in which the trough before a crest lies */

typedef struct {
    double level;
    double rising, falling;             /* of this step: sums of samples under the triangle's sides */
    double rising_weight, falling_weight;
    double rising_before, rising_weight_before;
    int started, ready;                 /* a level is there; weights are there */
    size_t unsettled;                   /* samples until values count again */
    double refractory;                  /* frame before which no cue may be */
    double foretold;                    /* phase beyond the target that the last step gave for this one */
    rs_readout_share share;
    double now[2];                      /* the last reading */
    double *values, *heard;             /* [2 lags]: rings of slow values, and 1 where one was heard, each kept twice */
    double *sums;                       /* [lags], newest last: of products */
    double count;                       /* of values that were heard, fading like the sums */
    double *weights, *predictor;        /* [RS_ROWS, taps] and [taps - 1], newest last */
    double trough[TROUGH];              /* readings' real parts */
} sleeper;

struct rs_slow_waves {
    rs_slow_waves_settings set;
    size_t channels, every;             /* every: samples to a step */
    size_t renewal;                     /* steps */
    double follow, catch_up, forget;    /* of the level per sample, twice; of the autocovariance per step */
    double warm_up;                     /* steps that are still remembered */
    size_t settling;                    /* samples */
    size_t within;                      /* samples of this step so far */
    uint64_t frame, step;               /* since the beginning */
    rs_readout readout;
    double *autocovariance, *solved;    /* [lags], [RS_ROWS + 1, taps]: scratch */
    double *memory;                     /* of all rings and sums */
    sleeper of[];
};

static int settings_are_possible(const rs_slow_waves_settings *set)
{
    return set->rate_hz >= 50.0 && set->rate_hz <= 20000.0 && isfinite(set->target_rad)
        && set->lead_s >= 0.0 && set->lead_s <= 0.5 && set->low_hz >= 0.2
        && set->low_hz < set->high_hz && set->high_hz <= 5.0 && set->least_uv >= 0.0
        && isfinite(set->least_uv) && set->least_confidence >= 0.0 && set->least_confidence <= 1.0
        && set->refractory_s >= LEAST_REFRACTORY_S && isfinite(set->refractory_s);
}

rs_slow_waves *rs_slow_waves_new(size_t channels, const rs_slow_waves_settings *settings)
{
    if (channels == 0 || channels > SIZE_MAX / 2 / sizeof(sleeper) || !settings_are_possible(settings))
        return NULL;
    rs_slow_waves *waves = calloc(1, sizeof *waves + channels * sizeof(sleeper));
    if (waves == NULL)
        return NULL;
    const double rate_hz = settings->rate_hz;
    waves->set = *settings;
    waves->channels = channels;
    waves->every = (size_t)(rate_hz / SLOW_HZ);
    const double step_s = (double)waves->every / rate_hz;
    waves->renewal = (size_t)(RENEWAL_S / step_s);
    waves->follow = 1.0 - exp(-2.0 * PI * LEVEL_HZ / rate_hz);
    waves->forget = exp(-step_s / MEMORY_S);
    waves->warm_up = (1.0 - exp(-WARM_UP_S / MEMORY_S)) * MEMORY_S / step_s;
    waves->settling = (size_t)(SETTLING_S * rate_hz);
    waves->catch_up = 1.0 - exp(-2.0 * PI * SETTLING_HZ / rate_hz);
    if (!rs_readout_init(&waves->readout, rate_hz, waves->every, LEVEL_HZ, settings->low_hz,
                         settings->high_hz, settings->lead_s)) {
        free(waves);
        return NULL;
    }
    const size_t lags = waves->readout.lags, taps = waves->readout.taps;
    const size_t each = 5 * lags + (RS_ROWS + 1) * taps, scratch = lags + (RS_ROWS + 1) * taps;
    if (channels < (SIZE_MAX / sizeof(double) - scratch) / each)
        waves->memory = calloc(scratch + channels * each, sizeof(double));
    if (waves->memory == NULL) {
        rs_slow_waves_free(waves);
        return NULL;
    }
    waves->autocovariance = waves->memory;
    waves->solved = waves->memory + lags;
    for (size_t c = 0; c < channels; c++) {
        sleeper *one = &waves->of[c];
        one->values = waves->memory + scratch + c * each;
        one->heard = one->values + 2 * lags;
        one->sums = one->heard + 2 * lags;
        one->weights = one->sums + lags;
        one->predictor = one->weights + RS_ROWS * taps;
        one->foretold = 1.0;  /* not before the target */
    }
    return waves;
}

void rs_slow_waves_free(rs_slow_waves *waves)
{
    if (waves == NULL)
        return;
    rs_readout_clear(&waves->readout);
    free(waves->memory);
    free(waves);
}

/* A sample under both sides of the triangle. Its place in the step weighs it: 0, 1, 2... rising, every... 1 falling. */
static void listen(const rs_slow_waves *waves, sleeper *one, double x)
{
    if (!one->started) {
        one->started = 1;
        one->level = x;
    }
    const double d = x - one->level;
    if (!(fabs(d) <= MOST_UV))
        one->unsettled = waves->settling;
    one->level += (one->unsettled ? waves->catch_up : waves->follow)
                * fmax(-MOST_OFFSET_UV, fmin(d, MOST_OFFSET_UV));
    if (one->unsettled) {
        one->unsettled--;
        return;
    }
    const double rising = (double)waves->within, falling = (double)(waves->every - waves->within);
    one->rising += rising * d;
    one->rising_weight += rising;
    one->falling += falling * d;
    one->falling_weight += falling;
}

/* The slow value of the step that has just ended enters the rings and the sums. */
RS_CLONES
static void take_in(rs_slow_waves *waves, sleeper *one)
{
    const size_t lags = waves->readout.lags, taps = waves->readout.taps;
    const double whole = (double)(waves->every * waves->every);
    const double weight = one->rising_weight_before + one->falling_weight;
    const size_t at = (size_t)(waves->step % lags);
    double value, heard = 0.0;
    if (2.0 * weight > whole) {
        value = (one->rising_before + one->falling) / weight;
        heard = 1.0;
    } else {
        value = one->ready ? rs_product(taps - 1, one->predictor, one->values + at + lags - (taps - 1)) : 0.0;
    }
    one->values[at] = one->values[at + lags] = value;
    one->heard[at] = one->heard[at + lags] = heard;
    one->rising_before = one->rising;
    one->rising_weight_before = one->rising_weight;
    one->rising = one->rising_weight = one->falling = one->falling_weight = 0.0;

    const double *values = one->values + at + 1, forget = waves->forget;
    for (size_t i = 0; i < lags; i++)
        one->sums[i] = forget * one->sums[i] + value * values[i];
    one->count = forget * one->count + heard;
}

static void renew_weights(rs_slow_waves *waves, sleeper *one)
{
    const size_t lags = waves->readout.lags, taps = waves->readout.taps;
    if (one->count < waves->warm_up && !one->ready)
        return;
    /* Nothing is there, or it was so long ago (a quarter of an hour) that less than one value is remembered. */
    if (one->count < 1.0 || !(one->sums[lags - 1] > SILENCE_UV2 * one->count)) {
        one->ready = 0;
        one->foretold = 1.0;
        return;
    }
    /* A product j steps apart has been forgotten as if both values were as old as the newer one. The root of
     * forget^j makes good for the older one, and the sums become the autocovariance of one signal that fades into
     * the past: one that a signal can have, so that it can be solved. This is also why foretold values stand in
     * sums where nothing was heard: means over what was heard alone fit no signal together. */
    double root = 1.0;
    for (size_t j = 0; j < lags; j++, root *= sqrt(waves->forget))
        waves->autocovariance[j] = root * one->sums[lags - 1 - j] / one->count;
    double *weights = waves->solved, *predictor = weights + RS_ROWS * taps;
    rs_readout_share share;
    if (!rs_readout_solve(&waves->readout, waves->autocovariance, weights, predictor, &share))
        return;
    for (size_t row = 0; row < RS_ROWS; row++)
        for (size_t k = 0; k < taps; k++)
            one->weights[row * taps + taps - 1 - k] = weights[row * taps + k];
    for (size_t k = 0; k + 1 < taps; k++)
        one->predictor[taps - 2 - k] = predictor[k];
    one->share = share;
    one->ready = 1;
}

/* a^2 / (a^2 + error^2), times the share of the weights that met values which were heard. */
static double confidence_of(const rs_slow_waves *waves, const sleeper *one, double re, double im)
{
    const size_t lags = waves->readout.lags, taps = waves->readout.taps;
    const size_t newest = (size_t)((waves->step + lags - 1) % lags);  /* the step has been counted on */
    const double *heard = one->heard + newest + 1 + lags - taps;
    const double *w = one->weights;
    double met = 0.0, all = 0.0;
    for (size_t k = 0; k < taps; k++) {
        const double square = w[k] * w[k] + w[taps + k] * w[taps + k];
        met += heard[k] * square;
        all += square;
    }
    const double error = one->share.power - one->share.explained, square = re * re + im * im;
    const double sure = square / (square + (error > 0.0 ? error : 0.0) + DBL_MIN);
    return all > 0.0 ? fmin(sure * met / all, 1.0) : 0.0;
}

static double wrapped(double angle)
{
    return angle - 2.0 * PI * floor(angle / (2.0 * PI) + 0.5);
}

/* Reads the wave, and writes a cue if its moment lies before the next step. */
RS_CLONES
static size_t decide(rs_slow_waves *waves, sleeper *one, size_t channel, rs_slow_wave_cue *cue)
{
    const rs_slow_waves_settings *set = &waves->set;
    const size_t lags = waves->readout.lags, taps = waves->readout.taps;
    const size_t at = (size_t)((waves->step + lags - 1) % lags);
    const double *past = one->values + at + 1 + lags - taps;
    double read[RS_ROWS];
    for (size_t row = 0; row < RS_ROWS; row++)
        read[row] = rs_product(taps, one->weights + row * taps, past);
    one->now[0] = read[RS_NOW];
    one->now[1] = read[RS_NOW + 1];
    const double scale = sqrt(one->share.power / one->share.explained);
    one->trough[waves->step % TROUGH] = scale * read[RS_NOW];

    const double now = wrapped(atan2(read[RS_NOW + 1], read[RS_NOW]) - set->target_rad);
    const double next = wrapped(atan2(read[RS_NEXT + 1], read[RS_NEXT]) - set->target_rad);
    const int passes = one->foretold < 0.0 && next >= 0.0 && next - one->foretold < PI;
    one->foretold = next;
    if (!passes)
        return 0;
    const double part = now < 0.0 ? -now / (next - now) : 0.0;
    cue->frame = (double)(waves->frame - 1) + set->lead_s * set->rate_hz + part * (double)waves->every;
    if (cue->frame < one->refractory)
        return 0;
    double lowest = 0.0;
    for (size_t i = 0; i < TROUGH; i++)
        if (one->trough[i] < lowest)
            lowest = one->trough[i];
    cue->amplitude = scale * hypot(read[RS_NOW], read[RS_NOW + 1]);
    cue->confidence = confidence_of(waves, one, read[RS_NOW], read[RS_NOW + 1]);
    const double least_half = LEAST_HALF * set->least_uv;
    if (cue->amplitude - lowest < set->least_uv || cue->amplitude < least_half || -lowest < least_half
        || cue->confidence < set->least_confidence)
        return 0;
    cue->phase = wrapped(set->target_rad + (now < 0.0 ? 0.0 : now));
    cue->channel = channel;
    one->refractory = cue->frame + set->refractory_s * set->rate_hz;
    return 1;
}

static size_t end_step(rs_slow_waves *waves, rs_slow_wave_cue *cues)
{
    size_t found = 0;
    for (size_t c = 0; c < waves->channels; c++)
        take_in(waves, &waves->of[c]);
    waves->step++;
    for (size_t c = 0; c < waves->channels; c++) {
        sleeper *one = &waves->of[c];
        if ((waves->step + c * waves->renewal / waves->channels) % waves->renewal == 0)
            renew_weights(waves, one);
        if (one->ready)
            found += decide(waves, one, c, cues + found);
        else
            one->now[0] = one->now[1] = 0.0;
    }
    return found;
}

size_t rs_slow_waves_process(rs_slow_waves *waves, size_t frames, const double *x,
                             const uint8_t *valid, rs_slow_wave_cue *cues)
{
    size_t found = 0;
    for (size_t n = 0; n < frames; n++) {
        for (size_t c = 0; c < waves->channels; c++) {
            const size_t sample = n * waves->channels + c;
            if (valid == NULL || valid[sample])
                listen(waves, &waves->of[c], x[sample]);
        }
        waves->frame++;
        if (++waves->within == waves->every) {
            waves->within = 0;
            found += end_step(waves, cues + found);
        }
    }
    return found;
}

void rs_slow_waves_state(const rs_slow_waves *waves, double *phasor, double *confidence)
{
    for (size_t c = 0; c < waves->channels; c++) {
        const sleeper *one = &waves->of[c];
        phasor[2 * c] = one->now[0];
        phasor[2 * c + 1] = one->now[1];
        confidence[c] = one->ready ? confidence_of(waves, one, one->now[0], one->now[1]) : 0.0;
    }
}
