#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

// Loops that are written for AVX-512 by hand, since compilers leave them scalar or their tiles in memory. The addon is
// compiled for the oldest processor it may meet: functions with this mark are for newer ones and are called only where
// `hasVnni()` says so.
#if defined(__x86_64__) && defined(__GNUC__)
#define DG_HAS_AVX512 1
#define DG_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define DG_AVX512_INLINE inline __attribute__((always_inline)) DG_AVX512

// GCC 12 takes the operand that its own headers leave undefined on purpose for a mistake (its bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

namespace dg {

// AVX-512 with the instructions that multiply four pairs of 8 bit numbers and add them up.
inline bool hasVnni() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512vnni");
  return has;
}

// The first `count` of 16 lanes.
DG_AVX512_INLINE __mmask16 lanes(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1u);
}

DG_AVX512_INLINE __m512 loadLanes(__mmask16 mask, const float* from) { return _mm512_maskz_loadu_ps(mask, from); }
DG_AVX512_INLINE __m512 loadLanes(__mmask16 mask, const at::BFloat16* from) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from)), 16));
}

// To the nearest bfloat16, ties to even, NaN to bfloat16's: as rounding.h has it.
DG_AVX512_INLINE __m512i bfloat16Bits(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i nearest =
      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
  return _mm512_mask_mov_epi32(nearest, _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc0));
}

DG_AVX512_INLINE void storeLanes(float* to, __mmask16 mask, __m512 value) { _mm512_mask_storeu_ps(to, mask, value); }
DG_AVX512_INLINE void storeLanes(at::BFloat16* to, __mmask16 mask, __m512 value) {
  _mm256_mask_storeu_epi16(to, mask, _mm512_cvtepi32_epi16(bfloat16Bits(value)));
}

// What storeLanes leaves of a value, as float32.
DG_AVX512_INLINE __m512 roundedAs(const float*, __m512 value) { return value; }
DG_AVX512_INLINE __m512 roundedAs(const at::BFloat16*, __m512 value) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(bfloat16Bits(value), 16));
}

// eˣ to 2 units in the last place: 2ⁿ · 2ᶠ with |f| ≤ 1/2, as gelu.h has it, but with multiplications and additions
// that round once. NaN stays so.
DG_AVX512_INLINE __m512 exponentialOf(__m512 x) {
  // Of two operands the second is kept where one is NaN.
  x = _mm512_min_ps(_mm512_set1_ps(87.0f), _mm512_max_ps(_mm512_set1_ps(-87.0f), x));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9841270e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3888889e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3333333e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1666667e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666667e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

// x · σ(x)
DG_AVX512_INLINE __m512 siluOf(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  return _mm512_div_ps(x, _mm512_add_ps(one, exponentialOf(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

// GELU with tanh, as gelu.h has it.
DG_AVX512_INLINE __m512 geluOf(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  const __m512 inner = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(0.044715f), one);
  const __m512 minusU = _mm512_mul_ps(_mm512_mul_ps(x, inner), _mm512_set1_ps(-1.59576912f));
  return _mm512_div_ps(x, _mm512_add_ps(one, exponentialOf(minusU)));
}

}  // namespace dg

#else
#define DG_HAS_AVX512 0

namespace dg {

inline bool hasVnni() { return false; }

}  // namespace dg
#endif
