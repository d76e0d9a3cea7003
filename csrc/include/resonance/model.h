/* Oscillators that a sound can follow. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_MODEL_H
#define DREAMPODS_RESONANCE_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* phasor [n] complex = e^{i phase}, phase [n]: off by less than 3e-16 for |phase| up to 1e6. */
void rs_phasors(size_t n, const double *phase, double *phasor);

/* ---- kuramoto: oscillators that feel the group and their own body ------------------------------
 *
 *     dp_i/dt = w_i + K R sin(q - p_i - lag) + D_i sin(d_i - p_i) + noise
 *
 * with R e^{iq} the mean field of all (Kuramoto 1975; Sakaguchi & Kuramoto 1986), so that a step
 * costs O(n), and D_i the pull towards a body rhythm of phase d_i. Heun's method, of second order,
 * and right for additive noise.
 */
typedef struct rs_kuramoto rs_kuramoto;

/* phase [n]: where the oscillators start. */
rs_kuramoto *rs_kuramoto_new(size_t n, const double *phase);
void rs_kuramoto_free(rs_kuramoto *group);

/* One step of dt_s. natural_hz [n]; coupling_hz = K / 2 pi; drive_phase [n] and
 * drive_hz = D / 2 pi [n], both NULL for no drive, held constant during the step; kick [n], random
 * displacement of this step in radians, or NULL. phase [n] out, in [-pi, pi). */
void rs_kuramoto_step(rs_kuramoto *group, double dt_s, const double *natural_hz,
                      double coupling_hz, double lag_rad, const double *drive_phase,
                      const double *drive_hz, const double *kick, double *phase);

#endif
