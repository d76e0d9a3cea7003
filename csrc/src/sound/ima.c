/* IMA ADPCM: see resonance.h. Steps and moves are those of the IMA's recommended practices, 1992. */
#include "simd.h"

#include <stdlib.h>

#include "lanes.h"
#include "resonance.h"

enum { HEAD_BYTES = 4, INDICES = 89, TRIAL_FRAMES = 32 };

static const int32_t STEP[INDICES] = {
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

static int within(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

/* What the decoder does with a code. */
static void follow(voice *v, int code)
{
    const int step = STEP[v->index];
    int change = step >> 3;
    change += code & 4 ? step : 0;
    change += code & 2 ? step >> 1 : 0;
    change += code & 1 ? step >> 2 : 0;
    v->value = within(v->value + (code & 8 ? -change : change), -32768, 32767);
    v->index = within(v->index + MOVE[code & 7], 0, INDICES - 1);
}

/* The code that brings the decoder nearest to `wanted`; it is then there. */
static int encode(voice *v, int wanted)
{
    const int step = STEP[v->index];
    const int missing = wanted - v->value;
    int left = abs(missing) << 2;
    /* left / step, at most 7; a division takes as long as all of this */
    int code = left >= 4 * step ? 4 : 0;
    left -= code * step;
    const int half = left >= 2 * step ? 2 : 0;
    left -= half * step;
    code += half + (left >= step ? 1 : 0) + (missing < 0 ? 8 : 0);
    follow(v, code);
    return code;
}

/* The index with which the first frames come out best: the decoder begins anew in each chunk. All are tried at once,
 * each in a lane of its own; the steps are those of encode, with every choice made by a comparison. */
RS_CLONES static int first_index(size_t frames, size_t channels, const int16_t *pcm)
{
    enum { TRIED = (INDICES + RS_LANES - 1) / RS_LANES * RS_LANES };
    const size_t tried = frames < TRIAL_FRAMES ? frames : TRIAL_FRAMES;
    int32_t steps[TRIED], value[TRIED], index[TRIED];
    double error[TRIED];
    for (int i = 0; i < TRIED; i++) {
        index[i] = i < INDICES ? i : INDICES - 1;
        value[i] = pcm[0];
        error[i] = 0.0;
    }
    for (size_t k = 1; k < tried; k++) {
        const int32_t wanted = pcm[k * channels];
        for (int i = 0; i < TRIED; i++)
            steps[i] = STEP[index[i]];
        for (int i = 0; i < TRIED; i++) {
            const int32_t step = steps[i];
            const int32_t missing = wanted - value[i];
            int32_t left = (missing < 0 ? -missing : missing) << 2;
            /* -1 where the bit of the code is set: all bits, which choose what they are combined with */
            const int32_t whole = -(left >= 4 * step);
            left -= 4 * step & whole;
            const int32_t half = -(left >= 2 * step);
            left -= 2 * step & half;
            const int32_t quarter = -(left >= step);
            const int32_t change = (step >> 3) + (step & whole) + (step >> 1 & half) + (step >> 2 & quarter);
            const int32_t sign = missing >> 31;
            int32_t now = value[i] + ((change ^ sign) - sign);
            now = now > 32767 ? 32767 : now;
            now = now < -32768 ? -32768 : now;
            value[i] = now;
            int32_t next = index[i] - 1 + (whole & (3 + (4 & half) + (2 & quarter)));
            next = next < 0 ? 0 : next;
            index[i] = next >= INDICES ? INDICES - 1 : next;
            const double off = (double)(wanted - now);
            error[i] += off * off;
        }
    }
    int best = 0;
    for (int i = 1; i < INDICES; i++)
        best = error[i] < error[best] ? i : best;
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

/* The head of channel c, if it can be one. */
static int head(const uint8_t *in, size_t c, voice *v)
{
    const uint8_t *at = in + c * HEAD_BYTES;
    const int value = at[0] | at[1] << 8;
    *v = (voice){value >= 32768 ? value - 65536 : value, at[2]};
    return at[2] < INDICES && (c == 0 || at[3] == 0) ? 0 : -1;
}

size_t rs_ima_frames(size_t bytes, size_t channels, const uint8_t *in)
{
    if ((channels != 1 && channels != 2) || bytes < channels * HEAD_BYTES || in[HEAD_BYTES - 1] > 1)
        return 0;
    voice v;
    for (size_t c = 0; c < channels; c++)
        if (head(in, c, &v))
            return 0;
    const size_t none = in[HEAD_BYTES - 1], nibbles = 2 * (bytes - channels * HEAD_BYTES);
    if (nibbles < none || (nibbles - none) % channels)
        return 0;
    return 1 + (nibbles - none) / channels;
}

size_t rs_ima_decode(size_t bytes, size_t channels, const uint8_t *in, int16_t *pcm)
{
    const size_t frames = rs_ima_frames(bytes, channels, in);
    if (frames == 0)
        return 0;
    voice voices[2];
    for (size_t c = 0; c < channels; c++) {
        head(in, c, &voices[c]);
        pcm[c] = (int16_t)voices[c].value;
    }
    const uint8_t *code = in + channels * HEAD_BYTES;
    const size_t codes = (frames - 1) * channels;
    for (size_t k = 0; k < codes; k++) {
        voice *v = &voices[k % channels];
        follow(v, k & 1 ? code[k / 2] >> 4 : code[k / 2] & 15);
        pcm[channels + k] = (int16_t)v->value;
    }
    return frames;
}
