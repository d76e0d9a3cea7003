/* Heartbeats and breaths, one by one, as they come. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_RHYTHM_H
#define DREAMPODS_RESONANCE_RHYTHM_H

#include <stddef.h>
#include <stdint.h>

/* ---- beats: when a heart beat, and which intervals can be trusted ------------------------------
 *
 * The same method for an electrocardiogram and a pulse wave. The signal is smoothed without delay
 * of phase, its slope squared (of a pulse wave only the rising slope), and a beat is where the
 * mean of that over the length of a beat's own steep part is above the mean over the length of a
 * short cycle: two moving averages (Elgendi 2013, doi 10.1371/journal.pone.0073557 and
 * 10.1371/journal.pone.0076585), here over slopes, which baseline wander hardly has. Both averages
 * lie centred on the moment that is judged, so that a threshold follows an amplitude that changes
 * from beat to beat, without memory.
 *
 * What is done about artefacts
 *   weak      A rise far weaker than the recent beats is none: a T wave, a dicrotic wave, noise. The
 *             longer none has come, the weaker it may be. Of two within the refractory time the
 *             stronger counts.
 *   quality   0..1, the product of four shares: how much the beat is shaped like those before it
 *             (correlation with a running template), how near its strength is to their median, how
 *             far it stands out from what surrounds it, how many of its samples came. Motion, noise
 *             and clipped stretches fall in the first three.
 *   verdict   Nothing is corrected, moved, or filled in. Every interval says whether it is to be
 *             believed, judged against the median of the last intervals; see below.
 *   gaps      Missing samples are bridged for the smoothing only. An interval in which a beat could
 *             have been missing, longer than 2.5 s, or beside a beat of quality below 0.5 is none.
 */
typedef struct rs_beats rs_beats;

/* What is listened to. */
enum {
    RS_PULSE,        /* pulse wave (PPG, blood volume), blood up: 25 to 1000 Hz */
    RS_ECG           /* electrocardiogram, either polarity: 50 to 1000 Hz */
};

/* The verdict on the interval that a beat ends. */
enum {
    RS_BEAT_STEADY,   /* as long as expected: what heart rates are made of */
    RS_BEAT_EARLY,    /* much shorter: this beat is ectopic, or none; the next one tells */
    RS_BEAT_LATE,     /* much longer, by no whole number of beats */
    RS_BEAT_MISSED,   /* about two or more beats long: some were missed, or the heart paused */
    RS_BEAT_EXTRA,    /* with the early one before as long as one beat: that one was none */
    RS_BEAT_PAUSE,    /* with the early one before as long as two beats: that one was ectopic */
    RS_BEAT_DOUBTFUL, /* one of its ends is below quality 0.5, or too few beats were seen yet */
    RS_BEAT_GAP       /* samples are missing in it, it exceeds 2.5 s, or it has no beginning */
};

typedef struct {
    double at;        /* R wave, or crest of the pulse: frame number from 0, between frames */
    double interval_s;/* since the beat before; NaN where the verdict is a gap */
    double quality;   /* 0..1 */
    int64_t told;     /* the frame that brought the news */
    int32_t channel, verdict;
} rs_beat;

/* listen: RS_PULSE or RS_ECG. */
rs_beats *rs_beats_new(size_t channels, double rate_hz, int32_t listen);
void rs_beats_free(rs_beats *beats);

/* Frames that pass at most between a beat and the news of it. */
size_t rs_beats_latency(const rs_beats *beats);

/* Beats that `frames` frames can bring at most, in all channels together. */
size_t rs_beats_most(const rs_beats *beats, size_t frames);

/* x [frames, channels]; valid [frames, channels] is 0 where a sample is missing (x is not read
 * there), NULL if none is. Numbers beyond 1e100 count as missing. found [rs_beats_most]: channel by
 * channel, each in the order of time. Returns how many there are. The beats of a channel are the
 * same however its frames are divided into calls. */
size_t rs_beats_process(rs_beats *beats, size_t frames, const double *x, const uint8_t *valid,
                        rs_beat *found);

#endif
