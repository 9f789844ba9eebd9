#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/core/graph/site.h"
#include "native/core/operators/quantised_linear.h"

namespace dg {

// Linear layers of the blocks with 8 bit weights, and activations where asked for (operators/quantised_linear.h).
// Embeddings, modulation (what no token flows into), norms and the last layer stay as they are.

// How one layer differs from the others.
struct LayerQuantisation {
  std::vector<int64_t> channels;  // input channels that are kept
  at::Tensor smoothing;           // float32 [inputs], or undefined
  at::Tensor maxima;              // float32 [inputs]: max |x| by channel, from which smoothing is made; or undefined
};

struct Quantisation {
  WeightFormat format = WeightFormat::int8;
  ActivationScope scope = ActivationScope::token;
  // Channels of the hidden state that are kept, in every layer that reads the hidden state or its norm, and of which
  // stream they are.
  std::vector<int64_t> channels;
  std::string stream = "image";
  std::vector<std::string> keep;                    // patterns of layers that are not quantised
  std::map<std::string, LayerQuantisation> layers;  // in place of `channels`, by path
  // Layers that are stored quantised, by path: all but their values, whose bits are the weights in the file.
  std::map<std::string, QuantisedParts> stored;
};

// What was done with a layer.
struct QuantisedLayer {
  std::string path;
  int64_t inputs = 0, outputs = 0;
  std::vector<int64_t> channels;
  bool isSmoothed = false;
};

struct QuantisationReport {
  WeightFormat format = WeightFormat::int8;
  ActivationScope scope = ActivationScope::token;
  QuantisedProduct product = QuantisedProduct::vnni;
  std::vector<QuantisedLayer> layers;
  std::vector<std::string> kept;  // layers that `keep` named
  int64_t bytesBefore = 0, bytesAfter = 0;
};

// The name of each weight (`blocks.3.mlp.up.weight`), by the weight's memory; of several the first in order.
class WeightNames {
 public:
  explicit WeightNames(const torch::jit::Module& module);

  // Null for what is no weight of the module, and for a part or another view of one: folding makes constants of those.
  const std::string* of(const at::Tensor& constant) const;

 private:
  struct Weight {
    std::string name;
    std::vector<int64_t> sizes, strides;
  };

  std::unordered_map<const void*, Weight> weights_;
};

// A linear layer of a block whose weight can be quantised.
struct QuantisableLayer {
  std::string name;  // of the weight
  const void* weight;
  int64_t inputs, outputs;
};

// In order of evaluation, in a graph whose weights are as they are in the module. `carriesTokens`: see below.
std::vector<QuantisableLayer> quantisableLayers(torch::jit::Graph& graph, const std::vector<Site>& sites,
                                                const WeightNames& names, const std::vector<bool>& carriesTokens);

// What multiplies, and where; and where the weights are until then: on the device, or on the CPU where they are to wait
// there (graph/offload.h), so that never more than one need fit on the device.
struct QuantisedTarget {
  QuantisedProduct product;
  at::Device device, waits;
  at::ScalarType dtype;  // of the model
};

// Quantises them, one weight after the other, on the target's device: each plain one is let go of before the next is
// done. The graph's weights are on the CPU. `carriesTokens`: for every input of the graph whether tokens come in by it
// (latent, text). Throws BAD_OPTION where `keep` or `layers` names no layer, CHANNEL_OUT_OF_RANGE,
// PRECISION_UNAVAILABLE where a layer has more inputs than the product takes.
QuantisationReport quantiseLinears(torch::jit::Graph& graph, const std::vector<Site>& sites, const WeightNames& names,
                                   const std::vector<bool>& carriesTokens, const Quantisation& quantisation,
                                   const QuantisedTarget& target);

// A layer as it is stored: its parts without the values, whose bits (int8) have taken the weight's place in the module.
struct StoredLayer {
  QuantisedLayer layer;
  QuantisedParts parts;
};

// The same to a module that is to be saved; `graph` is its flat graph, of no use afterwards. Throws BAD_OPTION.
std::vector<StoredLayer> storeLinears(torch::jit::Module& module, torch::jit::Graph& graph,
                                      const std::vector<Site>& sites, const std::vector<bool>& carriesTokens,
                                      const Quantisation& quantisation);

// Puts the GELU (tanh) behind a quantised layer into its last pass, in a graph whose taps have been selected; where
// taps stand between, the same function on its own, so that the bits are the same.
void fuseQuantisedActivations(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
