#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/core/device/block_offload.h"
#include "native/core/device/device_graph.h"
#include "native/core/graph/cut.h"
#include "native/core/graph/flatten.h"
#include "native/core/graph/interruption.h"
#include "native/core/graph/offload.h"
#include "native/core/graph/program.h"
#include "native/core/graph/quantise.h"
#include "native/core/hooks/hook_set.h"
#include "native/core/model/bounded_map.h"
#include "native/core/model/evaluation_graphs.h"
#include "native/core/model/weight_inventory.h"

namespace dg {

// An argument of the model's forward, as the bundle describes it.
struct ModelInput {
  std::string name;
  std::string role;                     // "latent", "timestep", others are conditioning
  std::optional<at::ScalarType> dtype;  // none: the dtype the model is loaded in
  bool batched = true;                  // its first axis is the batch
};

struct LoadOptions {
  std::string file;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  std::vector<ModelInput> inputs;
  std::vector<BlockPattern> blocks;
  int64_t outputChannels = 0;  // the first channels of the output are the prediction; 0: all
  bool allowAllOperators = false;
  // Seconds after which a loop in the model ends the first evaluation: by then it is taken for one without an end.
  double firstEvaluationLimit = 600;
  std::string identity;                          // of the file, see archive/file.h
  std::optional<std::vector<std::string>> fuse;  // chains of operators that become one, by name; none: what gains
  std::optional<Quantisation> quantise;          // none: weights and activations stay in `dtype`
  bool offloadBlocks = false;                    // their weights wait in host memory (device/block_offload.h)
};

// Writes the archive of `options` to `out` with the weights of its blocks' linear layers in 8 bits, as
// `options.quantise` says; what else there is to know of them is the result. Throws MODEL_UNREADABLE, OPERATOR_REFUSED,
// NOT_A_TRANSFORMER, BAD_OPTION.
std::vector<StoredLayer> storeQuantised(const LoadOptions& options, const std::string& out);

// A transformer on a device: its flat graph, its sites, and the programs compiled from it so far. Used by one thread
// at a time (the pipeline's own).
class Model {
 public:
  static constexpr size_t kChainsKept = 24, kCutsKept = 256;

  // Throws MODEL_UNREADABLE, OPERATOR_REFUSED, NOT_A_TRANSFORMER, BUNDLE_INVALID, DEVICE_UNAVAILABLE, OUT_OF_MEMORY,
  // PRECISION_UNAVAILABLE; with `quantise` what quantiseLinears throws.
  static std::unique_ptr<Model> load(const LoadOptions& options);

  const FlatModel& flat() const { return flat_; }
  const std::vector<ModelInput>& inputs() const { return options_.inputs; }
  at::Device device() const { return options_.device; }
  at::ScalarType dtype() const { return options_.dtype; }
  int64_t outputChannels() const { return options_.outputChannels; }
  int64_t parameters() const { return parameters_; }
  int64_t bytes() const { return bytes_; }
  const WeightInventory& inventory() const { return inventory_; }
  int64_t latentInput() const { return latent_; }
  int64_t timestepInput() const { return timestep_; }

  // What is fused, and, where a fused graph was found to differ from the unfused one, what is not and why.
  const Fusions& fusions() const { return fusions_; }
  const std::string& fusionFinding() const { return fusionFinding_; }
  // Fused chains in the whole model, by kind. On any thread.
  std::map<std::string, int64_t> fusionCounts() const;

  // What was quantised; none: nothing was asked for.
  const std::optional<QuantisationReport>& quantised() const { return quantised_; }

  // What waits in host memory, and what was brought from there so far; none: nothing was to wait.
  const std::optional<OffloadedBlocks>& offloaded() const { return offloaded_; }
  OffloadUse offloadUse() const { return offload_ ? offload_->use() : OffloadUse{}; }

  // Null where the device has no graphs, or the blocks' weights wait in host memory: a graph would read them where they
  // lay when it was captured.
  GraphCapturer* graphCapturer() const { return capturer_.get(); }
  EvaluationGraphCache& evaluationGraphs() { return evaluationGraphs_; }

  // Lets go of device graphs and of memory that is kept for later.
  void forget();

  // `tensor` on the model's device in the dtype that input takes.
  at::Tensor adapt(const at::Tensor& tensor, int64_t input) const;

  // One run of the whole model. `bypassed`: see TapSelection.
  at::Tensor forward(const Values& inputs, const HookSet& hooks, const std::vector<int64_t>& bypassed);

  // The model with the selected taps, cut at `cuts`; compiled and measured on `example` the first time, then kept as
  // long as it is among the latest. Throws std::runtime_error with the reason when it can not be cut.
  std::shared_ptr<const Chain> chain(const TapSelection& taps, const std::vector<int64_t>& cuts, const Values& example);

  // What was found when a cut was compared with the uncut model: empty = equal, else the reason not to share.
  BoundedMap<std::vector<int64_t>, std::string> cutFindings{kCutsKept};

  // What keeps a loop without an end from lasting for ever, until an evaluation has come to its end.
  std::optional<LoopDeadline> firstEvaluation() const;
  void evaluated() { evaluated_ = true; }

 private:
  void checkFusions(const Values& example);
  void quantise(torch::jit::Module& module, const QuantisedTarget& target);

  LoadOptions options_;
  std::shared_ptr<BlockOffload> offload_;
  std::optional<OffloadedBlocks> offloaded_;
  FlatModel flat_;
  WeightInventory inventory_;
  std::optional<QuantisationReport> quantised_;
  Fusions fusions_;  // what the programs made of flat_ fuse
  mutable std::mutex fusionCountsMutex_;
  std::map<std::string, int64_t> fusionCounts_;
  bool fusionsChecked_ = false, evaluated_ = false;
  std::string fusionFinding_;
  std::unique_ptr<GraphCapturer> capturer_;  // outlives the graphs
  EvaluationGraphCache evaluationGraphs_;
  int64_t parameters_ = 0, bytes_ = 0, latent_ = -1, timestep_ = -1;
  BoundedMap<std::pair<TapSelection, std::vector<int64_t>>, std::shared_ptr<const Chain>> chains_{kChainsKept};
};

}  // namespace dg
