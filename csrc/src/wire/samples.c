/*
 * Packed sensor values to physical units: see resonance.h.
 *
 * Bytes are put together one by one, which is right on every processor and which compilers turn into vectors. The sum
 * is made in double and rounded once, as the host has always done: 24 bits and their scale do not fit into a float.
 */
#include "resonance.h"
#include "simd.h"

RS_INLINE void convert(size_t n, const uint8_t *bytes, size_t width, size_t top, size_t low,
                       int is_signed, double scale, double offset, float *x)
{
    const size_t middle = width == 3 ? 1 : low;
    const uint32_t sign = is_signed ? 1u << (8 * width - 1) : 0;
    for (size_t k = 0; k < n; k++) {
        const uint8_t *b = bytes + width * k;
        uint32_t raw = (uint32_t)b[top] << 8 * (width - 1) | b[low];
        raw |= width == 3 ? (uint32_t)b[middle] << 8 : 0;
        const int32_t value = (int32_t)(raw ^ sign) - (int32_t)sign;
        x[k] = (float)(value * scale + offset);
    }
}

RS_CLONES static int decode(int format, size_t n, const uint8_t *bytes, double scale, double offset,
                            float *x)
{
    switch (format) {
    case RS_U16: convert(n, bytes, 2, 1, 0, 0, scale, offset, x); return 0;
    case RS_I16: convert(n, bytes, 2, 1, 0, 1, scale, offset, x); return 0;
    case RS_I16BE: convert(n, bytes, 2, 0, 1, 1, scale, offset, x); return 0;
    case RS_U24BE: convert(n, bytes, 3, 0, 2, 0, scale, offset, x); return 0;
    case RS_I24BE: convert(n, bytes, 3, 0, 2, 1, scale, offset, x); return 0;
    default: return -1;
    }
}

int rs_samples_decode(int format, size_t n, const uint8_t *bytes, double scale, double offset,
                      float *x)
{
    return decode(format, n, bytes, scale, offset, x);
}
