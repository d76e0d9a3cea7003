/*
 * Where in a breath somebody is: a probability over places, and Bayes' rule. See rhythm.h.
 *
 * Places are even in time: place k is k / 48 of the time from crest to crest. Their phases are not, because phase pi is
 * the trough, wherever it lies in time. So a pace that is even in time turns the probability by the same number of
 * places everywhere, and nobody's long way out is mistaken for a slow breath.
 */
#include <math.h>
#include <string.h>

#include "breaths.h"

static const double PI = 3.14159265358979323846;
static const double SPREAD = 0.2;        /* standard deviation of a place after one breath, in breaths */
static const double LEVEL_SD = 0.25;     /* of a breath against the average one, in depths */
static const double SLOPE_SD = 0.57;     /* of its slope, in root mean square slopes */
static const double NEWS_S = 0.4;        /* level and slope tell something new about that often */
static const double FARTHEST = 9.0;      /* squared distance that counts at most: a jump does not decide all */
static const double DOUBT = 1e-9;        /* probability that is left everywhere */
static const double LEARN = 0.25;        /* weight of a new breath in the average */

double place_phase(const breath_place *place, int k)
{
    const double share = (double)k / BREATH_PLACES, out = place->out_share;
    return PI * (share < out ? share / out : 1.0 + (share - out) / (1.0 - out));
}

static void set_phases(breath_place *place)
{
    for (int k = 0; k < BREATH_PLACES; k++) {
        place->re[k] = cos(place_phase(place, k));
        place->im[k] = sin(place_phase(place, k));
    }
}

void place_begin(breath_place *place)
{
    place->out_share = 0.5;
    place->misfit = 2.0;
    set_phases(place);
    for (int k = 0; k < BREATH_PLACES; k++) {
        const double phase = 2.0 * PI * k / BREATH_PLACES;
        place->level[k] = 0.5 * cos(phase);
        place->slope[k] = -0.25 * PI * sin(phase);
        place->probability[k] = 1.0 / BREATH_PLACES;
    }
}

/* The ring of places, and its beginning once more, so that neighbours lie side by side. */
static void unroll(double *twice, const double *ring, int first)
{
    memcpy(twice, ring + first, (size_t)(BREATH_PLACES - first) * sizeof *ring);
    memcpy(twice + BREATH_PLACES - first, ring, BREATH_PLACES * sizeof *ring);
    memcpy(twice + 2 * BREATH_PLACES - first, ring, (size_t)first * sizeof *ring);
}

void place_turn(breath_place *place, double dt_s, double length_s)
{
    const double places = BREATH_PLACES * dt_s / length_s, part = places - floor(places);
    const int shift = (int)fmod(floor(places), BREATH_PLACES);
    double twice[2 * BREATH_PLACES], turned[BREATH_PLACES];
    /* Place k gets what was shift places before it, and a part of what was one place further. */
    unroll(twice, place->probability, (BREATH_PLACES - 1 - shift) % BREATH_PLACES);
    for (int k = 0; k < BREATH_PLACES; k++)
        turned[k] = (1.0 - part) * twice[k + 1] + part * twice[k];
    /* What the shift between places has spread already is part of the spread. The rest goes to places so far on both
     * sides that none gives away more than it keeps. */
    const double sd = SPREAD * BREATH_PLACES;
    const double spread = fmax(0.5 * (sd * sd * dt_s / length_s - part * (1.0 - part)), 0.0);
    int apart = 1;
    while (spread > 0.3 * apart * apart)
        apart++;
    const double share = spread / (apart * apart);
    double before[2 * BREATH_PLACES], after[2 * BREATH_PLACES];
    unroll(before, turned, (BREATH_PLACES - apart % BREATH_PLACES) % BREATH_PLACES);
    unroll(after, turned, apart % BREATH_PLACES);
    for (int k = 0; k < BREATH_PLACES; k++)
        place->probability[k] = turned[k] + share * (before[k] + after[k] - 2.0 * turned[k]);
}

/* e^x for x from -4 to 0, within 3e-4 of it: its series at x / 16, squared four times. Vectors of it, unlike the
 * library's. */
RS_INLINE double small_exp(double x)
{
    const double z = x / 16.0;
    double e = 1.0 + z * (1.0 + z * (0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0))));
    e *= e;
    e *= e;
    e *= e;
    return e * e;
}

void place_weigh(breath_place *place, double level, double slope, double dt_s, double length_s)
{
    double square = 0.0, sum = 0.0, misfit = 0.0;
    for (int k = 0; k < BREATH_PLACES; k++)
        square += place->slope[k] * place->slope[k] / BREATH_PLACES;
    const double news = -0.5 * fmin(dt_s / NEWS_S, 0.4);
    const double of_level = 1.0 / LEVEL_SD, of_slope = 1.0 / (SLOPE_SD * sqrt(square));
    for (int k = 0; k < BREATH_PLACES; k++) {
        const double a = of_level * (level - place->level[k]), b = of_slope * (slope - place->slope[k]);
        const double aa = a * a, bb = b * b;
        const double distance = (aa < FARTHEST ? aa : FARTHEST) + (bb < FARTHEST ? bb : FARTHEST);
        place->probability[k] = place->probability[k] * small_exp(news * distance) + DOUBT;
        sum += place->probability[k];
        misfit += place->probability[k] * distance;
    }
    for (int k = 0; k < BREATH_PLACES; k++)
        place->probability[k] /= sum;
    const double pull = fmin(2.0 * dt_s / length_s, 1.0);
    place->misfit += pull * (misfit / sum - place->misfit);
}

void place_read(const breath_place *place, double ahead_s, double length_s, double *phase, double *hz,
                double *concentration)
{
    const double out = place->out_share, turn = BREATH_PLACES * ahead_s / length_s;
    const double part = turn - floor(turn);
    const int shift = (int)fmod(floor(turn), BREATH_PLACES);
    double turned[2 * BREATH_PLACES], re = 0.0, im = 0.0, falling = 0.0;
    unroll(turned, place->probability, (BREATH_PLACES - 1 - shift) % BREATH_PLACES);
    for (int k = 0; k < BREATH_PLACES; k++) {
        const double here = (1.0 - part) * turned[k + 1] + part * turned[k];
        re += here * place->re[k];
        im += here * place->im[k];
        falling += k < out * BREATH_PLACES ? here : 0.0;
    }
    *phase = atan2(im, re);
    *hz = 0.5 * (falling / out + (1.0 - falling) / (1.0 - out)) / length_s;
    *concentration = fmin(sqrt(re * re + im * im), 1.0);
}

void place_learn(breath_place *place, const double *level, const double *slope, double out_share)
{
    for (int k = 0; k < BREATH_PLACES; k++) {
        place->level[k] += LEARN * (level[k] - place->level[k]);
        place->slope[k] += LEARN * (slope[k] - place->slope[k]);
    }
    place->out_share += LEARN * (fmin(fmax(out_share, 0.3), 0.8) - place->out_share);
    set_phases(place);
}
