/*
 * Which rises are beats, how good they are, and which intervals are to be believed: see rhythm.h.
 *
 * Everything is judged against medians of the last few beats: a median follows a change within as few beats, and
 * neither an ectopic beat nor a burst of motion moves it.
 */
#include <math.h>
#include <string.h>

#include "beats.h"

static const double TRUSTED = 0.5;            /* quality from which on a beat counts */
static const double WEAK = 0.3;               /* of the usual strength: below, no beat right after another */
static const double PATIENCE_S = 1.5;         /* without a beat, after which the limit begins to fall, */
static const double RESIGNATION_S = 1.0;      /* and by what time constant */
static const double LONGEST_S = 2.5;          /* 24 beats a minute; beyond, beats were lost */
static const double TEMPLATE_MEMORY = 8.0;    /* beats */
static const double SHAPE_NONE = 0.4, SHAPE_FULL = 0.9;        /* correlations of quality 0 and 1 */
static const double CONTRAST_NONE = 0.2, CONTRAST_FULL = 0.5;
static const double NARROW = 0.2, WIDE = 0.4; /* how far an interval may be from the expected one, as a share of it */
static const double SPREADS = 4.0;            /* as many mean changes from beat to beat, within these */

static double ramp(double x, double none, double full)
{
    const double y = (x - none) / (full - none);
    return y < 0.0 ? 0.0 : y > 1.0 ? 1.0 : y;
}

double heart_usual(const double *past, int count)
{
    double sorted[BEAT_PAST];
    for (int i = 0; i < count; i++) {
        int k = i;
        for (; k > 0 && sorted[k - 1] > past[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = past[i];
    }
    return count == 0 ? 0.0 : 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
}

static void remember(double *past, int *count, int *next, double value)
{
    past[*next] = value;
    *next = (*next + 1) % BEAT_PAST;
    if (*count < BEAT_PAST)
        (*count)++;
}

double heart_least(const heart *one, double since_s)
{
    const double usual = heart_usual(one->strengths, one->strengths_count);
    const double late = since_s - PATIENCE_S;
    return WEAK * usual * (late > 0.0 ? exp(-late / RESIGNATION_S) : 1.0);
}

static double alike(const heart *one, const candidate *found)
{
    double product = 0.0, square = 0.0;
    for (int i = 0; i < BEAT_SHAPE; i++) {
        product += one->template[i] * found->shape[i];
        square += one->template[i] * one->template[i];
    }
    return square > 0.0 ? product / sqrt(square) : 0.0;
}

static double quality_of(const heart *one, const candidate *found)
{
    const double usual = heart_usual(one->strengths, one->strengths_count);
    double quality = found->came * ramp(found->contrast, CONTRAST_NONE, CONTRAST_FULL);
    if (one->learned > 2.0)
        quality *= ramp(alike(one, found), SHAPE_NONE, SHAPE_FULL);
    if (one->strengths_count > 2 && usual > 0.0) {
        const double octaves = log2(found->strength / usual);
        quality *= ramp(fabs(octaves), 3.0, 1.0);
    }
    return quality;
}

/* The template follows good beats at once, poor ones slowly: it can be left again if it began with noise. */
static void learn(heart *one, const candidate *found, double quality)
{
    one->learned = one->learned < TEMPLATE_MEMORY ? one->learned + 1.0 : TEMPLATE_MEMORY;
    const double share = (0.2 + 0.8 * quality) / one->learned;
    for (int i = 0; i < BEAT_SHAPE; i++)
        one->template[i] += share * (found->shape[i] - one->template[i]);
    remember(one->strengths, &one->strengths_count, &one->strengths_next, found->strength);
}

/* How far intervals may differ from the expected one: more where they always do. */
static double tolerance(const heart *one, double expected_s)
{
    double change = 0.0;
    for (int i = 1; i < one->intervals_count; i++) {
        const int oldest = one->intervals_count < BEAT_PAST ? 0 : one->intervals_next;
        const double a = one->intervals_s[(oldest + i - 1) % BEAT_PAST];
        const double b = one->intervals_s[(oldest + i) % BEAT_PAST];
        change += fabs(b - a) / one->intervals_count;
    }
    const double wide = SPREADS * change / expected_s;
    return wide < NARROW ? NARROW : wide > WIDE ? WIDE : wide;
}

static int about(double interval_s, double expected_s, double share)
{
    return fabs(interval_s - expected_s) <= share * expected_s;
}

static int verdict_on(const heart *one, double interval_s, double quality)
{
    if (quality < TRUSTED || one->last.quality < TRUSTED || one->intervals_count < 2)
        return RS_BEAT_DOUBTFUL;
    const double expected_s = heart_usual(one->intervals_s, one->intervals_count);
    const double share = tolerance(one, expected_s);
    if (one->last.verdict == RS_BEAT_EARLY) {
        const double both_s = one->before_last_s + interval_s;
        if (about(both_s, expected_s, share))
            return RS_BEAT_EXTRA;
        if (about(both_s, 2.0 * expected_s, 0.5 * share) && interval_s > expected_s)
            return RS_BEAT_PAUSE;
    }
    if (about(interval_s, expected_s, share))
        return RS_BEAT_STEADY;
    if (interval_s < expected_s)
        return RS_BEAT_EARLY;
    const double beats = floor(interval_s / expected_s + 0.5);
    return beats >= 2.0 && about(interval_s, beats * expected_s, 0.5 * share) ? RS_BEAT_MISSED : RS_BEAT_LATE;
}

rs_beat heart_tell(heart *one, const heart_manner *manner, double lost_s)
{
    const candidate *found = &one->pending;
    rs_beat beat = {.at = found->at, .interval_s = NAN, .verdict = RS_BEAT_GAP};
    beat.quality = quality_of(one, found);
    const double interval_s = (found->mark - one->last_mark) / manner->rate_hz;
    if (one->told_any && interval_s <= LONGEST_S && lost_s < 0.5 * manner->refractory_s) {
        beat.interval_s = interval_s;
        beat.verdict = verdict_on(one, interval_s, beat.quality);
        if (beat.quality >= TRUSTED && one->last.quality >= TRUSTED)
            remember(one->intervals_s, &one->intervals_count, &one->intervals_next, interval_s);
    }
    learn(one, found, beat.quality);
    one->before_last_s = beat.interval_s;
    one->last = beat;
    one->last_mark = found->mark;
    one->last_strength = found->strength;
    one->told_any = 1;
    one->waiting = 0;
    return beat;
}
