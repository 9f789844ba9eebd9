#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dg {

// Which chains of operators become one (fuse_modulation.h, fuse_norm_rotary.h, fuse_activation.h, sampling/update.h).
struct Fusions {
  bool modulation = false;  // LayerNorm and adaLN's scale and shift
  bool residual = false;    // gate times output, added to the hidden state
  bool rotary = false;      // RMSNorm and rotary embedding of queries and keys
  bool gelu = false;        // GELU in the epilogue of the linear layer before it
  bool swiglu = false;      // product with a SiLU
  bool attention = false;   // attention in a pass of its own on the CPU (operators/attention.h)
  bool pack = false;        // weights of linear layers in the order of a product, and what follows (pack.h)
  bool update = false;      // the guidance sum and the sampler's update

  // What gains something on the device: on the CPU modulation, residual, rotary and pack, and attention in bfloat16
  // or where products are own (operators/product_way.h); on CUDA all but pack and attention.
  static Fusions forDevice(at::Device device, at::ScalarType dtype);
  // By the names above. Throws BAD_OPTION.
  static Fusions named(const std::vector<std::string>& names);

  std::vector<std::string> names() const;
  bool any() const { return !names().empty(); }
};

// Rewrites the graph, whose weights are packed already where `pack` says so.
void fuse(const std::shared_ptr<torch::jit::Graph>& graph, const Fusions& fusions);

// How many chains of each kind were found in a graph that was rewritten; those there are none of are left out.
std::map<std::string, int64_t> countFusions(const torch::jit::Graph& graph);

// What the fused and the unfused graph may differ by, relative to the largest value of the output. The fused kernels
// round once where separate operators round after each.
double fusionTolerance(at::ScalarType dtype);

}  // namespace dg
