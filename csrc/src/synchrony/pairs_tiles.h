/*
 * Products of rows, for one precision: included with REAL and NAME(x) defined.
 *
 * A tile is a few pods a by one vector of pods b. It stays in registers while all frames of the batch pass; one load
 * of b's numbers serves all of its a. Where sum_ab follows from sum_ba, tiles left of the diagonal are left out.
 */

#include "pairs_vector.h"

#define TALL 8      /* pods a of a tile of one sum */
#define LOW 4       /* pods a of a tile of four products, which need as many registers */

RS_INLINE VECTOR *NAME(load)(VECTOR *to, const REAL *from)
{
    memcpy(to, from, sizeof *to);
    return to;
}

/* tile[a] += sign * sum_t f_a g_b */
RS_INLINE void NAME(gather)(VECTOR *tile, const REAL *f, const REAL *g, size_t frames, size_t step, int sign)
{
    for (size_t t = 0; t < frames; t++, f += step, g += step) {
        VECTOR of_b;
        NAME(load)(&of_b, g);
        for (size_t a = 0; a < TALL; a++)
            tile[a] = sign > 0 ? tile[a] + f[a] * of_b : tile[a] - f[a] * of_b;
    }
}

RS_INLINE void NAME(product)(const pair_batch *batch, size_t sum, size_t f, size_t g)
{
    const pair_layout *layout = batch->layout;
    if (layout->sum[sum] == ABSENT)
        return;
    const size_t width = layout->width, step = layout->frame;
    const REAL *fresh = batch->fresh, *old = batch->old;
    const size_t at_f = layout->row[f], at_g = layout->row[g];
    for (size_t a = 0; a < layout->pods; a += TALL)
        for (size_t b = f == g ? a / LANES * LANES : 0; b < layout->pods; b += LANES) {
            VECTOR tile[TALL] = {0};
            const size_t at = layout->sum[sum] + a * width + b;
            NAME(gather)(tile, fresh + at_f + a, fresh + at_g + b, batch->entering, step, 1);
            if (batch->next != NULL)
                for (size_t i = 0; i < TALL; i++)
                    NAME(put)(batch->next + at + i * width, &tile[i]);
            if (batch->leaving)
                NAME(gather)(tile, old + at_f + a, old + at_g + b, batch->leaving, step, -1);
            for (size_t i = 0; i < TALL; i++)
                NAME(put)(batch->now + at + i * width, &tile[i]);
        }
}

/* Without weights a sum of a's numbers is the same for all b. */
RS_INLINE void NAME(alone)(const pair_batch *batch, size_t sum, size_t f)
{
    const pair_layout *layout = batch->layout;
    if (layout->sum[sum] == ABSENT)
        return;
    double *now = batch->now + layout->sum[sum];
    for (size_t t = 0; t < batch->entering; t++) {
        const REAL *row = (const REAL *)batch->fresh + t * layout->frame + layout->row[f];
        const double faded = batch->fade[t];
        for (size_t a = 0; a < layout->width; a++)
            now[a] += faded * (double)row[a];
        if (batch->next != NULL)
            for (size_t a = 0; a < layout->width; a++)
                batch->next[layout->sum[sum] + a] += faded * (double)row[a];
    }
    for (size_t t = 0; t < batch->leaving; t++) {
        const REAL *row = (const REAL *)batch->old + t * layout->frame + layout->row[f];
        for (size_t a = 0; a < layout->width; a++)
            now[a] -= (double)row[a];
    }
}

/* u_a conj(u_b), and where asked for u_a u_b: two or four sums from the same four products. */
typedef struct {
    VECTOR xx[LOW], yy[LOW], yx[LOW], xy[LOW];
} NAME(four);

RS_INLINE void NAME(gather_four)(NAME(four) *tile, const REAL *xa, const REAL *ya, const REAL *xb, const REAL *yb,
                                 size_t frames, size_t step, int sign)
{
    NAME(four) own = *tile; /* not through the pointer, so that it stays in registers */
    for (size_t t = 0; t < frames; t++, xa += step, ya += step, xb += step, yb += step) {
        VECTOR x, y;
        NAME(load)(&x, xb);
        NAME(load)(&y, yb);
#pragma GCC unroll 4
        for (size_t a = 0; a < LOW; a++) {
            own.xx[a] = sign > 0 ? own.xx[a] + xa[a] * x : own.xx[a] - xa[a] * x;
            own.yy[a] = sign > 0 ? own.yy[a] + ya[a] * y : own.yy[a] - ya[a] * y;
            own.yx[a] = sign > 0 ? own.yx[a] + ya[a] * x : own.yx[a] - ya[a] * x;
            own.xy[a] = sign > 0 ? own.xy[a] + xa[a] * y : own.xy[a] - xa[a] * y;
        }
    }
    *tile = own;
}

RS_INLINE void NAME(put_four)(const pair_layout *layout, double *sums, size_t at, const NAME(four) *tile, int turn)
{
#pragma GCC unroll 4
    for (size_t i = 0; i < LOW; i++) {
        const size_t here = at + i * layout->width;
        const VECTOR lock_re = tile->xx[i] + tile->yy[i], lock_im = tile->yx[i] - tile->xy[i];
        NAME(put)(sums + layout->sum[RS_SUM_LOCK_RE] + here, &lock_re);
        NAME(put)(sums + layout->sum[RS_SUM_LOCK_IM] + here, &lock_im);
        if (!turn)
            continue;
        const VECTOR turn_re = tile->xx[i] - tile->yy[i], turn_im = tile->yx[i] + tile->xy[i];
        NAME(put)(sums + layout->sum[RS_SUM_TURN_RE] + here, &turn_re);
        NAME(put)(sums + layout->sum[RS_SUM_TURN_IM] + here, &turn_im);
    }
}

RS_INLINE void NAME(lock)(const pair_batch *batch, int turn)
{
    const pair_layout *layout = batch->layout;
    const size_t x = layout->row[ROW_X], y = layout->row[ROW_Y];
    const REAL *fresh = batch->fresh, *old = batch->old;
    for (size_t a = 0; a < layout->pods; a += LOW)
        for (size_t b = a / LANES * LANES; b < layout->pods; b += LANES) {
            NAME(four) tile = {0};
            const size_t at = a * layout->width + b;
            NAME(gather_four)(&tile, fresh + x + a, fresh + y + a, fresh + x + b, fresh + y + b, batch->entering,
                              layout->frame, 1);
            if (batch->next != NULL)
                NAME(put_four)(layout, batch->next, at, &tile, turn);
            if (batch->leaving)
                NAME(gather_four)(&tile, old + x + a, old + y + a, old + x + b, old + y + b, batch->leaving,
                                  layout->frame, -1);
            NAME(put_four)(layout, batch->now, at, &tile, turn);
        }
}

RS_CLONES
static void NAME(pairs_products)(const pair_batch *batch)
{
    const pair_layout *layout = batch->layout;
    if (layout->sum[RS_SUM_TURN_RE] != ABSENT)
        NAME(lock)(batch, 1);
    else if (layout->sum[RS_SUM_LOCK_RE] != ABSENT)
        NAME(lock)(batch, 0);
    NAME(product)(batch, RS_SUM_ENVELOPES, ROW_ENVELOPE, ROW_ENVELOPE);
    if (layout->weighted) {
        NAME(product)(batch, RS_SUM_WEIGHT, ROW_WEIGHT, ROW_WEIGHT);
        NAME(product)(batch, RS_SUM_FRAMES, ROW_FRAMES, ROW_FRAMES);
        NAME(product)(batch, RS_SUM_SQUARE, ROW_SQUARE, ROW_SQUARE);
        NAME(product)(batch, RS_SUM_MEAN_RE, ROW_X, ROW_WEIGHT);
        NAME(product)(batch, RS_SUM_MEAN_IM, ROW_Y, ROW_WEIGHT);
        NAME(product)(batch, RS_SUM_DOUBLE_RE, ROW_X2, ROW_WEIGHT);
        NAME(product)(batch, RS_SUM_DOUBLE_IM, ROW_Y2, ROW_WEIGHT);
        NAME(product)(batch, RS_SUM_ENVELOPE, ROW_ENVELOPE, ROW_WEIGHT);
        NAME(product)(batch, RS_SUM_POWER, ROW_POWER, ROW_WEIGHT);
    } else {
        NAME(alone)(batch, RS_SUM_MEAN_RE, ROW_X);
        NAME(alone)(batch, RS_SUM_MEAN_IM, ROW_Y);
        NAME(alone)(batch, RS_SUM_DOUBLE_RE, ROW_X2);
        NAME(alone)(batch, RS_SUM_DOUBLE_IM, ROW_Y2);
        NAME(alone)(batch, RS_SUM_ENVELOPE, ROW_ENVELOPE);
        NAME(alone)(batch, RS_SUM_POWER, ROW_POWER);
    }
}

void NAME(rs_pairs_products)(const pair_batch *batch)
{
    NAME(pairs_products)(batch);
}

#undef TALL
#undef LOW
