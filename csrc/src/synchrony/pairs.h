/*
 * What the files of rs_pairs share. Not of the ABI.
 *
 * All measures but the phase lag ones follow from products of rows: for one band and frame, a row holds one number
 * per pod, such as w cos(phase), and sum_t f_a g_b over pairs (a, b) is one product of matrices. So a push packs its
 * frames into rows, multiplies those that enter and those that leave in blocks that stay in registers (pairs_rows.h,
 * pairs_tiles.h), and only then touches the sums: memory is walked once per push, not once per frame.
 *
 * Rows are of the precision that was asked for, sums are always double.
 */
#ifndef DREAMPODS_PAIRS_H
#define DREAMPODS_PAIRS_H

#include "resonance.h"
#include "simd.h"

/* Rows of the packed frames. A row that no sum needs is not kept. */
enum {
    ROW_X, ROW_Y,               /* w cos(phase), w sin(phase) */
    ROW_WEIGHT, ROW_FRAMES,     /* w, and 1 where w > 0 */
    ROW_SQUARE,                 /* w^2 */
    ROW_X2, ROW_Y2,             /* w cos(2 phase), w sin(2 phase) */
    ROW_ENVELOPE, ROW_POWER,    /* w |z|, w |z|^2 */
    ROW_RE, ROW_IM,             /* w re z, w im z */
    ROWS
};

#define ABSENT SIZE_MAX

/* Frames that are packed and multiplied together. More would not make the sums' share of the time much smaller. */
#define MOST_FRAMES 32

/* Pods at a multiple of this: a vector of floats, so that no tile ends inside one. */
#define LANES_MOST 16

typedef struct {
    size_t pods, bands, width;  /* width: pods, rounded up to whole vectors; the rest of a row is 0 */
    int weighted;
    size_t rows, row[ROWS];     /* where each row lies in a frame, in numbers, or ABSENT */
    size_t frame;               /* numbers of one frame of one band */
    size_t band;                /* doubles of one band's sums */
    size_t sum[RS_PAIR_SUMS];   /* where each sum lies in a band, in doubles, or ABSENT */
    size_t down[RS_PAIR_SUMS], across[RS_PAIR_SUMS]; /* steps from pod a to a + 1, from b to b + 1 */
} pair_layout;

/* One band's frames on their way into the sums. `next` may be NULL. */
typedef struct {
    const pair_layout *layout;
    const void *fresh, *old;    /* [frames, layout->frame] */
    size_t entering, leaving;   /* frames */
    const double *fade;         /* [entering], by which the weights of each were multiplied */
    double *now, *next;
} pair_batch;

/* Packs `frames` of u [frames, pods, bands] to packed [bands, MOST_FRAMES, layout->frame]; each frame's weights are
 * multiplied by fade[frame]. scratch: 4 * pods * bands numbers. */
void rs_pairs_pack_double(const pair_layout *layout, size_t frames, const double *u, const double *weight,
                          const double *fade, double *scratch, double *packed);
void rs_pairs_pack_float(const pair_layout *layout, size_t frames, const float *u, const float *weight,
                         const double *fade, float *scratch, float *packed);

/* Everything that is a product of rows. */
void rs_pairs_products_double(const pair_batch *batch);
void rs_pairs_products_float(const pair_batch *batch);

/* The sums over Im(z_a conj(z_b)), its size and its square, which are not. */
void rs_pairs_lags_double(const pair_batch *batch);
void rs_pairs_lags_float(const pair_batch *batch);

/* One band's values, out [pods, pods], from sums [pod a, pod b] with the given steps; those not needed may be NULL. */
void rs_pairs_measure(rs_pair_measure measure, size_t pods, const double *const *sums, const size_t *down,
                      const size_t *across, double *out);

#endif
