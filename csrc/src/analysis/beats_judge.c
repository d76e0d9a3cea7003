/*
 * Which rises are beats, how good they are, and which intervals are to be believed: see rhythm.h.
 *
 * Everything is judged against medians of the last few beats: a median follows a change within as few beats, and
 * neither an ectopic beat nor a burst of motion moves it.
 */
#include <math.h>

#include "beats.h"

static const double TRUSTED = 0.5;            /* quality from which on a beat counts */
static const double DUE_LEAST = 0.12;         /* of the usual strength, a rise must have to be a beat when one is due */
static const double MIDDLE = 0.5, STRONG = 0.7; /* quantiles; strengths are those of beats, not of what came between */
static const double FIRST_S = 0.8;            /* the interval expected before there was any */
static const double PATIENCE = 1.5;           /* expected intervals without a beat, after which the limit falls, */
static const double RESIGNATION_S = 1.0;      /* by this time constant */
static const double LONGEST_S = 2.5;          /* 24 beats a minute; beyond, beats were lost */
static const int TEMPLATE_MEMORY = 8;         /* beats */
static const double WORTHLESS = 0.2;          /* quality below which a rise is not told */
static const double ON_TIME = 0.25;           /* quality of what is unlike a beat, but as strong, and when one is due */
static const int STUBBORN = 4;                /* worthless rises in a row, after which the fault is ours */
static const double DWARFED = 4.0;            /* times the usual strength of the first beats: those were none */
static const double SHAPE_NONE = 0.4, SHAPE_FULL = 0.9;        /* correlations of quality 0 and 1 */
static const double CONTRAST_NONE = 0.15, CONTRAST_FULL = 0.45;
static const double NARROW = 0.2, WIDE = 0.4; /* how far an interval may be from the expected one, as a share of it */
static const double SPREADS = 4.0;            /* as many usual changes from beat to beat, within these */
static const double LAWLESS = 0.25;           /* usual change from beat to beat, above which nothing can be expected */

/* Weak rises soon after a beat belong to it; about when the next is due, they may be it. */
double heart_least(const heart *one, const heart_manner *manner, double since_s)
{
    const double usual = past_usual(&one->strengths, STRONG);
    const double expected_s = one->intervals_s.count > 1 ? past_usual(&one->intervals_s, MIDDLE) : FIRST_S;
    const double share = manner->early_least + (DUE_LEAST - manner->early_least) * ramp(since_s / expected_s, 0.5, 0.9);
    const double late_s = since_s - PATIENCE * expected_s;
    return share * usual * (late_s > 0.0 ? exp(-late_s / RESIGNATION_S) : 1.0);
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

static int about(double interval_s, double expected_s, double share)
{
    return fabs(interval_s - expected_s) <= share * expected_s;
}

double heart_quality(const heart *one, const heart_manner *manner, const candidate *found)
{
    const double interval_s = (found->mark - one->last_mark) / manner->rate_hz;
    double quality = found->came * ramp(found->contrast, CONTRAST_NONE, CONTRAST_FULL);
    if (one->learned > 2)
        quality *= ramp(alike(one, found), SHAPE_NONE, SHAPE_FULL);
    if (one->strengths.count > 2) {
        const double octaves = log2(found->strength / past_usual(&one->strengths, STRONG));
        quality *= ramp(fabs(octaves), 4.0, 1.0);
        const double expected_s = past_usual(&one->intervals_s, MIDDLE);
        if (quality < ON_TIME && fabs(octaves) < 1.0 && about(interval_s, expected_s, NARROW))
            quality = ON_TIME * found->came;
    }
    return quality;
}

/* The template follows what was told. Where it fits nothing any more, or something far stronger comes soon after the
 * start, it began with noise, or the sensor has moved: then it is made anew. */
static void learn(heart *one, const candidate *found, double quality)
{
    one->refused = quality < WORTHLESS ? one->refused + 1 : 0;
    const double usual = past_usual(&one->strengths, STRONG);
    const int dwarfed = one->learned < TEMPLATE_MEMORY && found->strength > DWARFED * usual;
    if (one->refused == STUBBORN || (one->refused > 0 && dwarfed)) {
        one->refused = 0;
        one->learned = 0;
        past_forget(&one->strengths);
    } else if (one->refused > 0) {
        return;
    }
    one->learned = one->learned < TEMPLATE_MEMORY ? one->learned + 1 : TEMPLATE_MEMORY;
    const double share = (0.2 + 0.8 * quality) / one->learned;
    for (int i = 0; i < BEAT_SHAPE; i++)
        one->template[i] += share * (found->shape[i] - one->template[i]);
    past_add(&one->strengths, found->strength);
}

/* The usual change from beat to beat, as a share of the expected interval. */
static double restlessness(const past_values *past, double expected_s)
{
    past_values changes = {.most = PAST_MOST};
    for (int i = 1; i < past->count; i++)
        past_add(&changes, fabs(past_at(past, i) - past_at(past, i - 1)));
    return past_usual(&changes, MIDDLE) / expected_s;
}

static int verdict_on(const heart *one, double interval_s, double quality)
{
    if (quality < TRUSTED || one->last.quality < TRUSTED || one->intervals_s.count < 2)
        return RS_BEAT_DOUBTFUL;
    const double expected_s = past_usual(&one->intervals_s, MIDDLE);
    const double change = restlessness(&one->intervals_s, expected_s);
    if (change > LAWLESS)
        return RS_BEAT_DOUBTFUL;
    const double share = fmin(fmax(SPREADS * change, NARROW), WIDE);
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

int heart_tell(heart *one, const heart_manner *manner, double lost_s, rs_beat *beat)
{
    const candidate *found = &one->pending;
    const double interval_s = (found->mark - one->last_mark) / manner->rate_hz;
    const double quality = found->quality;
    one->waiting = 0;
    learn(one, found, quality);
    if (quality < WORTHLESS || (one->told_any && found->at <= one->last.at)) /* two rises to one crest */
        return 0;
    *beat = (rs_beat){.at = found->at, .interval_s = NAN, .quality = quality, .verdict = RS_BEAT_GAP};
    if (one->told_any && interval_s <= LONGEST_S && lost_s < 0.5 * manner->refractory_s) {
        beat->interval_s = interval_s;
        beat->verdict = verdict_on(one, interval_s, quality);
        if (quality >= TRUSTED && one->last.quality >= TRUSTED)
            past_add(&one->intervals_s, interval_s);
    }
    one->before_last_s = beat->interval_s;
    one->last = *beat;
    one->last_mark = found->mark;
    one->told_any = 1;
    return 1;
}
