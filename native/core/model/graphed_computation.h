#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/core/device/device_graph.h"
#include "native/core/graph/program.h"
#include "native/core/model/evaluation.h"

namespace dg {

// An evaluation, computed from tensors, that runs as it is the first times, is captured as a device graph then, once
// for every set of shapes (the latest few: each holds device memory), and replayed from there on. Inputs are copied
// into those of the graph; whatever else it reads (weights, tables of edits) has to lie where it lay. A computation
// that can not be captured goes on as it is, with the reason.
class GraphedComputation {
 public:
  using Computation = std::function<Evaluation(const Values& inputs)>;

  // `capturer` may be null and outlives this object.
  explicit GraphedComputation(GraphCapturer* capturer) : capturer_(capturer) {}

  // The next replay overwrites the tensors that this one gives. `reads`: tensors that the computation reads and nobody
  // else may keep as long as this object; a graph holds on to them.
  Evaluation run(const Values& inputs, const Computation& compute, const std::vector<at::Tensor>& reads = {});

  int64_t captured() const { return captured_; }
  int64_t replayed() const { return replayed_; }
  const std::string& reason() const { return reason_; }  // why nothing is captured any more; empty: nothing is wrong

 private:
  struct Graphed {
    int64_t runs = 0;
    int64_t lastUse = 0;
    Values inputs;  // what the graph reads
    std::vector<at::Tensor> reads;
    std::vector<at::Tensor> copied;  // what was copied there last: the same tensor is not copied again
    Evaluation output;
    std::unique_ptr<DeviceGraph> graph;
  };

  Graphed& graphedFor(const Values& inputs);
  const Evaluation& replay(Graphed& graphed, const Values& inputs);

  GraphCapturer* capturer_;
  std::map<std::string, Graphed> bySignature_;
  int64_t uses_ = 0, captured_ = 0, replayed_ = 0;
  std::string reason_;
};

}  // namespace dg
