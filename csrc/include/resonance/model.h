/* Oscillators that a sound can follow. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_MODEL_H
#define DREAMPODS_RESONANCE_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* phasor [n] complex = e^{i phase}, phase [n]: off by less than 3e-16 for |phase| up to 1e6. */
void rs_phasors(size_t n, const double *phase, double *phasor);

/* ---- kuramoto: oscillators that feel their groups and their own body -------------------------
 *
 *     dp_i/dt = w_i + sum_h K[g,h] R_h sin(q_h - p_i - lag[g,h]) + D_i sin(d_i - p_i) + noise
 *
 * for oscillator i of group g, with R_h e^{i q_h} the mean field of group h (Kuramoto 1975; Sakaguchi & Kuramoto
 * 1986; groups as in Abrams et al. 2008), so that a step costs O(n), and D_i the pull towards a body rhythm of
 * phase d_i. Heun's method: of second order without noise, and for additive noise of the strong order 1. Noise grows
 * with the root of dt. The same seed gives the same phases on every machine.
 */
typedef struct rs_kuramoto rs_kuramoto;

/* groups: how many, with size [groups] oscillators each, from 1; oscillators stand group after group. phase [n]:
 * where they start. seed: of the noise. */
rs_kuramoto *rs_kuramoto_new(size_t groups, const size_t *size, const double *phase, uint64_t seed);
void rs_kuramoto_free(rs_kuramoto *all);

/* `steps` steps of dt_s. natural_hz [n]; coupling_hz = K / 2 pi and lag_rad [groups, groups], row g is what moves group
 * g; drive_phase [n] and drive_hz = D / 2 pi [n], both NULL for no drive, held during all steps; noise_rad, standard
 * deviation of what noise alone does to a phase in one second. phase [steps, n] out, in [-pi, pi). */
void rs_kuramoto_run(rs_kuramoto *all, size_t steps, double dt_s, const double *natural_hz, const double *coupling_hz,
                     const double *lag_rad, const double *drive_phase, const double *drive_hz, double noise_rad,
                     double *phase);

#endif
