/* The last step of a sound on its way to a pod: rounded to 16 bits with TPDF dither. Not of the ABI. */
#ifndef DREAMPODS_PCM_H
#define DREAMPODS_PCM_H

#include <stddef.h>
#include <stdint.h>

/* y [channels, pitch] to pcm [frames, channels], channels 1 or 2; frame 0 is frame `index` of the whole output, from
 * which, and from the seed, its dither follows. Saturates at 32767 on both sides. */
void rs_pcm_round(uint32_t seed, int64_t index, size_t frames, size_t channels, const float *y, size_t pitch,
                  int16_t *pcm);

#endif
