/* The tile of pairs_lags.c, for one precision: included with REAL, NAME(x) and SIZE(x) defined. */

#define LANES (64 / sizeof(REAL))

typedef struct {
    REAL lag[LANES], size[LANES], square[LANES];
} NAME(lag_tile);

RS_INLINE void NAME(gather_lags)(NAME(lag_tile) *tile, const REAL *a, const REAL *b, size_t im, size_t frames,
                                 size_t step, REAL sign)
{
    for (size_t t = 0; t < frames; t++, a += step, b += step) {
        const REAL x = a[0], y = a[im];
        for (size_t i = 0; i < LANES; i++) {
            const REAL lag = y * b[i] - x * b[im + i];
            tile->lag[i] += sign * lag;
            tile->size[i] += sign * SIZE(lag);
            tile->square[i] += sign * (lag * lag);
        }
    }
}

RS_INLINE void NAME(put_lags)(const pair_layout *layout, double *sums, size_t at, const NAME(lag_tile) *tile)
{
    double *lag = sums + layout->sum[RS_SUM_LAG] + at, *size = sums + layout->sum[RS_SUM_LAG_SIZE] + at;
    double *square = sums + layout->sum[RS_SUM_LAG_SQUARE] + at;
    for (size_t i = 0; i < LANES; i++) {
        lag[i] += (double)tile->lag[i];
        size[i] += (double)tile->size[i];
        square[i] += (double)tile->square[i];
    }
}

RS_CLONES
void NAME(rs_pairs_lags)(const pair_batch *batch)
{
    const pair_layout *layout = batch->layout;
    if (layout->sum[RS_SUM_LAG] == ABSENT)
        return;
    const REAL *fresh = (const REAL *)batch->fresh + layout->row[ROW_RE];
    const REAL *old = (const REAL *)batch->old + layout->row[ROW_RE];
    const size_t im = layout->row[ROW_IM] - layout->row[ROW_RE];
    for (size_t a = 0; a < layout->pods; a++)
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

#undef LANES
