/*
 * libresonance: how sleepers resonate, and how their sounds meet.
 *
 *     sensor samples -> rs_resonators, rs_hilbert -> phase, amplitude, confidence of every rhythm
 *     EEG            -> rs_slow_waves -> cues at a phase of deep sleep's waves
 *     pulse, belt    -> rs_beats, rs_breaths -> heartbeats, breaths, and what to think of them
 *     phases         -> rs_order, rs_pairs -> who moves with whom
 *     phases         -> rs_kuramoto -> oscillators that a sound can follow
 *     bodies         -> rs_modes, rs_tones, rs_noise, rs_grains -> own sounds
 *     own sounds     -> rs_mixer -> one limited mix per pod, heard from places in a room
 *     a sound        -> rs_meter -> how loud it is to an ear
 *     one mix        -> rs_resampler -> PCM at the rate of that pod's own crystal
 *     PCM            -> rs_ima -> a quarter of the bytes, for a pod on a thin link
 *     bytes of pods  -> rs_frames, rs_samples -> what they say, and what is said to them
 *
 * Rules that hold for every function here
 *
 *   Memory    Only the _new functions allocate, only the _free functions release. Everything
 *             between is free of allocation, locks and system calls, and may run in an audio
 *             callback.
 *   Threads   No global state. An object belongs to one thread at a time; different objects run
 *             in parallel. An rs_sinc is never written after it is made, so many may share it.
 *   Arrays    Row-major and tightly packed, dimensions in the order that the comment names. A
 *             complex number is two doubles, real part first. Input and output never overlap.
 *   Numbers   Sensor values and phases are double, sound is float with full scale at 1.0.
 *             Phases are radians, 0 at the crest of a cosine.
 *   Mistakes  A _new function returns NULL if an argument is out of its stated range or memory
 *             is short. The others trust their arguments except where they say what they return.
 *             NULL is allowed where a comment says so, and for every _free.
 *
 * Callers in Python find the same things, validated, in dreampods.resonance.
 */
#ifndef DREAMPODS_RESONANCE_H
#define DREAMPODS_RESONANCE_H

#ifdef __cplusplus
extern "C" {
#endif
#include "resonance/numbers.h"
#include "resonance/analysis.h"
#include "resonance/rhythm.h"
#include "resonance/synchrony.h"
#include "resonance/model.h"
#include "resonance/synthesis.h"
#include "resonance/sound.h"
#include "resonance/wire.h"
#ifdef __cplusplus
}
#endif

#endif
