/*
 * Products of rows, for one precision: included with REAL and NAME(x) defined.
 *
 * A tile is a few pods a by one vector of pods b. It stays in registers while all frames of the batch pass; one load
 * of b's numbers serves all of its a. Where sum_ab follows from sum_ba, tiles left of the diagonal are left out.
 */

typedef REAL NAME(vector) __attribute__((vector_size(64)));
#define VECTOR NAME(vector)
#define LANES (64 / sizeof(REAL))
#define TALL 8      /* pods a of a tile of one sum */
#define LOW 4       /* pods a of a tile of two or four sums, which need as many registers */

RS_INLINE void NAME(put)(double *restrict sums, const VECTOR *tile)
{
    REAL numbers[LANES];
    memcpy(numbers, tile, sizeof numbers);
    for (size_t i = 0; i < LANES; i++)
        sums[i] += (double)numbers[i];
}

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

/* u_a conj(u_b) alone: two sums from four products. */
RS_INLINE void NAME(gather_lock)(VECTOR *re, VECTOR *im, const REAL *xa, const REAL *ya, const REAL *xb, const REAL *yb,
                                 size_t frames, size_t step, int sign)
{
    for (size_t t = 0; t < frames; t++, xa += step, ya += step, xb += step, yb += step) {
        VECTOR x, y;
        NAME(load)(&x, xb);
        NAME(load)(&y, yb);
        for (size_t a = 0; a < LOW; a++) {
            re[a] = sign > 0 ? re[a] + xa[a] * x : re[a] - xa[a] * x;
            im[a] = sign > 0 ? im[a] + ya[a] * x : im[a] - ya[a] * x;
            re[a] = sign > 0 ? re[a] + ya[a] * y : re[a] - ya[a] * y;
            im[a] = sign > 0 ? im[a] - xa[a] * y : im[a] + xa[a] * y;
        }
    }
}

RS_INLINE void NAME(lock)(const pair_batch *batch)
{
    const pair_layout *layout = batch->layout;
    const size_t width = layout->width, step = layout->frame;
    const size_t x = layout->row[ROW_X], y = layout->row[ROW_Y];
    const size_t at_re = layout->sum[RS_SUM_LOCK_RE], at_im = layout->sum[RS_SUM_LOCK_IM];
    const REAL *fresh = batch->fresh, *old = batch->old;
    for (size_t a = 0; a < layout->pods; a += LOW)
        for (size_t b = a / LANES * LANES; b < layout->pods; b += LANES) {
            VECTOR re[LOW] = {0}, im[LOW] = {0};
            const size_t at = a * width + b;
            NAME(gather_lock)(re, im, fresh + x + a, fresh + y + a, fresh + x + b, fresh + y + b, batch->entering,
                              step, 1);
            if (batch->next != NULL)
                for (size_t i = 0; i < LOW; i++) {
                    NAME(put)(batch->next + at_re + at + i * width, &re[i]);
                    NAME(put)(batch->next + at_im + at + i * width, &im[i]);
                }
            if (batch->leaving)
                NAME(gather_lock)(re, im, old + x + a, old + y + a, old + x + b, old + y + b, batch->leaving, step,
                                  -1);
            for (size_t i = 0; i < LOW; i++) {
                NAME(put)(batch->now + at_re + at + i * width, &re[i]);
                NAME(put)(batch->now + at_im + at + i * width, &im[i]);
            }
        }
}

/* u_a conj(u_b) and u_a u_b: four sums from the same four products. */
typedef struct {
    VECTOR xx[LOW], yy[LOW], yx[LOW], xy[LOW];
} NAME(four);

RS_INLINE void NAME(gather_four)(NAME(four) *tile, const REAL *xa, const REAL *ya, const REAL *xb, const REAL *yb,
                                 size_t frames, size_t step, int sign)
{
    for (size_t t = 0; t < frames; t++, xa += step, ya += step, xb += step, yb += step) {
        VECTOR x, y;
        NAME(load)(&x, xb);
        NAME(load)(&y, yb);
        for (size_t a = 0; a < LOW; a++) {
            tile->xx[a] = sign > 0 ? tile->xx[a] + xa[a] * x : tile->xx[a] - xa[a] * x;
            tile->yy[a] = sign > 0 ? tile->yy[a] + ya[a] * y : tile->yy[a] - ya[a] * y;
            tile->yx[a] = sign > 0 ? tile->yx[a] + ya[a] * x : tile->yx[a] - ya[a] * x;
            tile->xy[a] = sign > 0 ? tile->xy[a] + xa[a] * y : tile->xy[a] - xa[a] * y;
        }
    }
}

RS_INLINE void NAME(put_four)(const pair_layout *layout, double *sums, size_t at, const NAME(four) *tile)
{
    for (size_t i = 0; i < LOW; i++) {
        const size_t here = at + i * layout->width;
        const VECTOR lock_re = tile->xx[i] + tile->yy[i], lock_im = tile->yx[i] - tile->xy[i];
        const VECTOR turn_re = tile->xx[i] - tile->yy[i], turn_im = tile->yx[i] + tile->xy[i];
        NAME(put)(sums + layout->sum[RS_SUM_LOCK_RE] + here, &lock_re);
        NAME(put)(sums + layout->sum[RS_SUM_LOCK_IM] + here, &lock_im);
        NAME(put)(sums + layout->sum[RS_SUM_TURN_RE] + here, &turn_re);
        NAME(put)(sums + layout->sum[RS_SUM_TURN_IM] + here, &turn_im);
    }
}

RS_INLINE void NAME(lock_and_turn)(const pair_batch *batch)
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
                NAME(put_four)(layout, batch->next, at, &tile);
            if (batch->leaving)
                NAME(gather_four)(&tile, old + x + a, old + y + a, old + x + b, old + y + b, batch->leaving,
                                  layout->frame, -1);
            NAME(put_four)(layout, batch->now, at, &tile);
        }
}

RS_CLONES
void NAME(rs_pairs_products)(const pair_batch *batch)
{
    const pair_layout *layout = batch->layout;
    if (layout->sum[RS_SUM_TURN_RE] != ABSENT)
        NAME(lock_and_turn)(batch);
    else if (layout->sum[RS_SUM_LOCK_RE] != ABSENT)
        NAME(lock)(batch);
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

#undef VECTOR
#undef LANES
#undef TALL
#undef LOW
