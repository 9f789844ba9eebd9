#pragma once

// The addon is compiled for the oldest processor it may meet; loops with this mark for newer ones as well.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DG_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define DG_VECTORISED
#endif
