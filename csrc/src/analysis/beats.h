/* What the two halves of the beat detector share. Not of the ABI. */
#ifndef DREAMPODS_BEATS_H
#define DREAMPODS_BEATS_H

#include "box.h"
#include "resonance.h"

enum { BEAT_SHAPE = 32, BEAT_PAST = 9 };

/* A rise that stands out: what beats.c finds, and beats_judge.c believes or not. */
typedef struct {
    double at;                /* the moment given out, in frames */
    double mark;              /* the moment that intervals are measured between, in frames */
    double strength;          /* root mean square slope, in the signal's unit per slope's span */
    double contrast;          /* share of the surrounding slope that is the beat's own, 0..1 */
    double came;              /* share of its samples that came, 0..1 */
    double shape[BEAT_SHAPE]; /* of mean 0 and norm 1; all 0 where nothing moved */
} candidate;

/* What is known of one channel's heart. */
typedef struct {
    candidate pending;        /* could still lose against a stronger one within the refractory time */
    int waiting;
    rs_beat last;             /* the last one told */
    double last_mark, last_strength;
    double before_last_s;     /* the interval that it ended */
    int told_any;
    double template[BEAT_SHAPE];
    double learned;           /* beats that the template was made of, at most its memory */
    double strengths[BEAT_PAST], intervals_s[BEAT_PAST];
    int strengths_count, intervals_count, strengths_next, intervals_next;
} heart;

typedef struct {
    double rate_hz, refractory_s;
} heart_manner;

double heart_usual(const double *past, int count);

/* How strong a rise must be, `since_s` after the last beat. */
double heart_least(const heart *one, double since_s);

/* The verdict on a candidate whose refractory time is over; `lost` samples were missing since the last beat. */
rs_beat heart_tell(heart *one, const heart_manner *manner, double lost_s);

#endif
