#include "native/core/sampling/combine.h"

#include <ATen/Functions.h>

#include "native/core/device/device.h"

namespace dg {
namespace {

at::Tensor perImage(const at::Tensor& values, const at::Tensor& like) {
  std::vector<int64_t> shape(like.dim(), 1);
  shape[0] = like.size(0);
  return values.reshape(shape);
}

at::Tensor innerProduct(const at::Tensor& a, const at::Tensor& b) { return perImage((a * b).flatten(1).sum(1), a); }

at::Tensor deviation(const at::Tensor& x) { return perImage(x.flatten(1).std(1), x); }

// Σ_b weights[b] · D_b with weights of each image's own.
at::Tensor sumPerImage(const std::vector<at::Tensor>& predictions, const Step& step, int64_t firstImage) {
  at::Tensor sum;
  for (size_t branch = 0; branch < predictions.size(); ++branch) {
    const auto& prediction = predictions[branch];
    if (!prediction.defined() || step.weights[branch] == 0) continue;
    std::vector<float> weights;
    for (int64_t image = 0; image < prediction.size(0); ++image) {
      weights.push_back(static_cast<float>(step.imageWeights.at(firstImage + image).at(branch)));
    }
    const auto term = prediction * perImage(toDevice(at::tensor(weights), prediction.device()), prediction);
    sum = sum.defined() ? sum.add_(term) : term;
  }
  return sum;
}

at::Tensor sumOf(const std::vector<at::Tensor>& predictions, const Step& step) {
  at::Tensor sum;
  for (size_t branch = 0; branch < predictions.size(); ++branch) {
    if (!predictions[branch].defined() || step.weights[branch] == 0) continue;
    if (sum.defined()) {
      sum.add_(predictions[branch], step.weights[branch]);
    } else {
      sum = predictions[branch] * step.weights[branch];
    }
  }
  return sum;
}

}  // namespace

at::Tensor Combiner::combine(std::vector<at::Tensor>& predictions, const Step& step) {
  for (const auto& adjustment : step.adjustments) {
    const bool changesBranch = adjustment.kind == Adjustment::Kind::project || adjustment.kind == Adjustment::Kind::apg;
    if (!changesBranch || !predictions[adjustment.branch].defined()) continue;
    auto& changed = predictions[adjustment.branch];
    const auto& reference = predictions[adjustment.reference];
    if (adjustment.kind == Adjustment::Kind::project) {
      changed = changed * (innerProduct(reference, changed) / (innerProduct(changed, changed) + 1e-8));
      continue;
    }
    auto difference = reference - changed;
    if (adjustment.momentum != 0) {
      auto& average = momentum_[adjustment.branch];
      average = average.defined() ? difference + adjustment.momentum * average : difference;
      difference = average;
    }
    if (adjustment.normThreshold > 0) {
      const auto norm = innerProduct(difference, difference).sqrt();
      difference = difference * (adjustment.normThreshold / norm).clamp_max(1.0);
    }
    const auto unit = reference / (innerProduct(reference, reference).sqrt() + 1e-12);
    const auto parallel = innerProduct(difference, unit) * unit;
    changed = reference - (difference - parallel + adjustment.eta * parallel);
  }

  auto guided = step.imageWeights.empty() ? sumOf(predictions, step) : sumPerImage(predictions, step, firstImage_);
  for (const auto& adjustment : step.adjustments) {
    if (adjustment.kind == Adjustment::Kind::zero) guided = at::zeros_like(guided);
    if (adjustment.kind != Adjustment::Kind::rescale || !predictions[adjustment.reference].defined()) continue;
    const auto ratio = deviation(predictions[adjustment.reference]) / (deviation(guided) + 1e-12);
    guided = guided * (adjustment.factor * ratio + (1 - adjustment.factor));
  }
  return guided;
}

}  // namespace dg
