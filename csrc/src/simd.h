/*
 * The processor's vectors, chosen while the program runs. Not of the ABI.
 *
 * A function marked RS_CLONES is compiled for AVX-512, for AVX2 with fused multiply-add, and for any x86-64; the
 * loader picks the best that the processor has, once. Its body is plain C: compilers turn loops over neighbours into
 * vectors. On arm64 NEON is always there, and one version is enough. What a clone calls is inlined into it
 * (RS_INLINE), or it would be compiled for the least processor. Clones are static, each with a name that no other file
 * has: Clang 14 hides a public one from other files, and makes the chooser of a static one public.
 *
 * With RS_PLAIN defined there is one version, for the least processor, compiled in a third of the time.
 *
 * RS_FUSED at the top of a file lets a * b + c be rounded once. It doubles the speed of sums of products, and makes
 * last bits depend on the processor: files without it compute the same numbers everywhere.
 */
#ifndef DREAMPODS_SIMD_H
#define DREAMPODS_SIMD_H

#include <limits.h> /* for __GLIBC__: the choice is made by its loader */

#ifdef __has_attribute
#define RS_HAS_CLONES __has_attribute(target_clones)
#else
#define RS_HAS_CLONES 0
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && RS_HAS_CLONES && !defined(RS_PLAIN)
#define RS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RS_CLONES
#endif

#define RS_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define RS_FUSED _Pragma("clang fp contract(fast)")
#else
#define RS_FUSED _Pragma("GCC optimize (\"fp-contract=fast\")")
#endif

#endif
