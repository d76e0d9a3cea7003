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
#include <stdint.h>

#include "true_peak.h"

#define RS_GROUP 4      /* frames that share a need: 1/8 ms at 32 kHz */
#define RS_MARGIN 2     /* groups on either side of a peak */

typedef struct {
    uint32_t ahead;         /* groups over which the gain glides */
    uint32_t sight;         /* groups in which a need is in force */
    uint32_t first, count;  /* of the queue below */
    uint32_t now;           /* groups since the limiter was last at rest */
    uint32_t slot;          /* in the ring */
    uint32_t untouched;     /* groups for which the held gain has been 1; at rest from `sight` on */
    float held, gain, recovery; /* recovery: share of the way back to 1 made in a group */
    double sum;             /* of the ring */
    /* Needs below 1 that are still in sight, smallest first (a later, larger need cannot matter before the smaller
     * ones before it are out of sight; an earlier, larger one never). */
    uint32_t *seen;         /* [sight] */
    float *need;            /* [sight] */
    float *ring;            /* [ahead] held gains */
    float *line;            /* [2, delay]: the sides' last frames */
} rs_limiter;

/* Frames from input to output. */
size_t rs_limiter_delay(size_t lookahead);

/* lookahead in frames, below 2^30; 0, or -1 if memory is short. */
int rs_limiter_init(rs_limiter *limiter, size_t lookahead, double release_frames);
void rs_limiter_done(rs_limiter *limiter);

/* side [2, pitch]: from frame rs_limiter_delay on a block of `frames` (a multiple of RS_LANES); what is before is
 * the limiter's to fill, and afterwards the limited sound stands in the first `frames`. scratch [frames]. */
void rs_limiter_run(rs_limiter *limiter, const rs_true_peak *filter, size_t frames, float ceiling, float *side,
                    size_t pitch, float *scratch);

#endif
