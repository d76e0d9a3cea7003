/*
 * From samples of a belt to breaths and their phase: see rhythm.h.
 *
 *     x --box--box--> s                every frame, as for beats
 *     s --> turning points             ten times a second: breaths_turns.c
 *     s, its slope --> probability     ten times a second: breaths_place.c
 *
 * Between those ticks the phase goes on at the person's pace. Each new breath is cut out of the ticks behind it, laid
 * on places even in time, and added to the average one.
 */
#include <math.h>
#include <stdlib.h>

#include "breaths.h"

static const double MOST = 1e100;       /* a sample beyond is a mistake of who sent it */
static const double PI = 3.14159265358979323846;
static const double TICK_HZ = 10.0;
static const double SMOOTH_S = 0.2;     /* each of two boxes */
static const double SLOPE_S = 0.2;      /* the slope is taken over the last so many seconds */
static const double GAP_S = 2.0;
static const double RECENT = 0.3;       /* weight of a new breath's quality in the confidence */
static const double MISFIT_FULL = 2.5, MISFIT_NONE = 8.0;

enum {
    TICKS = 512,                        /* kept: 51 s, more than two of the longest breaths */
    BLOCK = 64                          /* frames of all channels that stay in the cache while each is served */
};

typedef struct {
    box_ring seen, raw, once, lost;     /* came, x, x smoothed once; which of those are lost */
    double level, held;
    int started;
    int64_t ticks, gap;                 /* ticks so far; how many of the last ones in a row are lost */
    double smooth[TICKS], slope[TICKS]; /* s, and its slope per second, at each tick */
    breath_turns turns;
    breath_place place;
    double quality;                     /* of recent breaths */
    double phase, confidence;           /* at the last tick's frame */
    double pace;                        /* phase per frame, there */
} channel_state;

struct rs_breaths {
    size_t channels;
    double rate_hz, tick_s, delay_s;
    int64_t tick, span;                 /* frames */
    box first, second;
    double *room;
    channel_state at[];
};

rs_breaths *rs_breaths_new(size_t channels, double rate_hz)
{
    if (channels == 0 || !(rate_hz >= 10.0) || !(rate_hz <= 1000.0) || channels > SIZE_MAX / 4 / sizeof(channel_state))
        return NULL;
    size_t ring = 16;
    while ((double)ring < (2.0 * SMOOTH_S + SLOPE_S) * rate_hz + 8.0)
        ring *= 2;
    if (channels > SIZE_MAX / 64 / ring)
        return NULL;
    rs_breaths *breaths = calloc(1, sizeof *breaths + channels * sizeof(channel_state));
    double *room = calloc(channels * 4 * ring, sizeof *room);
    if (breaths == NULL || room == NULL) {
        free(breaths);
        free(room);
        return NULL;
    }
    breaths->channels = channels;
    breaths->rate_hz = rate_hz;
    breaths->tick = (int64_t)fmax(floor(rate_hz / TICK_HZ + 0.5), 1.0);
    breaths->tick_s = (double)breaths->tick / rate_hz;
    breaths->first = breaths->second = box_of(SMOOTH_S * rate_hz);
    breaths->span = (int64_t)fmax(floor(SLOPE_S * rate_hz + 0.5), 1.0);
    breaths->delay_s = (double)(box_ahead(&breaths->first) + box_ahead(&breaths->second)) / rate_hz;
    breaths->room = room;
    for (size_t c = 0; c < channels; c++) {
        channel_state *one = &breaths->at[c];
        box_ring *rings[] = {&one->seen, &one->raw, &one->once, &one->lost};
        for (size_t i = 0; i < 4; i++, room += ring)
            *rings[i] = (box_ring){.before = room, .mask = (int64_t)ring - 1};
        one->turns.depths.most = one->turns.lengths_s.most = 7;
        one->phase = NAN;
        turns_begin(&one->turns);
        place_begin(&one->place);
    }
    return breaths;
}

void rs_breaths_free(rs_breaths *breaths)
{
    if (breaths != NULL)
        free(breaths->room);
    free(breaths);
}

size_t rs_breaths_most(const rs_breaths *breaths, size_t frames)
{
    return breaths->channels * (frames / (size_t)(2 * breaths->tick) + 1);
}

/* A ring of ticks between them. */
static double tick_at(const double *ring, double at)
{
    const double whole = floor(at), part = at - whole;
    const int64_t i = (int64_t)whole;
    return (1.0 - part) * ring[i & (TICKS - 1)] + part * ring[(i + 1) & (TICKS - 1)];
}

/* Adds the breath between the last two crests to the average one, if the ticks still hold it. */
static void learn(const rs_breaths *breaths, channel_state *one)
{
    const turning *crest = one->turns.crest, trough = one->turns.trough[0];
    if (crest[1].tick < (double)(one->ticks - TICKS + 2))
        return;
    const double depth = 0.5 * (crest[0].value + crest[1].value) - trough.value;
    const double middle = trough.value + 0.5 * depth;
    /* A slope belongs to the middle of the span that it was taken over. */
    const double later = 0.5 * (double)breaths->span / (double)breaths->tick;
    double level[BREATH_PLACES], slope[BREATH_PLACES];
    for (int k = 0; k < BREATH_PLACES; k++) {
        const double phase = place_phase(&one->place, k) / PI;
        const double tick = phase < 1.0 ? crest[1].tick + phase * (trough.tick - crest[1].tick)
                                        : trough.tick + (phase - 1.0) * (crest[0].tick - trough.tick);
        level[k] = (tick_at(one->smooth, tick) - middle) / depth;
        slope[k] = tick_at(one->slope, fmin(tick + later, (double)(one->ticks - 1))) / depth;
    }
    place_learn(&one->place, level, slope, (trough.tick - crest[1].tick) / (crest[0].tick - crest[1].tick));
}

/* Smoothed signal around frame `middle` of it. */
static double smooth_at(const rs_breaths *breaths, const channel_state *one, int64_t middle)
{
    return box_sum(&one->once, &breaths->second, middle) * breaths->second.scale;
}

/* What becomes known at a tick, whose smoothed signal belongs to frame `middle`. Returns how many breaths. */
static size_t tick(const rs_breaths *breaths, channel_state *one, int32_t channel, int64_t middle, int64_t now,
                   rs_breath *found)
{
    const int64_t reach = box_ahead(&breaths->second), from = middle - breaths->span;
    const double lost = ring_before(&one->lost, middle + reach + 1)
                        - ring_before(&one->lost, from > reach ? from - reach : 0);
    const double value = smooth_at(breaths, one, middle);
    const double span_s = (double)breaths->span / breaths->rate_hz;
    const double slope = from < 0 ? 0.0 : (value - smooth_at(breaths, one, from)) / span_s;
    const double number = (double)one->ticks;
    one->smooth[one->ticks & (TICKS - 1)] = value;
    one->slope[one->ticks & (TICKS - 1)] = slope;
    one->ticks++;
    one->gap = lost > 0.0 ? one->gap + 1 : 0;
    if ((double)one->gap * breaths->tick_s >= GAP_S)
        turns_begin(&one->turns);

    size_t count = 0;
    if (one->started && (double)one->gap * breaths->tick_s < GAP_S
        && turns_add(&one->turns, number, value, lost == 0.0, breaths->tick_s) > 0) {
        rs_breath breath = turns_breath(&one->turns, breaths->tick_s);
        if (breath.verdict == RS_BREATH_STEADY || (breath.verdict == RS_BREATH_DOUBTFUL && breath.quality > 0.8))
            learn(breaths, one);
        const double pull = fmax(RECENT, 1.0 / (1.0 + one->turns.lengths_s.count));
        one->quality += pull * (breath.quality - one->quality);
        /* From ticks to frames: tick 0 belonged to the frame `middle` - ticks before this one. */
        const double first = (double)middle - number * (double)breaths->tick;
        breath.at = first + breath.at * (double)breaths->tick;
        breath.trough = first + breath.trough * (double)breaths->tick;
        breath.told = now;
        breath.channel = channel;
        found[count++] = breath;
    }

    const double length_s = turns_length_s(&one->turns), depth = turns_depth(&one->turns);
    place_turn(&one->place, breaths->tick_s, length_s);
    if (lost == 0.0 && depth > 0.0) {
        const double then = value - 0.5 * slope * span_s; /* where the slope is that of the signal */
        place_weigh(&one->place, (then - turns_middle(&one->turns)) / depth, slope / depth, breaths->tick_s, length_s);
    }
    double concentration, hz;
    const double ahead_s = breaths->delay_s + 0.5 * span_s;
    place_read(&one->place, ahead_s, length_s, &one->phase, &hz, &concentration);
    one->pace = 2.0 * PI * hz / breaths->rate_hz;
    one->confidence = concentration * ramp(one->place.misfit, MISFIT_NONE, MISFIT_FULL) * one->quality;
    if (depth <= 0.0)
        one->confidence = 0.0;
    return count;
}

static size_t advance(const rs_breaths *breaths, channel_state *one, int32_t channel, double x, int came,
                      double *phase, double *confidence, rs_breath *found)
{
    const int64_t now = one->raw.next;
    size_t count = 0;
    came = came && fabs(x) <= MOST;
    if (came && !one->started) {
        one->started = 1;
        one->level = x;
    }
    ring_push(&one->seen, came);
    ring_push(&one->raw, came ? x - one->level : 0.0);
    const int64_t first = now - box_ahead(&breaths->first);
    if (first >= 0) {
        const double seen = box_sum(&one->seen, &breaths->first, first);
        const int lost = seen * breaths->first.scale < 0.5;
        if (!lost)
            one->held = box_sum(&one->raw, &breaths->first, first) / seen;
        ring_push(&one->once, one->held);
        ring_push(&one->lost, lost);
        const int64_t second = first - box_ahead(&breaths->second);
        if (second >= 0 && second % breaths->tick == 0)
            count = tick(breaths, one, channel, second, now, found);
        else
            one->phase += one->phase + one->pace > PI ? one->pace - 2.0 * PI : one->pace;
    }
    *phase = one->phase;
    *confidence = one->confidence;
    return count;
}

size_t rs_breaths_process(rs_breaths *breaths, size_t frames, const double *x, const uint8_t *valid, double *phase,
                          double *confidence, rs_breath *found)
{
    size_t count = 0;
    for (size_t begin = 0; begin < frames; begin += BLOCK) {
        const size_t end = frames - begin < BLOCK ? frames : begin + BLOCK;
        for (size_t c = 0; c < breaths->channels; c++)
            for (size_t n = begin; n < end; n++) {
                const size_t sample = n * breaths->channels + c;
                const int came = valid == NULL || valid[sample];
                count += advance(breaths, &breaths->at[c], (int32_t)c, came ? x[sample] : 0.0, came, &phase[sample],
                                 &confidence[sample], found + count);
            }
    }
    return count;
}

void rs_breaths_rate(const rs_breaths *breaths, double *hz)
{
    for (size_t c = 0; c < breaths->channels; c++) {
        const breath_turns *turns = &breaths->at[c].turns;
        hz[c] = turns->lengths_s.count ? 1.0 / turns_length_s(turns) : (double)NAN;
    }
}
