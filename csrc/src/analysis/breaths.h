/* What the three parts of the breath follower share. Not of the ABI. */
#ifndef DREAMPODS_BREATHS_H
#define DREAMPODS_BREATHS_H

#include "box.h"
#include "median.h"
#include "resonance.h"

enum { BREATH_PLACES = 48 };

/* ---- breaths_turns.c: where the signal turns --------------------------------------------------- */

/* A crest or a trough. */
typedef struct {
    double tick, value;
    double travelled;       /* the signal's way until there, up and down */
    double seen;            /* ticks with samples until there */
} turning;

typedef struct {
    int direction;          /* 1 rising, -1 falling, 0 not known yet */
    double began;           /* the tick of the first value since the last gap */
    double lowest, highest; /* since then */
    double before[2];       /* the last two values, newest first */
    turning now, farthest;  /* the last value; the extremum in the present direction */
    double beside[2];       /* the values before and after that extremum */
    turning crest[2], trough[2]; /* newest first */
    int crests, troughs;    /* since the last gap */
    past_values depths;     /* of half breaths */
    past_values lengths_s;  /* of breaths */
} breath_turns;

/* How deep breaths are lately; 0 before anything is known. */
double turns_depth(const breath_turns *turns);

/* The middle between the last crests and troughs. */
double turns_middle(const breath_turns *turns);

/* How long breaths are lately. */
double turns_length_s(const breath_turns *turns);

/* After a gap: nothing spans it. */
void turns_begin(breath_turns *turns);

/* One value, `tick` counted from 0, each tick_s long; came is 0 if it was bridged.
 * Returns 1 where a crest, -1 where a trough has become certain. */
int turns_add(breath_turns *turns, double tick, double value, int came, double tick_s);

/* The breath that the newest crest ended: all of it but `told` and `channel`, with `at` and `trough` in ticks. */
rs_breath turns_breath(breath_turns *turns, double tick_s);

/* ---- breaths_place.c: where in a breath somebody is -------------------------------------------- */

typedef struct {
    double level[BREATH_PLACES], slope[BREATH_PLACES]; /* of this person's average breath, in depths (per second) */
    double probability[BREATH_PLACES];
    double re[BREATH_PLACES], im[BREATH_PLACES];       /* e^{i phase} of each place */
    double out_share;       /* of a breath's time, from crest to trough */
    double misfit;          /* recent mean square distance from the average breath, in standard deviations */
} breath_place;

/* Nothing is known: an even breath, and to be anywhere in it. */
void place_begin(breath_place *place);

/* dt_s passes, at a pace of one breath in length_s. */
void place_turn(breath_place *place, double dt_s, double length_s);

/* The signal's level and its slope per second, both in depths, are these for dt_s. */
void place_weigh(breath_place *place, double level, double slope, double dt_s, double length_s);

/* The mean phase ahead_s later, how fast it turns there, and how concentrated the probability is, 0..1. */
void place_read(const breath_place *place, double ahead_s, double length_s, double *phase, double *hz,
                double *concentration);

/* The phase of a place. */
double place_phase(const breath_place *place, int k);

/* One more breath for the average: level and slope at each place. */
void place_learn(breath_place *place, const double *level, const double *slope, double out_share);

#endif
