#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <type_traits>

namespace dg {

constexpr int64_t kLanes = 16;  // float32 in a register

}  // namespace dg

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

// And with those that multiply two pairs of bfloat16 and add them up.
inline bool hasBfloat16() {
  static const bool has = hasVnni() && __builtin_cpu_supports("avx512bf16");
  return has;
}

inline const bool kHasBfloat16 = hasBfloat16();

// The first `count` of 16 lanes; none where it is negative.
DG_AVX512_INLINE __mmask16 lanes(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1u << count) - 1u);
}

DG_AVX512_INLINE __m512 loadLanes(__mmask16 mask, const float* from) { return _mm512_maskz_loadu_ps(mask, from); }
DG_AVX512_INLINE __m512 widened(__m256i bfloat16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bfloat16), 16));
}
DG_AVX512_INLINE __m512 loadLanes(__mmask16 mask, const at::BFloat16* from) {
  return widened(_mm256_maskz_loadu_epi16(mask, from));
}

// To the nearest bfloat16, ties to even, NaN to bfloat16's: as rounding.h has it.
DG_AVX512_INLINE __m512i bfloat16Bits(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i nearest =
      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
  return _mm512_mask_mov_epi32(nearest, _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc0));
}

// The same by the instruction for it, which takes what is too small for a normal number for 0.
DG_AVX512_INLINE __m256i toBfloat16(__m512 value) {
  if (!kHasBfloat16) return _mm512_cvtepi32_epi16(bfloat16Bits(value));
  __m256i bits;
  // Not the intrinsic, which is for functions that are compiled for its processors alone.
  asm("vcvtneps2bf16 %1, %0" : "=v"(bits) : "v"(value));
  return bits;
}

DG_AVX512_INLINE void storeLanes(float* to, __mmask16 mask, __m512 value) { _mm512_mask_storeu_ps(to, mask, value); }
DG_AVX512_INLINE void storeLanes(at::BFloat16* to, __mmask16 mask, __m512 value) {
  _mm256_mask_storeu_epi16(to, mask, toBfloat16(value));
}

// What storeLanes leaves of a value, as float32.
DG_AVX512_INLINE __m512 roundedAs(const float*, __m512 value) { return value; }
DG_AVX512_INLINE __m512 roundedAs(const at::BFloat16*, __m512 value) { return widened(toBfloat16(value)); }

// 2ˣ for x within ±125, which x is brought into; NaN stays so. To 2 units in the last place of float32, or to 10⁻⁴ for
// what ends as bfloat16: 2ⁿ · 2ᶠ with |f| ≤ 1/2 and the polynomial of least relative error for 2ᶠ.
template <typename T>
DG_AVX512_INLINE __m512 powerOfTwo(__m512 x) {
  // Of two operands the second is kept where one is NaN.
  x = _mm512_min_ps(_mm512_set1_ps(125.0f), _mm512_max_ps(_mm512_set1_ps(-125.0f), x));
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, n), one = _mm512_set1_ps(1.0f);
  if constexpr (std::is_same_v<T, float>) {
    __m512 p = _mm512_fmadd_ps(f, _mm512_set1_ps(0.00132646773f), _mm512_set1_ps(0.00967150927f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.0555073395f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.240222424f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693147004f));
    return _mm512_scalef_ps(_mm512_fmadd_ps(p, f, one), n);
  } else {
    __m512 p = _mm512_fmadd_ps(f, _mm512_set1_ps(0.0550090484f), _mm512_set1_ps(0.242210805f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693282902f));
    return _mm512_scalef_ps(_mm512_fmadd_ps(p, f, one), n);
  }
}

// x / (1 + 2ᵗ), as near as 2ᵗ: a division costs as much as the rest.
template <typename T>
DG_AVX512_INLINE __m512 gatedBy(__m512 t, __m512 x) {
  const __m512 divisor = _mm512_add_ps(_mm512_set1_ps(1.0f), powerOfTwo<T>(t));
  const __m512 inverse = _mm512_rcp14_ps(divisor);
  const __m512 nearly = _mm512_mul_ps(x, inverse);
  if constexpr (!std::is_same_v<T, float>) return nearly;
  return _mm512_mul_ps(nearly, _mm512_fnmadd_ps(divisor, inverse, _mm512_set1_ps(2.0f)));
}

// x · σ(x)
template <typename T>
DG_AVX512_INLINE __m512 siluOf(__m512 x) {
  return gatedBy<T>(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f)), x);  // −log₂ e
}

// GELU with tanh, as gelu.h has it.
template <typename T>
DG_AVX512_INLINE __m512 geluOf(__m512 x) {
  const __m512 inner = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(0.044715f), _mm512_set1_ps(1.0f));
  const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(-2.30220820f));  // −√(8/π) log₂ e
  return gatedBy<T>(_mm512_mul_ps(scaled, inner), x);
}

}  // namespace dg

#else
#define DG_HAS_AVX512 0

namespace dg {

inline bool hasVnni() { return false; }
inline bool hasBfloat16() { return false; }

}  // namespace dg
#endif
