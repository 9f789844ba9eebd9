#include "native/cuda/operators.h"

#ifdef DETAIL_GUIDANCE_CUDA_KERNELS
#include <ATen/Functions.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <tuple>

#include "native/core/operators/activation.h"
#include "native/core/operators/channel_statistics.h"
#include "native/core/operators/guided_update.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/names.h"
#include "native/core/operators/norm_rotary.h"
#include "native/cuda/arguments.h"
#include "native/cuda/channel_statistics.h"
#include "native/cuda/kernels.h"
#include "native/cuda/quantised_operators.h"
#endif

namespace dg::cuda {

#ifdef DETAIL_GUIDANCE_CUDA_KERNELS
namespace {

// Strides keep the alignment of the pointer for every axis but the last.
bool keepsAlignment(const at::Tensor& tensor) {
  for (int64_t axis = 0; axis + 1 < tensor.dim(); ++axis) {
    if (tensor.size(axis) > 1 && tensor.stride(axis) % kVector != 0) return false;
  }
  return isAligned(tensor);
}

bool isLike(const at::Tensor& tensor, const at::Tensor& x) {
  return tensor.device() == x.device() && tensor.scalar_type() == x.scalar_type();
}

bool isCountable(const at::Tensor& x) { return x.numel() > 0 && x.numel() <= kMostValues; }

bool isHiddenState(const at::Tensor& x) {
  return x.dim() == 3 && x.is_cuda() && scalarOf(x.scalar_type()) && isCountable(x) && x.size(2) % kVector == 0 &&
         x.size(2) <= kMostChannels;
}

// One value a channel for every row of the batch: [B, 1, C] or [1, 1, C].
bool isPerChannel(const at::Tensor& value, const at::Tensor& x) {
  return value.dim() == 3 && isLike(value, x) && value.size(1) == 1 && value.size(2) == x.size(2) &&
         (value.size(0) == x.size(0) || value.size(0) == 1) && keepsAlignment(value);
}

int64_t rowStride(const at::Tensor& value) { return value.size(0) == 1 ? 0 : value.stride(0); }

bool isVector(const std::optional<at::Tensor>& value, const at::Tensor& x) {
  return !value || (value->dim() == 1 && isLike(*value, x) && value->size(0) == x.size(-1) && isAligned(*value));
}

at::Tensor modulatedLayerNormKernel(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                                    const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                                    double eps, const at::Tensor& scale, const at::Tensor& shift) {
  const bool fits = isHiddenState(hidden) && normalizedShape.size() == 1 && isPerChannel(scale, hidden) &&
                    isPerChannel(shift, hidden) && isVector(weight, hidden) && isVector(bias, hidden);
  if (!fits) return modulatedLayerNorm(hidden, normalizedShape, weight, bias, eps, scale, shift);
  const c10::cuda::CUDAGuard guard(hidden.device());
  const auto x = packed(hidden);
  auto out = at::empty_like(x);
  launch(ModulatedLayerNorm{*scalarOf(x.scalar_type()), x.const_data_ptr(), pointer(weight), pointer(bias),
                            scale.const_data_ptr(), shift.const_data_ptr(), out.data_ptr(), x.size(0), x.size(1),
                            x.size(2), rowStride(scale), rowStride(shift), static_cast<float>(eps)},
         currentStream());
  return out;
}

at::Tensor gatedResidualKernel(const at::Tensor& hidden, const at::Tensor& a, const at::Tensor& b) {
  const auto isBranch = [&](const at::Tensor& y) { return y.sizes().equals(hidden.sizes()) && isLike(y, hidden); };
  const bool first = isHiddenState(hidden) && isPerChannel(a, hidden) && isBranch(b);
  const bool second = !first && isHiddenState(hidden) && isPerChannel(b, hidden) && isBranch(a);
  if (!first && !second) return gatedResidual(hidden, a, b);
  const c10::cuda::CUDAGuard guard(hidden.device());
  const auto x = packed(hidden), branch = packed(first ? b : a);
  const auto& gate = first ? a : b;
  auto out = at::empty_like(x);
  launch(GatedResidual{*scalarOf(x.scalar_type()), x.const_data_ptr(), gate.const_data_ptr(), branch.const_data_ptr(),
                       out.data_ptr(), x.size(0), x.size(1), x.size(2), rowStride(gate)},
         currentStream());
  return out;
}

// Strides that walk `table` as if it were expanded to x; nothing where it does not broadcast.
bool broadcast(const at::Tensor& table, const at::Tensor& x, int64_t (&strides)[3]) {
  const bool fits = table.device() == x.device() && table.scalar_type() == at::kFloat && table.dim() == 4 &&
                    table.size(3) == x.size(3) && keepsAlignment(table);
  for (int64_t axis = 0; fits && axis < 3; ++axis) {
    if (table.size(axis) != 1 && table.size(axis) != x.size(axis)) return false;
    strides[axis] = table.size(axis) == 1 ? 0 : table.stride(axis);
  }
  return fits;
}

at::Tensor normRotaryKernel(const at::Tensor& x, const std::optional<at::Tensor>& weight, std::optional<double> eps,
                            const std::optional<at::Tensor>& cosine, const std::optional<at::Tensor>& sine) {
  const int64_t channels = x.dim() == 4 ? x.size(3) : 0;
  const bool isPowerOfTwo = channels >= kVector && channels <= kMostHeadChannels && (channels & (channels - 1)) == 0;
  NormRotary work{};
  int64_t sineStrides[3] = {};
  bool fits = isPowerOfTwo && x.is_cuda() && scalarOf(x.scalar_type()) && isCountable(x) && keepsAlignment(x) &&
              isVector(weight, x);
  if (fits && cosine && sine) {
    fits = broadcast(*cosine, x, work.angleStrides) && broadcast(*sine, x, sineStrides) &&
           std::equal(sineStrides, sineStrides + 3, work.angleStrides);
  }
  if (!fits) return normRotary(x, weight, eps, cosine, sine);
  const c10::cuda::CUDAGuard guard(x.device());
  auto out = at::empty_like(x);
  if (!keepsAlignment(out)) return normRotary(x, weight, eps, cosine, sine);
  work.dtype = *scalarOf(x.scalar_type());
  work.x = x.const_data_ptr();
  work.weight = pointer(weight);
  work.out = out.data_ptr();
  for (int axis = 0; axis < 3; ++axis) {
    work.sizes[axis] = x.size(axis);
    work.strides[axis] = x.stride(axis);
    work.outStrides[axis] = out.stride(axis);
  }
  work.channels = channels;
  work.normalise = eps.has_value();
  work.epsilon = static_cast<float>(eps.value_or(0));
  work.rotate = cosine && sine;
  if (work.rotate) {
    work.cosine = cosine->const_data_ptr<float>();
    work.sine = sine->const_data_ptr<float>();
  }
  launch(work, currentStream());
  return out;
}

// The stride between rows of a tensor whose leading axes can be walked as one; 0 when they can not.
int64_t flatRowStride(const at::Tensor& x) {
  if (x.dim() < 2 || x.stride(-1) != 1) return 0;
  for (int64_t axis = 0; axis + 2 < x.dim(); ++axis) {
    if (x.size(axis) > 1 && x.stride(axis) != x.stride(axis + 1) * x.size(axis + 1)) return 0;
  }
  return x.stride(-2) % kVector == 0 ? x.stride(-2) : 0;
}

at::Tensor gatedSiluKernel(const at::Tensor& a, const at::Tensor& b) {
  const bool fits = a.is_cuda() && scalarOf(a.scalar_type()) && isLike(b, a) && a.sizes().equals(b.sizes()) &&
                    a.dim() >= 2 && isCountable(a) && a.size(-1) % kVector == 0 && flatRowStride(a) > 0 &&
                    flatRowStride(b) > 0 && isAligned(a) && isAligned(b);
  if (!fits) return gatedSilu(a, b);
  const c10::cuda::CUDAGuard guard(a.device());
  auto out = at::empty(a.sizes(), a.options());
  launch(GatedSilu{*scalarOf(a.scalar_type()), a.const_data_ptr(), b.const_data_ptr(), out.data_ptr(),
                   a.numel() / a.size(-1), a.size(-1), flatRowStride(a), flatRowStride(b)},
         currentStream());
  return out;
}

std::tuple<at::Tensor, at::Tensor> guidedUpdateKernel(at::TensorList predictions, at::ArrayRef<double> weights,
                                                      const at::Tensor& x, at::TensorList history, double sample,
                                                      at::ArrayRef<double> outputs) {
  const auto isState = [&](const at::Tensor& state) {
    return state.is_cuda() && state.scalar_type() == at::kFloat && state.is_contiguous() &&
           state.sizes().equals(x.sizes());
  };
  bool fits = x.is_cuda() && isState(x) && x.numel() > 0 && !predictions.empty() && predictions.size() <= kMostTerms &&
              history.size() <= kMostTerms && scalarOf(predictions[0].scalar_type()).has_value();
  for (const auto& prediction : predictions)
    fits = fits && isLike(prediction, predictions[0]) && prediction.sizes().equals(x.sizes());
  for (const auto& state : history) fits = fits && isState(state);
  if (!fits) return guidedUpdate(predictions, weights, x, history, sample, outputs);
  const c10::cuda::CUDAGuard guard(x.device());
  auto guided = at::empty_like(x), next = at::empty_like(x);
  GuidedUpdate work{};
  std::vector<at::Tensor> contiguous;  // held until the kernel is enqueued
  work.dtype = *scalarOf(predictions[0].scalar_type());
  work.terms = static_cast<int>(predictions.size());
  for (int i = 0; i < work.terms; ++i) {
    contiguous.push_back(predictions[i].contiguous());
    work.predictions[i] = contiguous.back().const_data_ptr();
    work.weights[i] = static_cast<float>(weights[i]);
  }
  work.x = x.const_data_ptr<float>();
  work.pastTerms = static_cast<int>(history.size());
  for (int k = 0; k < work.pastTerms; ++k) {
    work.history[k] = history[k].const_data_ptr<float>();
    work.past[k] = static_cast<float>(outputs[k + 1]);
  }
  work.sample = static_cast<float>(sample);
  work.output = static_cast<float>(outputs[0]);
  work.guided = guided.data_ptr<float>();
  work.next = next.data_ptr<float>();
  work.count = x.numel();
  launch(work, currentStream());
  return {guided, next};
}

std::tuple<at::Tensor, at::Tensor> channelStatisticsKernel(const at::Tensor& hidden, at::ArrayRef<double> percentiles) {
  const bool fits = hidden.dim() == 3 && scalarOf(hidden.scalar_type()) && hidden.numel() > 0 &&
                    percentiles.size() < kMostRanks && hidden.size(1) <= std::numeric_limits<int32_t>::max();
  if (!fits) return channelStatistics(hidden, percentiles);
  const c10::cuda::CUDAGuard guard(hidden.device());
  const auto z = hidden.stride(2) == 1 ? hidden : hidden.contiguous();
  const auto ranks = static_cast<int>(percentiles.size()) + 1;
  auto out = at::empty({z.size(0), 3 + ranks, z.size(2)}, z.options().dtype(at::kFloat));
  auto nonFinite = at::zeros({z.size(0)}, z.options().dtype(at::kInt));
  ChannelStatistics work{};
  work.dtype = *scalarOf(z.scalar_type());
  work.z = z.const_data_ptr();
  work.out = out.data_ptr<float>();
  work.nonFinite = nonFinite.data_ptr<int32_t>();
  work.images = z.size(0);
  work.tokens = z.size(1);
  work.channels = z.size(2);
  work.imageStride = z.stride(0);
  work.tokenStride = z.stride(1);
  work.ranks = ranks;
  for (int k = 0; k < ranks; ++k) {
    const auto rank = rankOf(k == 0 ? 50 : percentiles[k - 1], z.size(1));
    work.index[k] = rank.index;
    work.share[k] = rank.share;
  }
  launch(work, currentStream());
  return {out, nonFinite};
}

}  // namespace

void registerKernels() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Kept until the process ends, like the operators themselves (tap.cc).
    static auto* library =
        new torch::Library(torch::Library::IMPL, kNamespace, c10::DispatchKey::CUDA, __FILE__, __LINE__);
    library->impl("modulated_layer_norm", modulatedLayerNormKernel);
    library->impl("gated_residual", gatedResidualKernel);
    library->impl("norm_rotary", normRotaryKernel);
    library->impl("gated_silu", gatedSiluKernel);
    library->impl("guided_update", guidedUpdateKernel);
    library->impl("channel_statistics", channelStatisticsKernel);
    registerQuantisedKernels(*library);
  });
}

std::string architectures() { return kernelArchitectures(); }

#else

void registerKernels() {}

std::string architectures() { return ""; }

#endif

}  // namespace dg::cuda
