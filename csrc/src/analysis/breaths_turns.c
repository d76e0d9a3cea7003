/*
 * Crests and troughs of a breath: see rhythm.h.
 *
 * An extremum is certain once the signal has moved away from it by a share of the usual depth (hysteresis). Depths
 * are medians of the last half breaths, so that neither a sigh nor a movement changes what counts as a breath.
 */
#include <math.h>

#include "breaths.h"

static const double HYSTERESIS = 0.25;        /* of the usual depth */
static const double LEAST_HYSTERESIS = 0.1;
static const double FIRST_WAIT_S = 1.0;       /* of signal, before anything can turn */
static const double PATIENCE = 1.5;           /* usual lengths without a turn, after which the hysteresis shrinks */
static const double FIRST_LENGTH_S = 4.0;     /* before there was a breath */
static const double SHORTEST_S = 1.2, LONGEST_S = 20.0;
static const double TRUSTED = 0.5;
static const double SIGH = 1.8, SHALLOW = 0.5, PAUSE = 1.7; /* times the usual */
static const double CHANGE = 1.5;             /* times; what one half breath can make of the usual depth */
static const double MIDDLE = 0.5;

double turns_depth(const breath_turns *turns)
{
    const double range = turns->highest - turns->lowest;
    const double usual = past_usual(&turns->depths, MIDDLE);
    return turns->depths.count < 3 && 0.5 * range > usual ? 0.5 * range : usual;
}

double turns_middle(const breath_turns *turns)
{
    if (turns->crests < 1 || turns->troughs < 1)
        return 0.5 * (turns->highest + turns->lowest);
    return 0.5 * (turns->crest[0].value + turns->trough[0].value);
}

double turns_length_s(const breath_turns *turns)
{
    return turns->lengths_s.count ? past_usual(&turns->lengths_s, MIDDLE) : FIRST_LENGTH_S;
}

void turns_begin(breath_turns *turns)
{
    turns->direction = 0;
    turns->crests = turns->troughs = 0;
    turns->began = -1.0;
}

static double hysteresis(const breath_turns *turns, double tick_s)
{
    const double since_s = (turns->now.tick - turns->farthest.tick) * tick_s, usual_s = turns_length_s(turns);
    const double late = since_s / usual_s - PATIENCE;
    const double share = late > 0.0 ? HYSTERESIS * exp(-late) : HYSTERESIS;
    return turns_depth(turns) * (share > LEAST_HYSTERESIS ? share : LEAST_HYSTERESIS);
}

static void reach(breath_turns *turns)
{
    turns->farthest = turns->now;
    turns->beside[0] = turns->before[1];
    turns->beside[1] = turns->now.value;
}

/* The extremum between the ticks: the vertex of the parabola through it and those beside it. */
static turning settled(const breath_turns *turns)
{
    turning found = turns->farthest;
    const double curve = turns->beside[0] - 2.0 * found.value + turns->beside[1];
    if (curve != 0.0) {
        const double shift = 0.5 * (turns->beside[0] - turns->beside[1]) / curve;
        if (fabs(shift) <= 1.0)
            found.tick += shift;
    }
    return found;
}

static void keep(turning *list, int *count, turning found)
{
    list[1] = list[0];
    list[0] = found;
    (*count)++;
}

/* Half a breath, if it took long enough to be one. Movements are deep: none may change much. */
static void remember_depth(breath_turns *turns, double tick_s)
{
    const double took_s = fabs(turns->crest[0].tick - turns->trough[0].tick) * tick_s;
    if (took_s < 0.5 * SHORTEST_S)
        return;
    double depth = turns->crest[0].value - turns->trough[0].value;
    if (turns->depths.count > 2) {
        const double usual = past_usual(&turns->depths, MIDDLE);
        depth = fmin(fmax(depth, usual / CHANGE), usual * CHANGE);
    }
    past_add(&turns->depths, depth);
}

int turns_add(breath_turns *turns, double tick, double value, int came, double tick_s)
{
    if (turns->began < 0.0) {
        turns->began = tick;
        turns->lowest = turns->highest = value;
        turns->before[0] = turns->before[1] = value;
        turns->now = (turning){tick, value, 0.0, 0.0};
        turns->farthest = turns->now;
    }
    turns->now.travelled += fabs(value - turns->now.value);
    turns->now.seen += came;
    turns->now.tick = tick;
    turns->now.value = value;
    turns->before[1] = turns->before[0];
    turns->before[0] = value;
    if (tick == turns->farthest.tick + 1.0)
        turns->beside[1] = value;
    turns->lowest = fmin(turns->lowest, value);
    turns->highest = fmax(turns->highest, value);
    if (turns->direction == 0) {
        const double enough = hysteresis(turns, tick_s);
        if ((tick - turns->began) * tick_s < FIRST_WAIT_S || !(enough > 0.0))
            return 0;
        if (value > turns->lowest + enough || value < turns->highest - enough) {
            turns->direction = value > turns->lowest + enough ? 1 : -1;
            reach(turns);
        }
        return 0;
    }
    const double further = turns->direction * (value - turns->farthest.value);
    if (further > 0.0) {
        reach(turns);
        return 0;
    }
    if (-further < hysteresis(turns, tick_s) || further == 0.0)
        return 0;
    const turning found = settled(turns);
    const int turned = turns->direction;
    if (turned > 0)
        keep(turns->crest, &turns->crests, found);
    else
        keep(turns->trough, &turns->troughs, found);
    if (turns->crests && turns->troughs)
        remember_depth(turns, tick_s);
    turns->direction = -turned;
    reach(turns);
    return turned;
}

rs_breath turns_breath(breath_turns *turns, double tick_s)
{
    const turning *crest = turns->crest, *trough = turns->trough;
    rs_breath breath = {.at = crest[0].tick, .trough = NAN, .interval_s = NAN, .depth = NAN, .verdict = RS_BREATH_GAP};
    if (turns->troughs < 1)
        return breath;
    breath.trough = trough[0].tick;
    breath.depth = crest[0].value - trough[0].value;
    if (turns->crests < 2)
        return breath;
    const double length_s = (crest[0].tick - crest[1].tick) * tick_s;
    const double usual = past_usual(&turns->depths, MIDDLE), usual_s = turns_length_s(turns);
    const double straight = crest[0].value + crest[1].value - 2.0 * trough[0].value;
    const double travelled = crest[0].travelled - crest[1].travelled;
    const double came = (crest[0].seen - crest[1].seen) / (crest[0].tick - crest[1].tick);
    breath.quality = ramp(came, 0.5, 1.0) * ramp(straight / travelled, 0.4, 0.8)
                     * ramp(fabs(log2(breath.depth / usual)), 3.0, 1.6)
                     * ramp(length_s, 0.5 * SHORTEST_S, SHORTEST_S) * ramp(length_s, 2.0 * LONGEST_S, LONGEST_S);
    if (came < 0.75)
        return breath;
    breath.interval_s = length_s;
    if (breath.quality < TRUSTED || turns->lengths_s.count < 2)
        breath.verdict = RS_BREATH_DOUBTFUL;
    else if (breath.depth > SIGH * usual)
        breath.verdict = RS_BREATH_SIGH;
    else if (breath.depth < SHALLOW * usual)
        breath.verdict = RS_BREATH_SHALLOW;
    else if (length_s > PAUSE * usual_s)
        breath.verdict = RS_BREATH_PAUSE;
    else
        breath.verdict = RS_BREATH_STEADY;
    if (breath.quality >= TRUSTED)
        past_add(&turns->lengths_s, length_s);
    return breath;
}
