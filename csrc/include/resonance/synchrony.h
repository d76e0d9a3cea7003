/* Who moves with whom: groups and pairs of sleepers. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_SYNCHRONY_H
#define DREAMPODS_RESONANCE_SYNCHRONY_H

#include <stddef.h>
#include <stdint.h>

/* ---- order: how much a group moves as one ------------------------------------------------------
 *
 * Kuramoto's order parameter is |sum w e^{ip}| / sum w. It is kept as sums, because what one host
 * adds for its sleepers can be added to what another host adds for its own.
 */
typedef struct {
    double re, im;          /* sum of w e^{ip} */
    double weight, square;  /* sums of w and of w squared */
} rs_order_sums;

/* Adds n phases to the sums; weight [n], not negative, or NULL for 1 each. */
void rs_order_add(rs_order_sums *sums, size_t n, const double *phase, const double *weight);

/* ---- pairwise: phase locking value of all pairs over a sliding window --------------------------
 *
 * PLV of pods a and b = |sum w e^{i(pa - pb)}| / sum w over the window, w = wa wb
 * (Lachaux et al. 1999, doi 10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C).
 * Each frame costs one pass over the pairs whatever the window's length: the entering frame is
 * added and the leaving one taken away. Rounding cannot pile up, because a second set of sums is
 * started at every turn of the window and takes over one turn later.
 */
typedef struct rs_pairwise rs_pairwise;

/* window: frames, at least 1. */
rs_pairwise *rs_pairwise_new(size_t pods, size_t bands, size_t window);
void rs_pairwise_free(rs_pairwise *pairs);

/* u: complex [frames, pods, bands], only its angle counts, and 0 has none (weight 0);
 * weight [frames, pods, bands], not negative, or NULL for 1 each. */
void rs_pairwise_push(rs_pairwise *pairs, size_t frames, const double *u, const double *weight);

/* plv, n_eff [bands, pods, pods]: locking value (NaN where a pair shares no evidence) and
 * (sum w)^2 / sum w^2, the number of equal frames that weigh as much. */
void rs_pairwise_values(const rs_pairwise *pairs, double *plv, double *n_eff);

#endif
