/*
 * What one core of this machine can do at most: the roofs of tests/bench/roofline.py, printed as JSON.
 *
 * Bandwidth: a[i] = b[i] + s c[i] (STREAM's triad) over a working set that fits into each cache, and one that fits
 * into none; counted are the 12 bytes a turn that the program asks for. Peak: sixteen independent sums of products,
 * enough to hide the latency of a multiply-add, in the widest vectors that the compiler was told the processor has.
 * The best of many short runs counts, for whatever else happens only takes time.
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

enum { SUMS = 16, ROUNDS = 50000 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double triad_gb_s(size_t working_set)
{
    const size_t n = working_set / 12 / 16 * 16;
    float *a = aligned_alloc(64, n * 4), *b = aligned_alloc(64, n * 4), *c = aligned_alloc(64, n * 4);
    if (!a || !b || !c)
        exit(1);
    for (size_t i = 0; i < n; i++)
        a[i] = b[i] = c[i] = 1.0f;
    const size_t turns = 1 + ((size_t)48 << 20) / (12 * n);
    double best = 1e9;
    for (int run = 0; run < 25; run++) {
        const double start = now_s();
        for (size_t turn = 0; turn < turns; turn++) {
            for (size_t i = 0; i < n; i++)
                a[i] = b[i] + 0.5f * c[i];
            __asm__ volatile("" : : "r"(a) : "memory");
        }
        const double took = (now_s() - start) / (double)turns;
        best = took < best ? took : best;
    }
    free(a);
    free(b);
    free(c);
    return 12e-9 * (double)n / best;
}

/* Each sum is a variable of its own: an array of vectors would live in memory. */
#define ALL(do) \
    do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(14) do(15)
#define MAKE(k) vector sum##k = x * (k + 1); /* equal sums would be made one */
#define ADD(k) sum##k = sum##k * x + y;
#define KEEP(k) keep += sum##k;

#define PEAK(name, type) \
    static double name(void) \
    { \
        typedef type vector __attribute__((vector_size(VECTOR_BYTES))); \
        vector x = {0}, y = {0}; \
        for (size_t k = 0; k < VECTOR_BYTES / sizeof(type); k++) { \
            x[k] = (type)0.999; \
            y[k] = (type)0.001; \
        } \
        ALL(MAKE) \
        double best = 1e9; \
        for (int run = 0; run < 100; run++) { \
            const double start = now_s(); \
            for (int round = 0; round < ROUNDS; round++) { \
                ALL(ADD) \
            } \
            const double took = now_s() - start; \
            best = took < best ? took : best; \
        } \
        volatile vector keep = {0}; \
        ALL(KEEP) \
        return 2e-9 * ROUNDS * SUMS * (double)(VECTOR_BYTES / sizeof(type)) / best; \
    }

PEAK(peak_float, float)
PEAK(peak_double, double)

int main(int count, char **sizes)
{
    printf("{\"vector_bytes\": %d, \"float_gflop_s\": %.3f, \"double_gflop_s\": %.3f, \"bandwidth\": [",
           VECTOR_BYTES, peak_float(), peak_double());
    for (int k = 1; k < count; k++)
        printf("%s[%s, %.3f]", k > 1 ? ", " : "", sizes[k], triad_gb_s(strtoul(sizes[k], NULL, 10)));
    puts("]}");
    return 0;
}
