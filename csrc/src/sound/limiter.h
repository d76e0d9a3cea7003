/*
 * A look-ahead peak limiter for one stereo stream; the mixer owns one per pod. Not of the ABI.
 *
 * Why no peak gets through. Each incoming frame needs a gain of at most ceiling / peak. The
 * smallest need among the last `reach` frames is held, recovering slowly, and the held gain is
 * averaged over `reach` frames. When a frame leaves, reach - 1 frames after it came, every term
 * of that average was held while the frame was in sight, so none is above its need, and neither
 * is the average. The average is also what makes the gain glide: a straight line down, ending at
 * the peak. Rounding, and a ceiling that fell meanwhile, are settled by a clip at the end.
 *
 * Nearly all blocks of a quiet dreamscape need no gain at all; they are only delayed.
 */
#ifndef DREAMPODS_LIMITER_H
#define DREAMPODS_LIMITER_H

#include <stddef.h>

typedef struct {
    size_t reach;           /* frames: look-ahead + 1 */
    double recovery;        /* share of the way back to 1 made in a frame */
    double held;
    /* Needs below 1 that are still in sight, smallest first (a later, larger need cannot matter
     * before the smaller ones before it are out of sight; an earlier, larger one never). */
    size_t *seen;
    double *need;
    size_t first, count;
    size_t now;             /* frames since the limiter was last at rest */
    double *ring;           /* [reach] held gains */
    size_t slot;
    double sum;             /* of the ring */
    size_t untouched;       /* frames for which the held gain has been 1; at rest from reach on */
    float *line;            /* [reach - 1 + frames, 2]: the delay, then the new block */
} rs_limiter;

/* 0, or -1 if memory is short. */
int rs_limiter_init(rs_limiter *limiter, size_t frames, size_t lookahead, double release_frames);
void rs_limiter_done(rs_limiter *limiter);

/* Where to put a block of [frames, 2] before rs_limiter_run. */
float *rs_limiter_input(rs_limiter *limiter);

/* out [frames, 2], delayed by the look-ahead; its largest magnitude and its mean square. */
void rs_limiter_run(rs_limiter *limiter, size_t frames, float ceiling, float *out, float *peak,
                    float *mean_square);

#endif
