#include "native/core/graph/fusion.h"

#include <array>
#include <utility>

#include "native/core/error.h"
#include "native/core/graph/fuse_activation.h"
#include "native/core/graph/fuse_attention.h"
#include "native/core/graph/fuse_layer.h"
#include "native/core/graph/fuse_modulation.h"
#include "native/core/graph/fuse_norm_rotary.h"
#include "native/core/graph/pack.h"
#include "native/core/graph/quantise.h"
#include "native/core/operators/product_way.h"

namespace dg {
namespace {

constexpr std::array<std::pair<const char*, bool Fusions::*>, 8> kKinds{{{"modulation", &Fusions::modulation},
                                                                         {"residual", &Fusions::residual},
                                                                         {"rotary", &Fusions::rotary},
                                                                         {"gelu", &Fusions::gelu},
                                                                         {"swiglu", &Fusions::swiglu},
                                                                         {"attention", &Fusions::attention},
                                                                         {"pack", &Fusions::pack},
                                                                         {"update", &Fusions::update}}};

constexpr std::array<std::pair<const char*, const char*>, 13> kOperators{
    {{"detail_guidance::modulated_layer_norm", "modulation"},
     {"detail_guidance::gated_residual", "residual"},
     {"detail_guidance::norm_rotary", "rotary"},
     {"detail_guidance::linear_gelu", "gelu"},
     {"detail_guidance::gated_silu", "swiglu"},
     {"detail_guidance::attention", "attention"},
     {"detail_guidance::packed_linear", "pack"},
     {"detail_guidance::packed_residual", "pack"},
     {"detail_guidance::packed_residual", "residual"},
     {"detail_guidance::packed_modulated", "pack"},
     {"detail_guidance::packed_modulated", "modulation"},
     {"detail_guidance::quantised_residual", "residual"},
     {"detail_guidance::quantised_modulated", "modulation"}}};

void count(const torch::jit::Block* block, std::map<std::string, int64_t>& counts) {
  for (const auto* node : block->nodes()) {
    for (const auto& [name, kind] : kOperators) {
      if (node->kind() == c10::Symbol::fromQualString(name)) ++counts[kind];
    }
    for (const auto* inner : node->blocks()) count(inner, counts);
  }
}

}  // namespace

Fusions Fusions::forDevice(at::Device device, at::ScalarType dtype) {
  Fusions fusions;
  fusions.modulation = fusions.residual = fusions.rotary = true;
  fusions.pack = device.is_cpu();
  fusions.attention = device.is_cpu() && (dtype == at::kBFloat16 || hasOwnProduct(dtype));
  if (device.is_cuda()) fusions.gelu = fusions.swiglu = fusions.update = true;
  return fusions;
}

Fusions Fusions::named(const std::vector<std::string>& names) {
  Fusions fusions;
  for (const auto& kind : names) {
    bool isKnown = false;
    std::string known;
    for (const auto& [name, member] : kKinds) {
      known += (known.empty() ? "'" : ", '") + std::string(name) + "'";
      if (kind != name) continue;
      fusions.*member = true;
      isKnown = true;
    }
    if (!isKnown) throw Error("BAD_OPTION", "fuse names '" + kind + "': expected some of " + known + ".");
  }
  return fusions;
}

std::vector<std::string> Fusions::names() const {
  std::vector<std::string> names;
  for (const auto& [name, member] : kKinds) {
    if (this->*member) names.emplace_back(name);
  }
  return names;
}

void fuse(const std::shared_ptr<torch::jit::Graph>& graph, const Fusions& fusions) {
  // First: half of a rotation looks like a gated residual.
  if (fusions.rotary) fuseNormRotary(graph);
  if (fusions.modulation || fusions.residual) fuseModulation(graph, fusions.modulation, fusions.residual);
  if (fusions.gelu) fuseLinearGelu(graph);
  if (fusions.swiglu) fuseGatedSilu(graph);
  if (fusions.attention) fuseAttention(graph);
  if (fusions.pack) fusePackedActivations(graph);
  if (fusions.pack || fusions.gelu) fuseQuantisedActivations(graph);
  if (fusions.pack) fuseLayers(graph);
}

std::map<std::string, int64_t> countFusions(const torch::jit::Graph& graph) {
  std::map<std::string, int64_t> counts;
  count(graph.block(), counts);
  return counts;
}

double fusionTolerance(at::ScalarType dtype) {
  switch (dtype) {
    case at::kHalf:
      return 1e-2;
    case at::kBFloat16:
      return 5e-2;
    default:
      return 1e-4;
  }
}

}  // namespace dg
