/* Sound to 16 bits, with dither: see pcm.h. */
#include "simd.h"
RS_FUSED

#include "pcm.h"

#include <string.h>

/* A number that has nothing to do with its neighbours': the last steps of MurmurHash3. */
RS_INLINE uint32_t scattered(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    return x ^ x >> 16;
}

/* TPDF dither, the difference of two even 16-bit numbers, -1 to 1 step of the output: it makes the rounding error
 * noise whose power does not depend on the sound. What is exactly 0 is left alone, and what is no number becomes 0.
 * Choices are made among bits, where they need no branch: see rs_magnitude for their order. */
RS_INLINE int16_t rounded(float y, uint32_t noise)
{
    const int32_t infinite = 0x7F800000, most = 0x46FFFE00;    /* infinity, and 32767 */
    int32_t bits;
    memcpy(&bits, &y, sizeof bits);
    const int32_t size = bits & INT32_MAX;
    const int32_t heard = -(size > 0) & -(size <= infinite);   /* all bits or none */
    const int32_t steps = ((int32_t)(noise & 0xFFFF) - (int32_t)(noise >> 16)) & heard;
    const float x = y * 32767.0f + (float)steps * (1.0f / 65536.0f);
    memcpy(&bits, &x, sizeof bits);
    const int32_t sign = bits >> 31;
    int32_t magnitude = bits & INT32_MAX & heard;
    magnitude = magnitude > most ? most : magnitude;
    float positive;
    memcpy(&positive, &magnitude, sizeof positive);
    const int32_t whole = (int32_t)(positive + 0.5f);
    return (int16_t)((whole ^ sign) - sign);
}

RS_CLONES static void round_all(uint32_t seed, int64_t index, size_t frames, size_t channels, const float *restrict y,
                                size_t pitch, int16_t *restrict pcm)
{
    const uint32_t left = scattered(seed + (uint32_t)((uint64_t)index >> 32) * 0x9E3779B1u);
    const uint32_t right = scattered(left + 1), first = (uint32_t)index;
    if (channels == 1) {
        for (size_t k = 0; k < frames; k++)
            pcm[k] = rounded(y[k], scattered((first + (uint32_t)k) * 0x9E3779B1u ^ left));
        return;
    }
    const float *restrict other = y + pitch;
    for (size_t k = 0; k < frames; k++) {
        const uint32_t place = (first + (uint32_t)k) * 0x9E3779B1u;
        pcm[2 * k] = rounded(y[k], scattered(place ^ left));
        pcm[2 * k + 1] = rounded(other[k], scattered(place ^ right));
    }
}

void rs_pcm_round(uint32_t seed, int64_t index, size_t frames, size_t channels, const float *y, size_t pitch,
                  int16_t *pcm)
{
    round_all(seed, index, frames, channels, y, pitch, pcm);
}
