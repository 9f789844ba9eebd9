#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/core/graph/program.h"
#include "native/core/device/device_graph.h"

namespace dg {

// A computation from tensors to a tensor that runs as it is the first times, is recorded then, once for every set of
// shapes (the latest few: each holds device memory), and replayed from there on. Inputs are copied into those of the
// recording; whatever else it reads (weights, tables of edits) has to lie where it lay. A computation that can not be
// recorded goes on as it is, with the reason.
class Replay {
 public:
  using Computation = std::function<at::Tensor(const Values& inputs)>;

  // `recorder` may be null and outlives this object.
  explicit Replay(WorkRecorder* recorder) : recorder_(recorder) {}

  // The result of a replay is overwritten by the next one. `reads`: tensors that the computation reads and nobody else
  // may keep as long as this object; a recording holds on to them.
  at::Tensor run(const Values& inputs, const Computation& compute, const std::vector<at::Tensor>& reads = {});

  int64_t recordings() const { return recordings_; }
  int64_t replays() const { return replays_; }
  const std::string& reason() const { return reason_; }  // why nothing is recorded any more; empty: nothing is wrong

 private:
  struct Recorded {
    int64_t runs = 0;
    int64_t lastUse = 0;
    Values inputs;  // what the recording reads
    std::vector<at::Tensor> reads;
    std::vector<at::Tensor> copied;  // what was copied there last: the same tensor is not copied again
    at::Tensor output;
    std::unique_ptr<RecordedWork> recording;
  };

  Recorded& recordedFor(const Values& inputs);
  at::Tensor replay(Recorded& recorded, const Values& inputs);

  WorkRecorder* recorder_;
  std::map<std::string, Recorded> bySignature_;
  int64_t uses_ = 0, recordings_ = 0, replays_ = 0;
  std::string reason_;
};

}  // namespace dg
