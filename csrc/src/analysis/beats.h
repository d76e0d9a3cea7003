/* What the two halves of the beat detector share. Not of the ABI. */
#ifndef DREAMPODS_BEATS_H
#define DREAMPODS_BEATS_H

#include "box.h"
#include "median.h"
#include "resonance.h"

enum { BEAT_SHAPE = 32 };

/* A rise that stands out: what beats.c finds, and beats_judge.c believes or not. */
typedef struct {
    double at;                /* the moment given out, in frames */
    double mark;              /* the moment that intervals are measured between, in frames */
    double strength;          /* root mean square slope, in the signal's unit per slope's span */
    double quality;
    double contrast;          /* share of the surrounding slope that is the beat's own, 0..1 */
    double came;              /* share of its samples that came, 0..1 */
    double shape[BEAT_SHAPE]; /* of mean 0 and norm 1; all 0 where nothing moved */
} candidate;

/* What is known of one channel's heart. */
typedef struct {
    candidate pending;        /* could still lose against a better one within the refractory time */
    int waiting;
    rs_beat last;             /* the last one told */
    double last_mark;
    double before_last_s;     /* the interval that it ended */
    int told_any;
    double template[BEAT_SHAPE];
    int learned;              /* beats that the template was made of, at most its memory */
    int refused;              /* rises in a row that were worth nothing */
    past_values strengths, intervals_s;
} heart;

typedef struct {
    double rate_hz, refractory_s;
    double early_least;       /* of the usual strength, that a rise soon after a beat must have to be another */
} heart_manner;

/* How strong a rise must be, `since_s` after the last beat. */
double heart_least(const heart *one, const heart_manner *manner, double since_s);

/* How likely the rise is a beat, 0..1. */
double heart_quality(const heart *one, const heart_manner *manner, const candidate *found);

/* Judges the pending rise, whose refractory time is over; `lost_s` of samples were missing since the last beat.
 * Returns 0 if it is worth nothing, 1 if it is told. */
int heart_tell(heart *one, const heart_manner *manner, double lost_s, rs_beat *beat);

#endif
