#include "native/core/operators/norm_rotary.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>

#include "native/core/operators/threads.h"

namespace dg {
namespace {

// The rotation of `x` in one pass, rounding where the separate operators do.
bool fitsOnePass(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const auto isTable = [&](const at::Tensor& table) {
    return table.is_cpu() && table.scalar_type() == at::kFloat && table.dim() == 4 && table.stride(3) == 1 &&
           table.size(3) == x.size(3);
  };
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 4 && x.is_contiguous() && x.size(3) % 2 == 0 &&
         x.numel() > 0 && isTable(cosine) && isTable(sine);
}

at::Tensor rotateInOnePass(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  auto result = at::empty_like(x);
  const auto cosines = cosine.expand(x.sizes()), sines = sine.expand(x.sizes());
  const float* from = x.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  const float* c = cosines.const_data_ptr<float>();
  const float* s = sines.const_data_ptr<float>();
  const int64_t channels = x.size(3), heads = x.size(2), middle = x.size(1);
  at::parallel_for(0, x.size(0) * middle * heads, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t i2 = row % heads, i1 = row / heads % middle, i0 = row / heads / middle;
      const float* cosineRow = c + i0 * cosines.stride(0) + i1 * cosines.stride(1) + i2 * cosines.stride(2);
      const float* sineRow = s + i0 * sines.stride(0) + i1 * sines.stride(1) + i2 * sines.stride(2);
      const float* in = from + row * channels;
      float* out = to + row * channels;
      for (int64_t i = 0; i < channels; i += 2) {
        out[i] = in[i] * cosineRow[i] - in[i + 1] * sineRow[i];
        out[i + 1] = in[i + 1] * cosineRow[i + 1] + in[i] * sineRow[i + 1];
      }
    }
  });
  return result;
}

at::Tensor rotateSeparately(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const auto pairs = x.unflatten(-1, {-1, 2}).unbind(-1);
  const auto rotated = at::stack({-pairs[1], pairs[0]}, -1).flatten(-2);
  return (x.to(at::kFloat) * cosine + rotated.to(at::kFloat) * sine).to(x.scalar_type());
}

}  // namespace

at::Tensor normRotary(const at::Tensor& x, const std::optional<at::Tensor>& weight, std::optional<double> eps,
                      const std::optional<at::Tensor>& cosine, const std::optional<at::Tensor>& sine) {
  const ThreadsFor pass(workOfPass(x.numel()));
  auto result = x;
  const bool isPlain = !weight || (weight->sizes().equals({x.size(-1)}) && weight->scalar_type() == x.scalar_type());
  if (eps && isPlain) {
    result = at::rms_norm(x, {x.size(-1)}, weight, *eps);
  } else if (eps) {
    const auto wide = x.to(at::kFloat);
    result = (wide * at::rsqrt(wide.pow(2).mean(-1, /*keepdim=*/true) + *eps) * *weight).to(x.scalar_type());
  }
  if (!cosine || !sine) return result;
  return fitsOnePass(result, *cosine, *sine) ? rotateInOnePass(result, *cosine, *sine)
                                             : rotateSeparately(result, *cosine, *sine);
}

}  // namespace dg
