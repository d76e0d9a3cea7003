/* Heartbeats and breaths, one by one, as they come; and where in a breath somebody is. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_RHYTHM_H
#define DREAMPODS_RESONANCE_RHYTHM_H

#include <stddef.h>
#include <stdint.h>

/* ---- beats: when a heart beat, and which intervals can be trusted ------------------------------
 *
 * The same method for an electrocardiogram and a pulse wave. The signal is smoothed without delay
 * of phase; of a pulse wave the rising slope is squared, of an electrocardiogram the curvature; and
 * a beat is where the mean of that over the length of a beat's own steep part is above the mean
 * over the length of a short cycle: two moving averages (Elgendi 2013, doi
 * 10.1371/journal.pone.0073557 and 10.1371/journal.pone.0076585), here over what baseline wander
 * hardly has. Both averages lie centred on the moment that is judged, so that the threshold follows
 * an amplitude that changes from beat to beat, without memory.
 *
 * What is done about artefacts
 *   weak      A rise far weaker than the recent beats is none: a T wave, a dicrotic wave, noise. Soon
 *             after a beat it must be nearly as strong; the longer none has come, the weaker it may
 *             be. Of two within the refractory time (0.27 s, 0.23 s) the better counts.
 *   quality   0..1, the product of four shares: how much the beat is shaped like those before it
 *             (correlation with a running template), how near its strength is to theirs, how far it
 *             stands out from what surrounds it, how many of its samples came. Motion, noise and
 *             clipping show in the first three. What is unlike a beat, but strong and just when one
 *             is due, has 0.25; below 0.2 nothing is told. Four such in a row, and the template is
 *             made anew: the sensor has moved.
 *   verdict   Nothing is corrected, moved, or filled in. Every interval says whether it is to be
 *             believed, judged against the median of the last nine; see below. It may differ from that
 *             by a fifth, and by up to two fifths where intervals always change much.
 *   gaps      Missing samples are bridged for the smoothing only. An interval with so many of them
 *             that a beat could be among them (half a refractory time), or longer than 2.5 s, is none.
 */
typedef struct rs_beats rs_beats;

/* What is listened to. */
enum {
    RS_PULSE,   /* pulse wave (PPG, blood volume) that rises when blood comes */
    RS_ECG      /* electrocardiogram of either polarity */
};

/* The verdict on the interval that a beat ends. */
enum {
    RS_BEAT_STEADY,   /* as long as expected: what heart rates are made of */
    RS_BEAT_EARLY,    /* much shorter: this beat is ectopic, or none; the next one tells */
    RS_BEAT_LATE,     /* much longer, by no whole number of beats */
    RS_BEAT_MISSED,   /* about two or more beats long: some were missed, or the heart paused */
    RS_BEAT_EXTRA,    /* with the early one before as long as one beat: that one was none */
    RS_BEAT_PAUSE,    /* with the early one before as long as two beats: that one was ectopic */
    RS_BEAT_DOUBTFUL, /* one of its ends is below quality 0.5, or nothing can be expected: fewer than two
                       * intervals are known, or they change by a quarter from each to the next */
    RS_BEAT_GAP       /* samples are missing in it, it exceeds 2.5 s, or it has no beginning */
};

typedef struct {
    double at;          /* R wave, or crest of the pulse: frame number from 0, between frames */
    double interval_s;  /* since the beat before, of pulses between their steepest rises; NaN at a gap */
    double quality;     /* 0..1 */
    int64_t told;       /* the frame that brought the news */
    int32_t channel, verdict;
} rs_beat;

/* rate_hz: 25 to 1000; an R wave lasts less than a sample of 25 Hz, better take 50 or more. listen:
 * RS_PULSE or RS_ECG. */
rs_beats *rs_beats_new(size_t channels, double rate_hz, int32_t listen);
void rs_beats_free(rs_beats *beats);

/* Frames that pass at most between a beat and the news of it: 1.2 s of an electrocardiogram, 1.4 s of
 * a pulse wave, up to 0.15 s more at the lowest rates. Usual is half of that: 0.6 s. */
size_t rs_beats_latency(const rs_beats *beats);

/* Beats that `frames` frames can bring at most, in all channels together. */
size_t rs_beats_most(const rs_beats *beats, size_t frames);

/* x [frames, channels]; valid [frames, channels] is 0 where a sample is missing (x is not read
 * there), NULL if none is. NaN and numbers beyond 1e100 count as missing. found [rs_beats_most]: those
 * of one channel in the order of time. Returns how many there are. The beats of a channel are the
 * same however its frames are divided into calls. */
size_t rs_beats_process(rs_beats *beats, size_t frames, const double *x, const uint8_t *valid,
                        rs_beat *found);

/* ---- breaths: where in a breath somebody is, and when they breathed -----------------------------
 *
 * Of a belt, or any signal that rises with the breath in. Phase 0 is the crest, full inhalation; pi
 * is the lowest point after it; between them the phase of a breath runs evenly, though breathing
 * out takes longer than breathing in.
 *
 * The phase is the mean of a probability over 48 places of the breath, kept up ten times a second by
 * Bayes' rule. Time turns it at the person's own pace and spreads it, because a breath differs from
 * the next by a sixth; level and slope of the signal, measured in recent breaths' depths, weigh
 * each place by how well they fit the person's own average breath there. So the phase waits where
 * somebody pauses, and is known in the middle of a breath as at its ends. It belongs to the newest
 * frame: what smoothing costs (about 0.3 s) is counted on.
 *
 * The confidence, 0..1, is how concentrated that probability is (the length of its mean vector: an
 * error of 30 degrees makes it 0.87), times how well the average breath fits at all, times the
 * quality of recent breaths. Without samples the probability spreads, and the confidence falls.
 *
 * Breaths themselves are the turning points of the smoothed signal that are at least a quarter of the usual
 * depth apart (the hysteresis shrinks while none comes): baseline wander moves, but does not hide
 * them. What is done about artefacts:
 *   quality   the product of four shares: how near the depth is to the median of the last ones (a
 *             sigh of three times that is still a breath), how straight the way from crest to trough
 *             to crest was (movement and noise are not), how near the length is to what people
 *             breathe (1.2 to 20 s), how many of the samples came.
 *   verdict   nothing is corrected; the average breath is learned from steady ones only.
 *   gaps      after two seconds without samples the turning points begin anew.
 */
typedef struct rs_breaths rs_breaths;

/* The verdict on the breath that a crest ends. */
enum {
    RS_BREATH_STEADY,   /* as deep and as long as expected */
    RS_BREATH_SIGH,     /* more than 1.8 times as deep as usual */
    RS_BREATH_SHALLOW,  /* less than half as deep */
    RS_BREATH_PAUSE,    /* more than 1.7 times as long as usual */
    RS_BREATH_DOUBTFUL, /* quality below 0.5, or the first breaths */
    RS_BREATH_GAP       /* samples are missing since the crest before, or there was none */
};

typedef struct {
    double at;          /* the crest: frame number from 0, between frames */
    double trough;      /* the lowest point before it */
    double interval_s;  /* since the crest before; NaN where the verdict is a gap */
    double depth;       /* from trough to crest, in the signal's unit */
    double quality;     /* 0..1 */
    int64_t told;       /* the frame that brought the news */
    int32_t channel, verdict;
} rs_breath;

/* rate_hz: 10 to 1000. */
rs_breaths *rs_breaths_new(size_t channels, double rate_hz);
void rs_breaths_free(rs_breaths *breaths);

/* Breaths that `frames` frames can bring at most, in all channels together. */
size_t rs_breaths_most(const rs_breaths *breaths, size_t frames);

/* x, valid as for rs_beats_process. phase [frames, channels], radians from -pi to pi, NaN before
 * anything is known; confidence [frames, channels]; found [rs_breaths_most], those of one
 * channel in the order of time. Returns how many breaths were found. All results are the same however
 * the frames are divided into calls. */
size_t rs_breaths_process(rs_breaths *breaths, size_t frames, const double *x, const uint8_t *valid,
                          double *phase, double *confidence, rs_breath *found);

/* Breaths per second of each channel [channels], the median of the last ones; NaN before the second. */
void rs_breaths_rate(const rs_breaths *breaths, double *hz);

#endif
