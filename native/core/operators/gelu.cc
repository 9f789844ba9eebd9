#include "native/core/operators/gelu.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include "native/core/operators/avx512.h"
#include "native/core/operators/rounding.h"
#include "native/core/operators/vectorise.h"

namespace dg {
namespace {

template <typename T>
DG_INLINE void geluAs(T* out, const T* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = rounded<T>(geluOf(widen(x[i])));
}

DG_VECTORISED void gelu(float* out, const float* x, int64_t count) { geluAs(out, x, count); }
DG_VECTORISED void gelu(at::BFloat16* out, const at::BFloat16* x, int64_t count) { geluAs(out, x, count); }

#if DG_HAS_AVX512
// To the last bit what quantised layers do in their last pass.
template <typename T>
DG_AVX512 void wideGelu(T* out, const T* x, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = lanes(count - i);
    storeLanes(out + i, mask, geluOf<T>(loadLanes(mask, x + i)));
  }
}
#endif

template <typename T>
void fastest(T* out, const T* x, int64_t count) {
#if DG_HAS_AVX512
  if (hasVnni()) return wideGelu(out, x, count);
#endif
  gelu(out, x, count);
}

template <typename T>
void geluOver(const at::Tensor& x, at::Tensor& out) {
  const T* from = x.const_data_ptr<T>();
  T* to = out.data_ptr<T>();
  at::parallel_for(0, x.numel(), 16384,
                   [&](int64_t begin, int64_t end) { fastest(to + begin, from + begin, end - begin); });
}

}  // namespace

at::Tensor fastGelu(const at::Tensor& given) {
  // libtorch's loop for float16 gives the last few numbers other bits than the rest.
  if (given.is_cpu() && given.scalar_type() == at::kHalf) return fastGelu(given.to(at::kFloat)).to(at::kHalf);
  const bool isKnown = given.scalar_type() == at::kFloat || given.scalar_type() == at::kBFloat16;
  if (!given.is_cpu() || !isKnown || given.layout() != at::kStrided) return at::gelu(given, "tanh");
  const auto x = given.contiguous();
  auto out = at::empty_like(x);
  x.scalar_type() == at::kFloat ? geluOver<float>(x, out) : geluOver<at::BFloat16>(x, out);
  return out;
}

}  // namespace dg
