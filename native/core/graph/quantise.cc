#include "native/core/graph/quantise.h"

#include <ATen/Functions.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "native/core/cancellation.h"
#include "native/core/error.h"
#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

using Values = std::unordered_set<const Value*>;

c10::Symbol quantisedKind() {
  static const auto kind = c10::Symbol::fromQualString(std::string(kNamespace) + "::quantised_linear");
  return kind;
}

bool anyOf(at::ArrayRef<const Value*> values, const Values& among) {
  return std::any_of(values.begin(), values.end(), [&](const Value* value) { return among.count(value) != 0; });
}

// What depends on the values that are there already.
void follow(const Block* block, Values& reached) {
  for (const Node* node : block->nodes()) {
    bool depends = anyOf(node->inputs(), reached);
    for (const Block* inner : node->blocks()) {
      if (depends) reached.insert(inner->inputs().begin(), inner->inputs().end());
      follow(inner, reached);
      depends = depends || anyOf(inner->outputs(), reached);
    }
    if (depends) reached.insert(node->outputs().begin(), node->outputs().end());
  }
}

// Whether channels of a layer's input are those of the hidden state: followed back through what leaves channels where
// they are, it comes from a block's input or output, or from a norm over the channels. `stream`: what the site says.
struct Source {
  bool isHiddenState = false;
  std::optional<std::string> stream;
};

class SourceSearch {
 public:
  explicit SourceSearch(const std::vector<Site>& sites) : sites_(sites) {}

  Source of(const Value* value) {
    visit(value);
    return found_;
  }

 private:
  void visit(const Value* value) {
    if (found_.stream || !seen_.insert(value).second) return;
    const Node* node = value->node();
    const auto kind = node->kind();
    static const auto match = c10::Symbol::fromQualString(kMatchDtype);
    static const auto rms = c10::Symbol::fromQualString("aten::rms_norm");
    if (isTap(node)) {
      const auto index = torch::jit::toIValue(node->input(1));
      if (index && index->isInt() && index->toInt() >= 0) {
        const auto& site = sites_.at(index->toInt());
        if (site.block) found_ = {true, site.stream};
      }
      visit(node->input(0));
    } else if (kind == c10::aten::layer_norm || kind == rms) {
      found_.isHiddenState = true;
      visit(node->input(0));
    } else if (kind == match || kind == c10::aten::to || kind == c10::aten::contiguous || kind == c10::aten::dropout) {
      visit(node->input(0));
    } else if (kind == c10::aten::add || kind == c10::aten::mul) {
      for (const size_t side : {0, 1}) {
        if (isTensor(node->input(side))) visit(node->input(side));
      }
    }
  }

  const std::vector<Site>& sites_;
  Source found_;
  Values seen_;
};

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (text.empty() ? "'" : ", '") + names[i] + "'";
  return text + (names.size() > kShown ? ", …" : "");
}

// A weight that is to be quantised.
struct Candidate {
  Value* weight;
  std::string name;  // of the weight
  std::string path;  // of the layer: without `.weight`, where the weight is called so
};

std::string layerOf(const std::string& name) {
  constexpr const char* kEnd = ".weight";
  const auto end = name.rfind(kEnd);
  return end != std::string::npos && end + std::string(kEnd).size() == name.size() ? name.substr(0, end) : name;
}

std::vector<Candidate> candidatesIn(Graph& graph, const std::vector<Site>& sites, const WeightNames& names,
                                    const std::vector<bool>& carriesTokens) {
  Values tokens;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    if (i < carriesTokens.size() && carriesTokens[i]) tokens.insert(graph.inputs()[i]);
  }
  follow(graph.block(), tokens);
  const BlockPaths blocks(sites);
  std::vector<Candidate> candidates;
  for (Value* weight : weightsOf(graph, c10::aten::linear)) {
    if (!isWeightOfLinearsAlone(weight)) continue;
    const auto* name = names.of(torch::jit::toIValue(weight)->toTensor());
    if (name == nullptr || !blocks.blockOf(*name)) continue;
    const auto& uses = weight->uses();
    const bool ofTokens = std::all_of(
        uses.begin(), uses.end(), [&](const torch::jit::Use& use) { return tokens.count(use.user->input(0)) != 0; });
    if (ofTokens) candidates.push_back({weight, *name, layerOf(*name)});
  }
  return candidates;
}

std::vector<int64_t> channelsOf(const Candidate& candidate, const std::vector<Site>& sites,
                                const Quantisation& quantisation, int64_t inputs) {
  if (quantisation.channels.empty()) return {};
  for (const auto& use : candidate.weight->uses()) {
    const auto source = SourceSearch(sites).of(use.user->input(0));
    if (!source.isHiddenState || (source.stream == "text" && quantisation.stream != "text")) return {};
  }
  std::vector<int64_t> channels;
  for (const auto channel : quantisation.channels) {
    if (channel >= 0 && channel < inputs) channels.push_back(channel);
  }
  return channels;
}

void requireChannels(const std::vector<int64_t>& channels, int64_t inputs, const std::string& path) {
  for (const auto channel : channels) {
    if (channel >= 0 && channel < inputs) continue;
    throw Error("CHANNEL_OUT_OF_RANGE", "quantize: the layer " + path + " has the input channels 0 to " +
                                            std::to_string(inputs - 1) + ", received " + std::to_string(channel) + ".");
  }
}

void requireNamed(const Quantisation& quantisation, const std::vector<Candidate>& candidates) {
  std::vector<std::string> names;
  for (const auto& candidate : candidates) names.push_back(candidate.path);
  const auto require = [&](const std::string& key, const std::string& pattern) {
    const bool isThere =
        std::any_of(names.begin(), names.end(), [&](const std::string& name) { return matches(pattern, name); });
    if (!isThere) {
      throw Error("BAD_OPTION", key + ": expected a linear layer of the blocks or a pattern of them, such as " +
                                    listed(names) + ", received '" + pattern + "'.");
    }
  };
  for (const auto& pattern : quantisation.keep) require("options.quantize.keep", pattern);
  for (const auto& [path, layer] : quantisation.layers) require("options.quantize.layers", path);
  for (const auto& [path, parts] : quantisation.stored) require("The quantised layers of the bundle", path);
}

bool isKept(const Quantisation& quantisation, const std::string& path) {
  return std::any_of(quantisation.keep.begin(), quantisation.keep.end(),
                     [&](const std::string& pattern) { return matches(pattern, path); });
}

// Before any of them is done.
void requireWidths(const Quantisation& quantisation, const std::vector<Candidate>& candidates,
                   QuantisedProduct product) {
  const auto most = mostInputs(product);
  if (!most) return;
  for (const auto& candidate : candidates) {
    const int64_t inputs = torch::jit::toIValue(candidate.weight)->toTensor().size(1);
    if (inputs <= *most || isKept(quantisation, candidate.path)) continue;
    throw Error("PRECISION_UNAVAILABLE", "options.quantize: no int8 product takes the " + std::to_string(inputs) +
                                             " input channels of " + candidate.path + ", since sums are exact up to " +
                                             std::to_string(*most) + ". What works: keep ['" + candidate.path +
                                             "'], or activations 'none'.");
  }
}

std::vector<int64_t> channelsIn(const QuantisedParts& parts) {
  const auto* first = parts.channels.const_data_ptr<int64_t>();
  return {first, first + parts.channels.numel()};
}

QuantisedLayer describe(const Candidate& candidate, const QuantisedParts& parts) {
  const auto sizes = torch::jit::toIValue(candidate.weight)->toTensor().sizes();
  return {candidate.path, sizes[1], sizes[0], channelsIn(parts), parts.smoothing.defined()};
}

QuantisedParts storedParts(const QuantisedParts& stored, const at::Tensor& bits, WeightFormat format,
                           const std::string& path) {
  const bool fits = bits.scalar_type() == at::kChar && stored.scales.sizes() == at::IntArrayRef({bits.size(0)}) &&
                    stored.columns.sizes() == at::IntArrayRef({stored.channels.numel(), bits.size(0)}) &&
                    (!stored.smoothing.defined() || stored.smoothing.sizes() == at::IntArrayRef({bits.size(1)}));
  if (!fits) throw Error("BUNDLE_INVALID", "The stored quantisation of " + path + " does not fit its weight.");
  requireChannels(channelsIn(stored), bits.size(1), path);
  const auto on = [&](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(bits.device()) : tensor; };
  const auto values = bits.contiguous();
  return {format == WeightFormat::int8 ? values : values.view(at::kFloat8_e4m3fn), on(stored.scales), stored.channels,
          on(stored.columns), on(stored.smoothing)};
}

// On `device`, where the arithmetic is done.
QuantisedParts partsOf(const Candidate& candidate, const std::vector<Site>& sites, const Quantisation& quantisation,
                       at::Device device) {
  const auto plain = torch::jit::toIValue(candidate.weight)->toTensor().to(device);
  const int64_t inputs = plain.size(1);
  if (const auto stored = quantisation.stored.find(candidate.path); stored != quantisation.stored.end()) {
    return storedParts(stored->second, plain, quantisation.format, candidate.path);
  }
  if (plain.scalar_type() == at::kChar) {
    throw Error("BUNDLE_INVALID",
                "The weight of " + candidate.path + " is stored in 8 bits, and nothing says its scales.");
  }
  const auto own = quantisation.layers.find(candidate.path);
  if (own == quantisation.layers.end())
    return quantiseWeight(plain, channelsOf(candidate, sites, quantisation, inputs), {}, quantisation.format);
  const auto& [channels, smoothing, maxima] = own->second;
  requireChannels(channels, inputs, candidate.path);
  const auto& wide = maxima.defined() ? maxima : smoothing;
  if (wide.defined() && (wide.scalar_type() != at::kFloat || wide.sizes() != at::IntArrayRef({inputs}))) {
    throw Error("BAD_OPTION", "options.quantize.layers: " + candidate.path + " reads " + std::to_string(inputs) +
                                  " channels, received " + std::to_string(wide.numel()) + " numbers.");
  }
  return quantiseWeight(plain, channels, maxima.defined() ? smoothingOf(plain, maxima) : smoothing,
                        quantisation.format);
}

c10::IValue waitingOn(at::Device device, c10::intrusive_ptr<QuantisedWeight> weight) {
  auto tensors = weight->tensors();
  if (tensors.at(0).device() == device) return c10::IValue(std::move(weight));
  for (auto& tensor : tensors) tensor = tensor.to(device);
  return weight->on(tensors);
}

void fuseTanhGelu(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) fuseTanhGelu(inner);
    if (node->kind() != c10::aten::gelu) continue;
    const auto approximate = torch::jit::toIValue(node->input(1));
    if (!approximate || !approximate->isString() || approximate->toStringRef() != "tanh") continue;
    Value* tapped = node->input(0);
    Value* product = beforeTaps(tapped);
    Node* layer = product->node();
    if (layer->kind() != quantisedKind() || layer->owningBlock() != block || !hasNoActivation(layer)) continue;
    if (tapped == product && product->uses().size() == 1) {
      torch::jit::WithInsertPoint guard(node);
      Value* name = node->owningGraph()->insertConstant("gelu_tanh");
      substitute(node, "quantised_linear", {layer->input(0), layer->input(1), layer->input(2), name});
    } else {
      substitute(node, "fast_gelu", {tapped});
    }
  }
}

}  // namespace

WeightNames::WeightNames(const torch::jit::Module& module) {
  for (const auto& named : module.named_attributes(/*recurse=*/true)) {
    if (!named.value.isTensor() || !named.value.toTensor().defined() || named.value.toTensor().numel() == 0) continue;
    const auto& tensor = named.value.toTensor();
    weights_.emplace(tensor.const_data_ptr(), Weight{named.name, tensor.sizes().vec(), tensor.strides().vec()});
  }
}

const std::string* WeightNames::of(const at::Tensor& constant) const {
  const auto weight = weights_.find(constant.const_data_ptr());
  if (weight == weights_.end()) return nullptr;
  const auto& [name, sizes, strides] = weight->second;
  return constant.sizes() == sizes && constant.strides() == strides ? &name : nullptr;
}

std::vector<QuantisableLayer> quantisableLayers(Graph& graph, const std::vector<Site>& sites, const WeightNames& names,
                                                const std::vector<bool>& carriesTokens) {
  std::vector<QuantisableLayer> layers;
  for (const auto& candidate : candidatesIn(graph, sites, names, carriesTokens)) {
    const auto weight = torch::jit::toIValue(candidate.weight)->toTensor();
    layers.push_back({candidate.name, weight.const_data_ptr(), weight.size(1), weight.size(0)});
  }
  return layers;
}

QuantisationReport quantiseLinears(Graph& graph, const std::vector<Site>& sites, const WeightNames& names,
                                   const std::vector<bool>& carriesTokens, const Quantisation& quantisation,
                                   const QuantisedTarget& target) {
  const auto candidates = candidatesIn(graph, sites, names, carriesTokens);
  requireNamed(quantisation, candidates);
  requireWidths(quantisation, candidates, target.product);
  QuantisationReport report;
  report.format = quantisation.format;
  report.scope = quantisation.scope;
  report.product = target.product;
  for (const auto& candidate : candidates) {
    requireNotCancelled();
    if (isKept(quantisation, candidate.path)) {
      report.kept.push_back(candidate.path);
      continue;
    }
    auto parts = partsOf(candidate, sites, quantisation, target.device);
    report.layers.push_back(describe(candidate, parts));
    report.bytesBefore += static_cast<int64_t>(torch::jit::toIValue(candidate.weight)->toTensor().nbytes());
    auto weight =
        c10::make_intrusive<QuantisedWeight>(std::move(parts), target.product, quantisation.scope, target.dtype);
    report.bytesAfter += weight->bytes();
    const auto layers = detachLayers(graph, candidate.weight);
    exchange(graph, candidate.weight, waitingOn(target.waits, std::move(weight)));
    for (Node* layer : layers) {
      torch::jit::WithInsertPoint guard(layer);
      Value* none = graph.insertConstant("none");
      substitute(layer, "quantised_linear", {layer->input(0), layer->input(1), layer->input(2), none});
      layer->destroy();
    }
  }
  return report;
}

std::vector<StoredLayer> storeLinears(torch::jit::Module& module, Graph& graph, const std::vector<Site>& sites,
                                      const std::vector<bool>& carriesTokens, const Quantisation& quantisation) {
  const auto candidates = candidatesIn(graph, sites, WeightNames(module), carriesTokens);
  requireNamed(quantisation, candidates);
  std::vector<StoredLayer> stored;
  for (const auto& candidate : candidates) {
    requireNotCancelled();
    if (isKept(quantisation, candidate.path)) continue;
    auto parts = partsOf(candidate, sites, quantisation, at::kCPU);
    stored.push_back({describe(candidate, parts), parts});
    stored.back().parts.values = at::Tensor();
    torch::jit::Module owner = module;
    std::string name = candidate.name;
    for (auto dot = name.find('.'); dot != std::string::npos; dot = name.find('.')) {
      owner = owner.attr(name.substr(0, dot)).toModule();
      name = name.substr(dot + 1);
    }
    owner.setattr(name, parts.values.view(at::kChar));
    exchange(graph, candidate.weight, at::empty({0}));
  }
  return stored;
}

void fuseQuantisedActivations(const std::shared_ptr<Graph>& graph) {
  if (nodesOfKind(*graph, quantisedKind()).empty() || mutates(graph->block())) return;
  fuseTanhGelu(graph->block());
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
