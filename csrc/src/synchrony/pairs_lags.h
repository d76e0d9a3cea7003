/* The tile of pairs_lags.c, for one precision: included with REAL, WORD (as wide) and NAME(x) defined. */

#include "pairs_vector.h"

typedef WORD NAME(bits) __attribute__((vector_size(64)));
#define BITS NAME(bits)
#define TALL 2  /* pods a of a tile, which has three sums */

typedef struct {
    VECTOR lag[TALL], size[TALL], square[TALL];
} NAME(lag_tile);

RS_INLINE void NAME(gather_lags)(NAME(lag_tile) *tile, const REAL *a, const REAL *b, size_t im, size_t frames,
                                 size_t step, int sign)
{
    const WORD but_sign = (WORD)(((uint64_t)1 << (8 * sizeof(WORD) - 1)) - 1);
    for (size_t t = 0; t < frames; t++, a += step, b += step) {
        VECTOR x, y;
        memcpy(&x, b, sizeof x);
        memcpy(&y, b + im, sizeof y);
        for (size_t i = 0; i < TALL; i++) {
            const VECTOR lag = a[im + i] * x - a[i] * y;
            const VECTOR size = (VECTOR)((BITS)lag & but_sign), square = lag * lag;
            tile->lag[i] = sign > 0 ? tile->lag[i] + lag : tile->lag[i] - lag;
            tile->size[i] = sign > 0 ? tile->size[i] + size : tile->size[i] - size;
            tile->square[i] = sign > 0 ? tile->square[i] + square : tile->square[i] - square;
        }
    }
}

RS_INLINE void NAME(put_lags)(const pair_layout *layout, double *sums, size_t at, const NAME(lag_tile) *tile)
{
    for (size_t i = 0; i < TALL; i++, at += layout->width) {
        NAME(put)(sums + layout->sum[RS_SUM_LAG] + at, &tile->lag[i]);
        NAME(put)(sums + layout->sum[RS_SUM_LAG_SIZE] + at, &tile->size[i]);
        NAME(put)(sums + layout->sum[RS_SUM_LAG_SQUARE] + at, &tile->square[i]);
    }
}

RS_CLONES
static void NAME(pairs_lags)(const pair_batch *batch)
{
    const pair_layout *layout = batch->layout;
    if (layout->sum[RS_SUM_LAG] == ABSENT)
        return;
    const REAL *fresh = (const REAL *)batch->fresh + layout->row[ROW_RE];
    const REAL *old = (const REAL *)batch->old + layout->row[ROW_RE];
    const size_t im = layout->row[ROW_IM] - layout->row[ROW_RE];
    for (size_t a = 0; a < layout->pods; a += TALL)
        for (size_t b = a / LANES * LANES; b < layout->pods; b += LANES) {
            NAME(lag_tile) tile = {0};
            const size_t at = a * layout->width + b;
            NAME(gather_lags)(&tile, fresh + a, fresh + b, im, batch->entering, layout->frame, 1);
            if (batch->next != NULL)
                NAME(put_lags)(layout, batch->next, at, &tile);
            if (batch->leaving)
                NAME(gather_lags)(&tile, old + a, old + b, im, batch->leaving, layout->frame, -1);
            NAME(put_lags)(layout, batch->now, at, &tile);
        }
}

void NAME(rs_pairs_lags)(const pair_batch *batch)
{
    NAME(pairs_lags)(batch);
}

#undef BITS
#undef TALL
