/* What a body does: the rhythms in sensor samples, with phase, amplitude and confidence. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_ANALYSIS_H
#define DREAMPODS_RESONANCE_ANALYSIS_H

#include <stddef.h>
#include <stdint.h>

/* ---- resonators: the phase of a rhythm, sample by sample ---------------------------------------
 *
 * A complex one-pole resonator per channel and band, fed with what differs from the recent mean m:
 *
 *     d    = x[n] - m[n-1]
 *     m[n] = m[n-1] + (1 - r) d
 *     z[n] = r e^{iw} z[n-1] + g d
 *
 * It projects the recent input on a rotating phasor, forgetting with r^k, in about
 * 1 / (pi bandwidth) seconds. The phasor given out belongs to the sinusoid at the band's centre
 * that, together with a constant, fits this recent input best in the sense of least squares. So a
 * cosine c + A cos(p) at the centre gives exactly A e^{ip} once the memory is full: no lag, no
 * ripple, whatever the offset c.
 *
 * The confidence, 0..1, is the share of the recent variance, in the same memory, that this
 * sinusoid explains, where missing samples count as unexplained: 1 for a clean sine at the centre,
 * near 0 for noise, half if half of the samples were missing.
 */
typedef struct rs_resonators rs_resonators;

/* freq_hz [bands], in (0, rate/2); bandwidth_hz [bands], -3 dB full width, in (0, rate/2);
 * the width is exact for bands that are narrow against their centre. */
rs_resonators *rs_resonators_new(size_t channels, size_t bands, double rate_hz,
                                 const double *freq_hz, const double *bandwidth_hz);
void rs_resonators_free(rs_resonators *bank);

/* New centres, freq_hz [channels, bands] in (0, rate/2). The state stays: the phase goes on. */
void rs_resonators_retune(rs_resonators *bank, const double *freq_hz);

/* x [frames, channels]; valid [frames, channels] is 0 where a sample is missing (x is not read
 * there), NULL if none is. Over a gap the mean stays and z rotates on and decays.
 * phasors: complex [frames, channels, bands]. */
void rs_resonators_process(rs_resonators *bank, size_t frames, const double *x,
                           const uint8_t *valid, double *phasors);

/* The present state. phasor: complex [channels, bands]; confidence [channels, bands]. */
void rs_resonators_state(const rs_resonators *bank, double *phasor, double *confidence);

#endif
