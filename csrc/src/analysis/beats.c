/*
 * Where a signal rises as it does when a heart beats: see rhythm.h.
 *
 *     x --box--box--> s      smooth; the boxes' zeros lie on 50 and 60 Hz
 *     s --change--> d        of a pulse its slope, s(t + span) - s(t - span); of an electrocardiogram its curvature,
 *                            s(t + span) - 2 s(t) + s(t - span): no offset, hardly any wander, and the narrower
 *                            a wave the more of it, so that R stands out from P, T and what electrodes do in motion
 *     d --square--> e        of a pulse only where it rises
 *     e --short box--> near, --long box--> around
 *
 * While near stands above around, and above a share of the mean over many beats, a beat is passing.
 * Every stage works on the sample in the middle of its window, and is as much later as its window reaches ahead.
 */
#include "beats.h"

#include <stdlib.h>
#include <string.h>

RS_FUSED

static const double MOST = 1e100;        /* a sample beyond is a mistake of who sent it */
static const double LEAST_HZ = 25.0, MOST_HZ = 1000.0;
static const double FLOOR_S = 5.0;       /* memory of the mean slope */
static const double UPRIGHT_PULL = 0.1;  /* per beat */
static const double TURN_OVER = 0.25;    /* so much more must they reach to the other side to be looked for there */
static const double RING_S = 4.0;        /* kept: the longest interval, and what comes after its end */

enum {
    BLOCK = 64,    /* frames of all channels that stay in the cache while each is served */
    STRENGTHS = 5  /* beats whose strength is remembered: few, for vessels narrow from one beat to the next */
};

/* How a beat looks in a kind of signal. The two averages are as long as Elgendi's; all else was chosen while looking
 * at the recordings named in tests/peers/test_peers_rhythm.py. */
typedef struct {
    double smooth_s[2];       /* the boxes */
    double span_s;            /* from a sample to either end of its slope */
    double near_s, around_s;  /* the two averages */
    double floor;             /* share of the mean over many beats that near must exceed around by */
    double refractory_s;
    double crest_s;           /* from the steepest rise to a pulse's crest at most; around a QRS complex, to its R */
    double before_s, after_s; /* of the shape, around the mark */
    double early_least;       /* see heart_manner */
} manner;

static const manner MANNERS[] = {
    [RS_PULSE] = {.smooth_s = {0.06, 0.05}, .span_s = 0.04, .near_s = 0.11, .around_s = 0.667, .floor = 0.05,
                  .refractory_s = 0.27, .crest_s = 0.4, .before_s = 0.2, .after_s = 0.4, .early_least = 0.75},
    [RS_ECG] = {.smooth_s = {1.0 / 50, 1.0 / 60}, .span_s = 0.03, .near_s = 0.1, .around_s = 0.6, .floor = 0.1,
                .refractory_s = 0.23, .crest_s = 0.08, .before_s = 0.12, .after_s = 0.12, .early_least = 0.45},
};

typedef struct {
    box_ring seen, raw, once, lost;        /* came, x, x smoothed once; samples of s that are lost */
    box_ring steep, known;                 /* e, and where it could be told */
    double *smooth;                        /* s */
    double level, held, mean_steep;
    int started;
    int64_t smoothed;                      /* samples of s */
    int64_t judged;                        /* samples where near and around were compared */
    int64_t began, best;                   /* the passing beat: its first sample, its strongest; -1 if none */
    double best_near, best_around;
    double upright;                        /* of an ECG: how much more its beats reach up than down, -1..1 */
    int inverted;                          /* R waves point down */
    heart heart;
} channel_state;

struct rs_beats {
    size_t channels;
    int32_t listen;
    const manner *how;
    heart_manner judge;
    double span, refractory;               /* in samples from here on */
    int64_t span_whole;
    box first, second, near, around;
    int64_t margin;                        /* around a lost sample, slopes are not read */
    int64_t latency, mask;
    double *room;
    channel_state at[];
};

static int64_t most_passing(const rs_beats *beats)
{
    return (int64_t)ceil(beats->how->around_s * beats->judge.rate_hz);
}

rs_beats *rs_beats_new(size_t channels, double rate_hz, int32_t listen)
{
    if (channels == 0 || (listen != RS_PULSE && listen != RS_ECG) || !(rate_hz >= LEAST_HZ)
        || !(rate_hz <= MOST_HZ) || channels > SIZE_MAX / 4 / sizeof(channel_state))
        return NULL;
    size_t ring = 64;
    while ((double)ring < RING_S * rate_hz)
        ring *= 2;
    if (channels > SIZE_MAX / 64 / ring)
        return NULL;
    rs_beats *beats = calloc(1, sizeof *beats + channels * sizeof(channel_state));
    double *room = calloc(channels * 7 * ring, sizeof *room);
    if (beats == NULL || room == NULL) {
        free(beats);
        free(room);
        return NULL;
    }
    const manner *how = &MANNERS[listen];
    beats->channels = channels;
    beats->listen = listen;
    beats->how = how;
    beats->judge = (heart_manner){rate_hz, how->refractory_s, how->early_least};
    beats->span = fmax(how->span_s * rate_hz, 1.0);
    beats->span_whole = (int64_t)floor(beats->span);
    beats->refractory = how->refractory_s * rate_hz;
    beats->first = box_of(how->smooth_s[0] * rate_hz);
    beats->second = box_of(how->smooth_s[1] * rate_hz);
    beats->near = box_of(how->near_s * rate_hz);
    beats->around = box_of(how->around_s * rate_hz);
    beats->margin = (int64_t)ceil(beats->span) + box_ahead(&beats->second);
    beats->mask = (int64_t)ring - 1;
    beats->room = room;
    /* The stages, a beat that passes as slowly as can be, and the refractory time before it is told. */
    beats->latency = box_ahead(&beats->first) + box_ahead(&beats->second) + (int64_t)ceil(beats->span)
                     + box_ahead(&beats->around) + most_passing(beats) + (int64_t)ceil(beats->refractory) + 2;
    for (size_t c = 0; c < channels; c++) {
        channel_state *one = &beats->at[c];
        box_ring *rings[] = {&one->seen, &one->raw, &one->once, &one->lost, &one->steep, &one->known};
        for (size_t i = 0; i < 6; i++, room += ring)
            *rings[i] = (box_ring){.before = room, .mask = beats->mask};
        one->smooth = room;
        room += ring;
        one->began = -1;
        one->heart.strengths.most = STRENGTHS;
        one->heart.intervals_s.most = PAST_MOST;
    }
    return beats;
}

void rs_beats_free(rs_beats *beats)
{
    if (beats != NULL)
        free(beats->room);
    free(beats);
}

size_t rs_beats_latency(const rs_beats *beats)
{
    return (size_t)beats->latency;
}

size_t rs_beats_most(const rs_beats *beats, size_t frames)
{
    /* Beats are a refractory time apart, and none is told later than the latency allows. */
    return beats->channels * ((size_t)(((double)frames + (double)beats->latency) / beats->refractory) + 1);
}

/* s at a place between samples. */
RS_INLINE double smooth_at(const rs_beats *beats, const channel_state *one, double at)
{
    const double whole = floor(at);
    const int64_t i = (int64_t)whole;
    const int64_t last = one->smoothed - 1;
    const int64_t a = i < 0 ? 0 : i > last ? last : i, b = i + 1 < 0 ? 0 : i + 1 > last ? last : i + 1;
    const double from = one->smooth[a & beats->mask];
    return from + (at - whole) * (one->smooth[b & beats->mask] - from);
}

/* s, one span before and after sample i. */
RS_INLINE void beside(const rs_beats *beats, const channel_state *one, int64_t i, double *before, double *after)
{
    const double *s = one->smooth, part = beats->span - (double)beats->span_whole;
    const int64_t m = beats->mask, a = i - beats->span_whole, b = i + beats->span_whole;
    *before = s[a & m] + part * (s[(a - 1) & m] - s[a & m]);
    *after = s[b & m] + part * (s[(b + 1) & m] - s[b & m]);
}

RS_INLINE double slope_at(const rs_beats *beats, const channel_state *one, int64_t i)
{
    double before, after;
    beside(beats, one, i, &before, &after);
    return after - before;
}

RS_INLINE double curve_at(const rs_beats *beats, const channel_state *one, int64_t i)
{
    double before, after;
    beside(beats, one, i, &before, &after);
    return before + after - 2.0 * one->smooth[i & beats->mask];
}

/* Of the samples from a to b those that are known to be lost: what is still to come is not. */
static double lost_between(const channel_state *one, int64_t a, int64_t b)
{
    const int64_t newest = one->lost.next;
    return ring_before(&one->lost, b < newest ? b : newest) - ring_before(&one->lost, a > 0 ? a : 0);
}

/* The place of the extremum around sample i, between samples: the vertex of the parabola through three. */
static double vertex(double before, double here, double after, int64_t i)
{
    const double curve = before - 2.0 * here + after;
    const double shift = curve == 0.0 ? 0.0 : 0.5 * (before - after) / curve;
    return (double)i + (shift < -0.5 ? -0.5 : shift > 0.5 ? 0.5 : shift);
}

static double extremum(const rs_beats *beats, const channel_state *one, int64_t i)
{
    return vertex(smooth_at(beats, one, (double)(i - 1)), smooth_at(beats, one, (double)i),
                  smooth_at(beats, one, (double)(i + 1)), i);
}

/* The R wave: what stands out most from the line around, on the side where it usually does. */
static void place_ecg(const rs_beats *beats, channel_state *one, candidate *found)
{
    const int64_t reach = (int64_t)ceil(beats->how->crest_s * beats->judge.rate_hz);
    int64_t top = one->best, low = one->best;
    double mean = 0.0;
    for (int64_t i = one->best - 2 * reach; i <= one->best + 2 * reach; i++)
        mean += smooth_at(beats, one, (double)i) / (double)(4 * reach + 1);
    for (int64_t i = one->best - reach; i <= one->best + reach; i++) {
        const double s = smooth_at(beats, one, (double)i);
        if (s > smooth_at(beats, one, (double)top))
            top = i;
        if (s < smooth_at(beats, one, (double)low))
            low = i;
    }
    const double up = smooth_at(beats, one, (double)top) - mean, down = mean - smooth_at(beats, one, (double)low);
    const double whole = fabs(up) + fabs(down);
    if (whole > 0.0)
        one->upright += fmax(UPRIGHT_PULL, 1.0 / (3.0 + one->heart.learned)) * ((up - down) / whole - one->upright);
    if (one->inverted ? one->upright > TURN_OVER : one->upright < -TURN_OVER)
        one->inverted = !one->inverted;
    found->at = found->mark = extremum(beats, one, one->inverted ? low : top);
}

/* A pulse's steepest rise, and the crest that follows. */
static void place_pulse(const rs_beats *beats, const channel_state *one, candidate *found)
{
    const int64_t near = box_ahead(&beats->near);
    int64_t rise = one->best;
    for (int64_t i = one->best - near; i <= one->best + near; i++)
        if (slope_at(beats, one, i) > slope_at(beats, one, rise))
            rise = i;
    found->mark = vertex(slope_at(beats, one, rise - 1), slope_at(beats, one, rise),
                         slope_at(beats, one, rise + 1), rise);
    const int64_t latest = rise + (int64_t)(beats->how->crest_s * beats->judge.rate_hz);
    int64_t crest = rise;
    while (crest < latest && slope_at(beats, one, crest) > 0.0)
        crest++;
    const int64_t span = (int64_t)ceil(beats->span);
    int64_t top = crest;
    for (int64_t i = crest - span; i <= crest + span; i++)
        if (smooth_at(beats, one, (double)i) > smooth_at(beats, one, (double)top))
            top = i;
    found->at = extremum(beats, one, top);
}

static void take_shape(const rs_beats *beats, const channel_state *one, candidate *found)
{
    const double from = found->mark - beats->how->before_s * beats->judge.rate_hz;
    const double length = (beats->how->before_s + beats->how->after_s) * beats->judge.rate_hz;
    double mean = 0.0, square = 0.0;
    for (int i = 0; i < BEAT_SHAPE; i++) {
        found->shape[i] = smooth_at(beats, one, from + length * i / (BEAT_SHAPE - 1));
        mean += found->shape[i] / BEAT_SHAPE;
    }
    for (int i = 0; i < BEAT_SHAPE; i++) {
        found->shape[i] -= mean;
        square += found->shape[i] * found->shape[i];
    }
    for (int i = 0; i < BEAT_SHAPE; i++)
        found->shape[i] *= square > 0.0 ? 1.0 / sqrt(square) : 0.0;
    const int64_t a = (int64_t)floor(from), b = a + (int64_t)ceil(length);
    found->came = 1.0 - lost_between(one, a, b) / (double)(b - a);
}

/* Returns how many beats were told, 0 or 1. */
static size_t tell(const rs_beats *beats, channel_state *one, int32_t channel, int64_t now, rs_beat *beat)
{
    const double from = one->heart.last_mark, to = one->heart.pending.mark;
    const double rate_hz = beats->judge.rate_hz;
    const double lost = to - from > 3.0 * rate_hz ? 0.0 : lost_between(one, (int64_t)from, (int64_t)to);
    if (!heart_tell(&one->heart, &beats->judge, lost / rate_hz, beat))
        return 0;
    beat->told = now;
    beat->channel = channel;
    return 1;
}

static int better(const candidate *a, const candidate *b)
{
    return a->quality > b->quality || (a->quality == b->quality && a->strength > b->strength);
}

/* The beat has passed. Is it one? Returns how many were told: one that waited, if this came late enough. */
static size_t passed(const rs_beats *beats, channel_state *one, int32_t channel, int64_t now, rs_beat *found)
{
    heart *known = &one->heart;
    candidate now_found = {.strength = sqrt(one->best_near)};
    const double own = one->best_near * beats->how->near_s, all = one->best_around * beats->how->around_s;
    now_found.contrast = all > 0.0 ? fmin(own / all, 1.0) : 0.0;
    if (beats->listen == RS_ECG)
        place_ecg(beats, one, &now_found);
    else
        place_pulse(beats, one, &now_found);
    size_t count = 0;
    if (known->waiting && now_found.mark - known->pending.mark >= beats->refractory)
        count += tell(beats, one, channel, now, found + count);
    const double since_s = (now_found.mark - known->last_mark) / beats->judge.rate_hz;
    if (known->told_any
        && (since_s < beats->how->refractory_s || now_found.strength < heart_least(known, &beats->judge, since_s)))
        return count;
    take_shape(beats, one, &now_found);
    now_found.quality = heart_quality(known, &beats->judge, &now_found);
    if (known->waiting && !better(&now_found, &known->pending))
        return count;
    known->pending = now_found;
    known->waiting = 1;
    return count;
}

/* Compares near with around at the next sample that has all of it. */
static size_t compare(const rs_beats *beats, channel_state *one, int32_t channel, int64_t now, rs_beat *found)
{
    const int64_t i = one->judged++;
    const double near = box_sum(&one->steep, &beats->near, i) * beats->near.scale;
    /* Over what is known of it, or every beginning and end of a gap would stand out. */
    const double known = fmax(box_sum(&one->known, &beats->around, i), 0.25 / beats->around.scale);
    const double around = box_sum(&one->steep, &beats->around, i) / known;
    const double pull = 1.0 / fmin((double)i + 1.0, FLOOR_S * beats->judge.rate_hz);
    one->mean_steep += pull * (ring_at(&one->steep, i) - one->mean_steep);
    size_t count = 0;
    const int standing = near > around + beats->how->floor * one->mean_steep;
    if (standing && one->began < 0) {
        one->began = one->best = i;
        one->best_near = -1.0;
    }
    if (standing && near > one->best_near) {
        one->best = i;
        one->best_near = near;
        one->best_around = around;
    }
    if (one->began >= 0 && (!standing || i - one->began >= most_passing(beats))) {
        one->began = -1;
        count = passed(beats, one, channel, now, found);
    }
    if (one->heart.waiting && (double)i >= one->heart.pending.mark + beats->refractory && one->began < 0)
        count += tell(beats, one, channel, now, found + count);
    return count;
}

/* One more sample: every stage goes on by one, once it has what it needs. */
static size_t advance(const rs_beats *beats, channel_state *one, int32_t channel, double x, int came, rs_beat *found)
{
    const int64_t now = one->raw.next;
    came = came && fabs(x) <= MOST;
    if (came && !one->started) {
        one->started = 1;
        one->level = x;
    }
    ring_push(&one->seen, came);
    ring_push(&one->raw, came ? x - one->level : 0.0);
    const int64_t first = now - box_ahead(&beats->first);
    if (first < 0)
        return 0;
    const double seen = box_sum(&one->seen, &beats->first, first);
    const int lost = seen * beats->first.scale < 0.5;
    if (!lost)
        one->held = box_sum(&one->raw, &beats->first, first) / seen;
    ring_push(&one->once, one->held);
    ring_push(&one->lost, lost);
    const int64_t second = first - box_ahead(&beats->second);
    if (second < 0)
        return 0;
    one->smooth[second & beats->mask] = box_sum(&one->once, &beats->second, second) * beats->second.scale;
    one->smoothed = second + 1;
    const int64_t sloped = second - (int64_t)ceil(beats->span);
    if (sloped < 0)
        return 0;
    double slope = beats->listen == RS_ECG ? curve_at(beats, one, sloped) : slope_at(beats, one, sloped);
    if (beats->listen == RS_PULSE && slope < 0.0)
        slope = 0.0;
    const int known = sloped >= beats->margin
                      && lost_between(one, sloped - beats->margin, sloped + beats->margin + 1) == 0.0;
    ring_push(&one->steep, known ? slope * slope : 0.0);
    ring_push(&one->known, known);
    if (sloped < box_ahead(&beats->around))
        return 0;
    return compare(beats, one, channel, now, found);
}

size_t rs_beats_process(rs_beats *beats, size_t frames, const double *x, const uint8_t *valid, rs_beat *found)
{
    size_t count = 0;
    for (size_t begin = 0; begin < frames; begin += BLOCK) {
        const size_t end = frames - begin < BLOCK ? frames : begin + BLOCK;
        for (size_t c = 0; c < beats->channels; c++)
            for (size_t n = begin; n < end; n++) {
                const size_t sample = n * beats->channels + c;
                const int came = valid == NULL || valid[sample];
                count += advance(beats, &beats->at[c], (int32_t)c, came ? x[sample] : 0.0, came, found + count);
            }
    }
    return count;
}
