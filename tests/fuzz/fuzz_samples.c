/* Fuzzes packed samples against arithmetic on one byte after the other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 2)
        return 0;
    const int format = input[0] % 7 - 1;
    const double scale = (input[1] - 100) * 0.0123, offset = input[1] * 1.5;
    const size_t width = format >= RS_U24BE ? 3 : 2, n = (size - 2) / width;
    uint8_t *bytes = malloc(width * n + 1);
    float *x = malloc(n * sizeof *x + 1);
    memcpy(bytes, input + 2, width * n);
    const int done = rs_samples_decode(format, n, bytes, scale, offset, x);
    if (done != (format < RS_U16 || format > RS_I24BE ? -1 : 0))
        abort();
    for (size_t k = 0; !done && k < n; k++) {
        const uint8_t *b = bytes + width * k;
        int value = format == RS_U16 || format == RS_I16 ? b[1] * 256 + b[0] : b[0] * 256 + b[1];
        value = width == 3 ? value * 256 + b[2] : value;
        if (format == RS_I16 || format == RS_I16BE)
            value -= value >= 32768 ? 65536 : 0;
        if (format == RS_I24BE)
            value -= value >= 8388608 ? 16777216 : 0;
        const double product = value * scale;
        if (x[k] != (float)(product + offset))
            abort();
    }
    free(bytes);
    free(x);
    return 0;
}
