/*
 * A look-ahead true-peak limiter for one stereo stream; the mixer owns one per pod. Not of the ABI.
 *
 * Why no peak gets through. Frames are taken in groups of RS_GROUP. Each group needs a gain of at most
 * ceiling / its true peak (true_peak.h). The smallest need in sight is held, recovering slowly, and the held gain is
 * averaged over the look-ahead. When a group leaves, every term of that average was held while the group was in
 * sight, so none is above its need, and neither is the average; and between two averages the gain goes on a straight
 * line. The average is also what makes the gain glide: a straight line down, ending at the peak. A need stays in
 * force for RS_MARGIN groups around its own, the reach of the filter that found it, so that a sound between samples
 * is turned down as a whole. Rounding, and a ceiling that fell meanwhile, are settled by a clip at the end.
 *
 * Nearly all blocks of a quiet dreamscape need no gain at all; they are only delayed, and their true peaks need not
 * even be known: no true peak is above the highest sample times a constant.
 */
#ifndef DREAMPODS_LIMITER_H
#define DREAMPODS_LIMITER_H

#include <stddef.h>

#include "true_peak.h"

#define RS_GROUP 4      /* frames that share a need: 1/8 ms at 32 kHz */
#define RS_MARGIN 2     /* groups on either side of a peak */

typedef struct {
    size_t ahead;           /* groups over which the gain glides */
    size_t sight;           /* groups in which a need is in force */
    double recovery;        /* share of the way back to 1 made in a group: too small for a float */
    double now;             /* the last of `held` */
    float gain;             /* at the end of the last group that left */
    int resting;            /* all gains in reach are 1 */
    float *need;            /* [sight - 1]: of the last groups that came */
    float *held;            /* [ahead]: the smallest needs in sight, as held, of the same */
    float *line;            /* [2, delay]: the sides' last frames */
} rs_limiter;

/* Frames from input to output. */
size_t rs_limiter_delay(size_t lookahead);

/* Floats that rs_limiter_run needs to think. */
size_t rs_limiter_scratch(size_t lookahead, size_t frames);

/* lookahead in frames; 0, or -1 if memory is short. */
int rs_limiter_init(rs_limiter *limiter, size_t lookahead, double release_frames);
void rs_limiter_done(rs_limiter *limiter);

/* side [2, pitch]: from frame rs_limiter_delay on a block of `frames` (a multiple of RS_LANES); what is before is
 * the limiter's to fill, and afterwards the limited sound stands in the first `frames`. */
void rs_limiter_run(rs_limiter *limiter, const rs_true_peak *filter, size_t frames, float ceiling, float *side,
                    size_t pitch, float *scratch);

#endif
