/*
 * Frames of phasors to rows of numbers, for one precision: included with REAL, NAME(x), LEAST and MOST defined.
 *
 * First all phasors of a frame are brought to unit length, in the order they lie in, which is a loop over
 * neighbours; then they are dealt out to the rows of their bands. Squares of very small or large numbers do not
 * fit the precision: a frame that holds such a phasor, or a 0, is done again with care.
 */

/* Where the parts of a frame lie in the scratch: cosine, sine, length, weight. */
RS_INLINE void NAME(with_care)(size_t count, const REAL *u, REAL *cosine, REAL *sine, REAL *length, REAL *weight)
{
    for (size_t i = 0; i < count; i++) {
        const double re = (double)u[2 * i], im = (double)u[2 * i + 1];
        const double size = fmax(fabs(re), fabs(im));
        const double r = size > 0.0 ? re / size : 0.0, m = size > 0.0 ? im / size : 0.0;
        const double unit = size > 0.0 ? sqrt(r * r + m * m) : 1.0;
        cosine[i] = (REAL)(r / unit);
        sine[i] = (REAL)(m / unit);
        length[i] = (REAL)(size * unit);
        if (!(size > 0.0))
            weight[i] = 0;      /* no angle, no evidence */
    }
}

RS_CLONES
static void NAME(pairs_pack)(const pair_layout *layout, size_t frames, const REAL *u, const REAL *given,
                             const double *fade, REAL *scratch, REAL *packed)
{
    const size_t pods = layout->pods, bands = layout->bands, count = pods * bands;
    REAL *restrict cosine = scratch, *restrict sine = scratch + count;
    REAL *restrict length = scratch + 2 * count, *restrict weight = scratch + 3 * count;
    for (size_t t = 0; t < frames; t++) {
        const REAL *restrict in = u + 2 * t * count;
        const REAL faded = (REAL)fade[t];
        if (given == NULL)
            for (size_t i = 0; i < count; i++)
                weight[i] = faded;
        else
            for (size_t i = 0; i < count; i++)
                weight[i] = faded * given[t * count + i];
        int odd = 0;
        for (size_t i = 0; i < count; i++) {
            const REAL re = in[2 * i], im = in[2 * i + 1];
            const REAL square = re * re + im * im, inverse = 1 / SQRT(square);
            cosine[i] = re * inverse;
            sine[i] = im * inverse;
            length[i] = square * inverse;
            odd |= !(square > LEAST) | !(square < MOST);
        }
        if (odd)
            NAME(with_care)(count, in, cosine, sine, length, weight);

        for (size_t b = 0; b < bands; b++) {
            REAL *restrict out = packed + (b * MOST_FRAMES + t) * layout->frame;
            const size_t *row = layout->row;
#define DEAL(which, value) \
            if (row[which] != ABSENT) \
                for (size_t p = 0; p < pods; p++) { \
                    const size_t i = p * bands + b; \
                    out[row[which] + p] = value; \
                }
            DEAL(ROW_X, weight[i] * cosine[i])
            DEAL(ROW_Y, weight[i] * sine[i])
            DEAL(ROW_WEIGHT, weight[i])
            DEAL(ROW_FRAMES, weight[i] > 0)
            DEAL(ROW_SQUARE, weight[i] * weight[i])
            DEAL(ROW_X2, weight[i] * (cosine[i] * cosine[i] - sine[i] * sine[i]))
            DEAL(ROW_Y2, weight[i] * (2 * cosine[i] * sine[i]))
            DEAL(ROW_ENVELOPE, weight[i] * length[i])
            DEAL(ROW_POWER, weight[i] * length[i] * length[i])
            DEAL(ROW_RE, weight[i] * in[2 * i])
            DEAL(ROW_IM, weight[i] * in[2 * i + 1])
#undef DEAL
        }
    }
}

void NAME(rs_pairs_pack)(const pair_layout *layout, size_t frames, const REAL *u, const REAL *given,
                         const double *fade, REAL *scratch, REAL *packed)
{
    NAME(pairs_pack)(layout, frames, u, given, fade, scratch, packed);
}
