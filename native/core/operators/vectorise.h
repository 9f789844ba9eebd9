#pragma once

// The addon is compiled for the oldest processor it may meet; loops with this mark for newer ones as well.
// Under a sanitizer it is not: the choice between the clones is made before its run time is there.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define DG_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define DG_VECTORISED
#endif

// What such a loop is made of: part of every clone, where a compiler may otherwise leave one for the oldest processor.
#if defined(__GNUC__)
#define DG_INLINE inline __attribute__((always_inline))
#else
#define DG_INLINE inline
#endif
