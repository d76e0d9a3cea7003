/* IMA ADPCM, encoding: see resonance.h. Steps and moves are those of the IMA's recommended
 * practices, 1992. */
#include <stdlib.h>

#include "resonance.h"

enum { HEAD_BYTES = 4, INDICES = 89, TRIAL_FRAMES = 32 };

static const int16_t STEP[INDICES] = {
    7,     8,     9,     10,    11,    12,    13,    14,    16,    17,    19,    21,    23,
    25,    28,    31,    34,    37,    41,    45,    50,    55,    60,    66,    73,    80,
    88,    97,    107,   118,   130,   143,   157,   173,   190,   209,   230,   253,   279,
    307,   337,   371,   408,   449,   494,   544,   598,   658,   724,   796,   876,   963,
    1060,  1166,  1282,  1411,  1552,  1707,  1878,  2066,  2272,  2499,  2749,  3024,  3327,
    3660,  4026,  4428,  4871,  5358,  5894,  6484,  7132,  7845,  8630,  9493,  10442, 11487,
    12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767};

static const int8_t MOVE[8] = {-1, -1, -1, -1, 2, 4, 6, 8};

typedef struct {
    int value, index;
} voice;

/* The code that brings the decoder nearest to `wanted`; it is then there. */
static int encode(voice *v, int wanted)
{
    const int step = STEP[v->index];
    const int missing = wanted - v->value;
    int code = (abs(missing) << 2) / step;
    code = code > 7 ? 7 : code;
    int change = step >> 3;
    change += code & 4 ? step : 0;
    change += code & 2 ? step >> 1 : 0;
    change += code & 1 ? step >> 2 : 0;
    v->value += missing < 0 ? -change : change;
    v->value = v->value > 32767 ? 32767 : v->value < -32768 ? -32768 : v->value;
    v->index += MOVE[code];
    v->index = v->index < 0 ? 0 : v->index >= INDICES ? INDICES - 1 : v->index;
    return missing < 0 ? code | 8 : code;
}

/* The index with which the first frames come out best: the decoder begins anew in each chunk. */
static int first_index(size_t frames, size_t channels, const int16_t *pcm)
{
    const size_t tried = frames < TRIAL_FRAMES ? frames : TRIAL_FRAMES;
    double least = -1.0;
    int best = 0;
    for (int index = 0; index < INDICES; index++) {
        voice v = {pcm[0], index};
        double error = 0.0;
        for (size_t k = 1; k < tried; k++) {
            encode(&v, pcm[k * channels]);
            const double off = pcm[k * channels] - v.value;
            error += off * off;
        }
        if (least < 0.0 || error < least) {
            least = error;
            best = index;
        }
    }
    return best;
}

size_t rs_ima_bytes(size_t frames, size_t channels)
{
    return channels * HEAD_BYTES + ((frames - 1) * channels + 1) / 2;
}

void rs_ima_encode(size_t frames, size_t channels, const int16_t *pcm, uint8_t *out)
{
    voice voices[2];
    for (size_t c = 0; c < channels; c++) {
        voices[c].value = pcm[c];
        voices[c].index = first_index(frames, channels, pcm + c);
        out[c * HEAD_BYTES] = (uint8_t)(pcm[c] & 0xFF);
        out[c * HEAD_BYTES + 1] = (uint8_t)((uint16_t)pcm[c] >> 8);
        out[c * HEAD_BYTES + 2] = (uint8_t)voices[c].index;
        out[c * HEAD_BYTES + 3] = 0;
    }
    const size_t codes = (frames - 1) * channels;
    out[HEAD_BYTES - 1] = codes & 1;
    uint8_t *byte = out + channels * HEAD_BYTES;
    for (size_t k = 0; k < codes; k++) {
        const int code = encode(&voices[k % channels], pcm[channels + k]);
        if (k & 1)
            *byte++ |= (uint8_t)(code << 4);
        else
            *byte = (uint8_t)code;
    }
}
