/*
 * CRC-32 with what the processor has for it, found out while the program runs.
 *
 * x86-64 multiplies polynomials over GF(2) (PCLMULQDQ). Bits that stand D places before others may be multiplied by
 * x^D mod P and added to them without changing the CRC, so 64 bytes are folded onto the next 64 until 16 remain, which
 * have the CRC of all (Gopal et al., Fast CRC computation for generic polynomials using PCLMULQDQ, Intel 2009). Those
 * 16 and the last bytes go through the tables. arm64 has an instruction for this very polynomial.
 */
#include <string.h>

#include "crc32.h"
#include "resonance.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

enum { WIDE = 256, FOLDED = 64, LANE = 16 };

#define HAS_PCLMUL __attribute__((target("pclmul,sse4.1")))

/* `from`, moved by the distance that `by` stands for, added to `to`. */
HAS_PCLMUL static inline __m128i folded(__m128i from, __m128i by, __m128i to)
{
    const __m128i low = _mm_clmulepi64_si128(from, by, 0x00);
    const __m128i high = _mm_clmulepi64_si128(from, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), to);
}

HAS_PCLMUL static inline __m128i lane(const uint8_t *bytes)
{
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

/* x^(D+32) and x^(D-32) mod P, bits reversed, for distances of D bits. */
#define BY_2048 0x1322d1430, 0x11542778a
#define BY_512 0x1c6e41596, 0x154442bd4
#define BY_128 0x0ccaa009e, 0x1751997d0

/* From the last 64 bytes, folded, and the n that follow. */
HAS_PCLMUL static inline uint32_t finish(__m128i a, __m128i b, __m128i c, __m128i d, size_t n,
                                         const uint8_t *bytes)
{
    const __m128i by_one = _mm_set_epi64x(BY_128);
    a = folded(folded(folded(a, by_one, b), by_one, c), by_one, d);
    for (; n >= LANE; bytes += LANE, n -= LANE)
        a = folded(a, by_one, lane(bytes));
    uint8_t last[LANE];
    memcpy(last, &a, LANE);
    return rs_crc32_by_table(rs_crc32_by_table(0, LANE, last), n, bytes);
}

/* At least 64 bytes. */
HAS_PCLMUL static uint32_t by_folding(uint32_t crc, size_t n, const uint8_t *bytes)
{
    const __m128i by_four = _mm_set_epi64x(BY_512);
    __m128i a = _mm_xor_si128(lane(bytes), _mm_cvtsi32_si128((int)crc));
    __m128i b = lane(bytes + LANE), c = lane(bytes + 2 * LANE), d = lane(bytes + 3 * LANE);
    for (bytes += FOLDED, n -= FOLDED; n >= FOLDED; bytes += FOLDED, n -= FOLDED) {
        a = folded(a, by_four, lane(bytes));
        b = folded(b, by_four, lane(bytes + LANE));
        c = folded(c, by_four, lane(bytes + 2 * LANE));
        d = folded(d, by_four, lane(bytes + 3 * LANE));
    }
    return finish(a, b, c, d, n, bytes);
}

/* The same with four lanes in a vector (VPCLMULQDQ), and four vectors at once. */
#define HAS_WIDE __attribute__((target("vpclmulqdq,avx512f,pclmul,sse4.1")))

HAS_WIDE static inline __m512i folded_wide(__m512i from, __m512i by, __m512i to)
{
    const __m512i low = _mm512_clmulepi64_epi128(from, by, 0x00);
    const __m512i high = _mm512_clmulepi64_epi128(from, by, 0x11);
    return _mm512_xor_si512(_mm512_xor_si512(low, high), to);
}

/* At least 256 bytes. */
HAS_WIDE static uint32_t by_wide_folding(uint32_t crc, size_t n, const uint8_t *bytes)
{
    const __m512i far = _mm512_broadcast_i32x4(_mm_set_epi64x(BY_2048));
    const __m512i near = _mm512_broadcast_i32x4(_mm_set_epi64x(BY_512));
    __m512i a = _mm512_xor_si512(_mm512_loadu_si512(bytes), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
    __m512i b = _mm512_loadu_si512(bytes + FOLDED), c = _mm512_loadu_si512(bytes + 2 * FOLDED);
    __m512i d = _mm512_loadu_si512(bytes + 3 * FOLDED);
    for (bytes += WIDE, n -= WIDE; n >= WIDE; bytes += WIDE, n -= WIDE) {
        a = folded_wide(a, far, _mm512_loadu_si512(bytes));
        b = folded_wide(b, far, _mm512_loadu_si512(bytes + FOLDED));
        c = folded_wide(c, far, _mm512_loadu_si512(bytes + 2 * FOLDED));
        d = folded_wide(d, far, _mm512_loadu_si512(bytes + 3 * FOLDED));
    }
    a = folded_wide(folded_wide(folded_wide(a, near, b), near, c), near, d);
    for (; n >= FOLDED; bytes += FOLDED, n -= FOLDED)
        a = folded_wide(a, near, _mm512_loadu_si512(bytes));
    return finish(_mm512_extracti32x4_epi32(a, 0), _mm512_extracti32x4_epi32(a, 1),
                  _mm512_extracti32x4_epi32(a, 2), _mm512_extracti32x4_epi32(a, 3), n, bytes);
}

static uint32_t best(uint32_t crc, size_t n, const uint8_t *bytes)
{
    if (n >= WIDE && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f"))
        return by_wide_folding(crc, n, bytes);
    if (n >= FOLDED && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
        return by_folding(crc, n, bytes);
    return rs_crc32_by_table(crc, n, bytes);
}

#elif defined(__aarch64__) && !defined(__AARCH64EB__) && defined(__GNUC__) && \
    (defined(__linux__) || defined(__APPLE__))

#if defined(__clang__)
#define HAS_CRC __attribute__((target("crc")))
#define CRC_OF_8 __builtin_arm_crc32d
#define CRC_OF_1 __builtin_arm_crc32b
#else
#define HAS_CRC __attribute__((target("+crc")))
#define CRC_OF_8 __builtin_aarch64_crc32x
#define CRC_OF_1 __builtin_aarch64_crc32b
#endif

HAS_CRC static uint32_t by_instruction(uint32_t crc, size_t n, const uint8_t *bytes)
{
    for (; n >= 8; n -= 8, bytes += 8) {
        uint64_t eight;
        memcpy(&eight, bytes, 8);
        crc = CRC_OF_8(crc, eight);
    }
    for (; n; n--, bytes++)
        crc = CRC_OF_1(crc, *bytes);
    return crc;
}

#if defined(__linux__)
#include <sys/auxv.h> /* reads what the kernel left in the process, without a system call */
static int has_crc(void)
{
    const unsigned long crc32_bit = 1ul << 7; /* HWCAP_CRC32 */
    return (getauxval(AT_HWCAP) & crc32_bit) != 0;
}
#else
static int has_crc(void)
{
    return 1; /* every arm64 that Apple has sold with macOS */
}
#endif

static uint32_t best(uint32_t crc, size_t n, const uint8_t *bytes)
{
    return has_crc() ? by_instruction(crc, n, bytes) : rs_crc32_by_table(crc, n, bytes);
}

#else

static uint32_t best(uint32_t crc, size_t n, const uint8_t *bytes)
{
    return rs_crc32_by_table(crc, n, bytes);
}

#endif

uint32_t rs_crc32(uint32_t crc, size_t n, const uint8_t *bytes)
{
    return ~best(~crc, n, bytes);
}
