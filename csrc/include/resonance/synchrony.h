/* Who moves with whom: groups and pairs of sleepers. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_SYNCHRONY_H
#define DREAMPODS_RESONANCE_SYNCHRONY_H

#include <stddef.h>
#include <stdint.h>

/* ---- order: how much a group moves as one ------------------------------------------------------
 *
 * Kuramoto's order parameter is R = |sum w e^{ip}| / sum w. It is kept as sums, because what one host
 * adds for its sleepers can be added to what another host adds for its own.
 *
 * Say what chance gives beside it: with n = (sum w)^2 / sum w^2, the number of equal phases that weigh
 * as much, n independent ones have R = sqrt(pi / (4 n)) on average, and (n R^2 - 1) / (n - 1) is 0.
 */
typedef struct {
    double re, im;          /* sum of w e^{ip} */
    double weight, square;  /* sums of w and of w squared */
} rs_order_sums;

/* Adds n phases to the sums; weight [n], not negative, or NULL for 1 each. */
void rs_order_add(rs_order_sums *sums, size_t n, const double *phase, const double *weight);

/* The same of phasors u, complex [n]: only the angle counts, and 0 has none (weight 0). */
void rs_order_add_phasors(rs_order_sums *sums, size_t n, const double *u, const double *weight);

/* ---- pairs: synchrony measures of all pairs, over a sliding or a fading window -----------------
 *
 * Every measure follows from a few sums for each pair, of weight w = wa wb: one for each of
 *
 *     w, 1 where w > 0, w^2,
 *     w ua conj(ub), w ua ub,             with u = z / |z|
 *     w ua^2, w ua                        (not symmetric: one for ab, one for ba)
 *     w |za|, w |za|^2                    (not symmetric), and w |za| |zb|
 *     w m, w |m|, (w m)^2                 with m = Im(za conj(zb))
 *
 * A push adds the frames that enter and takes away those that leave, so that it costs the same
 * whatever the window's length. Rounding cannot pile up, because a second set of sums is started
 * at every turn of the window and takes over one turn later; and where a pod's weights or amplitudes
 * have fallen far below what they were in the window, its band is summed anew. (Of a pair whose own
 * weights are large, but meet only where both are a thousandth, or in float a tenth, of what they were
 * together, n_eff and ppc may be rounding for up to a window.) Sums of different frames, of one host
 * or of several, can be added.
 *
 * Windows of a slow rhythm are locked by chance, also where frames are many: nothing here tells by how
 * much. Windows of the same sleepers from other times do.
 *
 * The measures, with S their sums:
 *
 *     PLV    |S w ua ub*| / S w                          Lachaux 1999
 *     PPC    (|S w ua ub*|^2 - S w^2) / ((S w)^2 - S w^2)   Vinck 2010, weighted
 *     ciPLV  with p = S w ua ub* / S w: |Im p| / sqrt(1 - (Re p)^2)   Bruna 2018
 *     wPLI   |S w m| / S w |m|                           Vinck 2011; its debiased square
 *            ((S w m)^2 - S (w m)^2) / ((S w |m|)^2 - S (w m)^2)
 *     CCorr  S w sin(a - A) sin(b - B) / sqrt(S w sin^2(a - A) S w sin^2(b - B)), A and B the
 *            circular means under the pair's weights     Jammalamadaka & SenGupta 2001, with its sign
 *     ACCorr (|S w ua ub*| - |S w ua ub|) / (2 sqrt(S w sin^2(a - A) S w sin^2(b - B))), A and B
 *            where the numerator's sines are centred: A + B = arg S w ua ub,
 *            A - B = arg S w ua ub*                      Zimmermann 2024
 *     envelope correlation: Pearson's r of |za| and |zb|, weighted
 *     n_eff  (S w)^2 / S w^2, the number of equal frames that weigh as much
 *
 * A value is NaN where a pair shares no evidence, or where it would be a quotient of nothing: no
 * variation of phase or size (less than a millionth of the sum of squares, which rounding could
 * make), or the phase lag index of a pod with itself.
 */
typedef enum {
    RS_PLV, RS_PPC, RS_CIPLV, RS_WPLI, RS_WPLI2_DEBIASED, RS_ACCORR, RS_CCORR, RS_ENVELOPE_CORR,
    RS_N_EFF,
    RS_PAIR_MEASURES
} rs_pair_measure;

typedef enum {
    RS_SUM_WEIGHT, RS_SUM_FRAMES, RS_SUM_SQUARE,
    RS_SUM_LOCK_RE, RS_SUM_LOCK_IM,     /* w ua conj(ub) */
    RS_SUM_TURN_RE, RS_SUM_TURN_IM,     /* w ua ub */
    RS_SUM_DOUBLE_RE, RS_SUM_DOUBLE_IM, /* w ua^2 */
    RS_SUM_MEAN_RE, RS_SUM_MEAN_IM,     /* w ua */
    RS_SUM_ENVELOPE, RS_SUM_POWER, RS_SUM_ENVELOPES,
    RS_SUM_LAG, RS_SUM_LAG_SIZE, RS_SUM_LAG_SQUARE,
    RS_PAIR_SUMS
} rs_pair_sum;

/* Which sums a measure needs: bit 1 << RS_SUM_... for each. */
uint32_t rs_pair_sums_for(rs_pair_measure measure);

typedef struct rs_pairs rs_pairs;

/* window: frames of a sliding window, at least 1; or 0, and memory: the frames, above 0, after which
 * a frame weighs 1 / e of the newest. sums: bits of the sums to keep; the first two always are.
 * weighted: 0 if no frame will ever have another weight than 1: a few sums are then one for a pod or
 * for all. single: 1 for products in float, for twice the speed; sums are always double. */
rs_pairs *rs_pairs_new(size_t pods, size_t bands, size_t window, double memory, uint32_t sums, int weighted,
                       int single);
void rs_pairs_free(rs_pairs *pairs);

/* z: complex [frames, pods, bands]; 0 has no angle, and weight 0. weight [frames, pods, bands], not
 * negative, or NULL for 1 each. The second is for single. Returns 0; or -1, touching nothing, if
 * `weighted` is 0 and there are weights, or a z of 0. */
int rs_pairs_push(rs_pairs *pairs, size_t frames, const double *z, const double *weight);
int rs_pairs_push_single(rs_pairs *pairs, size_t frames, const float *z, const float *weight);

/* out [bands, pods, pods]: a measure whose sums are kept. */
void rs_pairs_values(const rs_pairs *pairs, rs_pair_measure measure, double *out);

/* out [kept sums, bands, pods, pods], in the order of rs_pair_sum. Of those that are symmetric, or
 * change their sign, both halves are given. */
void rs_pairs_sums(const rs_pairs *pairs, double *out);

/* The same from such sums; kept: the bits of those that are there. */
void rs_pair_values(rs_pair_measure measure, uint32_t kept, size_t pods, size_t bands, const double *sums,
                    double *out);

#endif
