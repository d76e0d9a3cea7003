/*
 * Fuzzes IMA ADPCM: any bytes as a chunk, against a decoder that multiplies; any samples there and back.
 *
 * A chunk has the frames it says or none; what is written for samples is as long as promised, is a chunk of as many
 * frames, and begins with the very first of them.
 */
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

enum { INDICES = 89 };

/* The steps grow by a tenth each; where rounding hides how they were made, they are the standard's own. */
static const int STEPS[INDICES] = {
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
    130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
    1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
    7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767};

/* One channel, its codes already apart; as the standard's flow chart has it. */
static int simple_step(int *value, int *index, int code)
{
    const int step = STEPS[*index], size = code % 8;
    const int change = step / 8 + size / 4 * step + size / 2 % 2 * (step / 2) + size % 2 * (step / 4);
    *value += code >= 8 ? -change : change;
    *value = *value > 32767 ? 32767 : *value < -32768 ? -32768 : *value;
    *index += size < 4 ? -1 : 2 * (size - 3);
    *index = *index < 0 ? 0 : *index >= INDICES ? INDICES - 1 : *index;
    return *value;
}

static void decode(size_t channels, size_t size, const uint8_t *input)
{
    uint8_t *bytes = malloc(size + 1);
    memcpy(bytes, input, size);
    for (size_t at = 2; at < size && at < 4 * channels; at += 4) /* or hardly an index would be one */
        if (bytes[at] & 128)
            bytes[at] = bytes[at] % INDICES;
    const size_t frames = rs_ima_frames(size, channels, bytes);
    int16_t *pcm = malloc(frames * channels * sizeof *pcm + 1);
    if (rs_ima_decode(size, channels, bytes, pcm) != frames)
        abort();
    for (size_t c = 0; frames && c < channels; c++) {
        int value = (int16_t)(bytes[4 * c] | bytes[4 * c + 1] << 8), index = bytes[4 * c + 2];
        for (size_t k = 0; k < frames; k++) {
            const size_t nibble = k ? (k - 1) * channels + c : 0;
            const int pair = k ? bytes[4 * channels + nibble / 2] : 0;
            if (pcm[k * channels + c] != (k ? simple_step(&value, &index, nibble % 2 ? pair / 16 : pair % 16) : value))
                abort();
        }
    }
    free(bytes);
    free(pcm);
}

static void there_and_back(size_t channels, size_t size, const uint8_t *input)
{
    const size_t frames = size / (2 * channels);
    if (frames == 0)
        return;
    const size_t bytes = rs_ima_bytes(frames, channels);
    int16_t *pcm = malloc(frames * channels * sizeof *pcm), *back = malloc(frames * channels * sizeof *back);
    uint8_t *packed = malloc(bytes);
    memcpy(pcm, input, frames * channels * sizeof *pcm);
    rs_ima_encode(frames, channels, pcm, packed);
    if (rs_ima_decode(bytes, channels, packed, back) != frames || memcmp(pcm, back, channels * sizeof *pcm))
        abort();
    free(pcm);
    free(back);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size == 0)
        return 0;
    const size_t channels = input[0] % 4;
    if (input[0] & 128 && (channels == 1 || channels == 2))
        there_and_back(channels, size - 1, input + 1);
    else
        decode(channels, size - 1, input + 1);
    return 0;
}
