#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "native/core/graph/site.h"
#include "native/core/hooks/attention_mass.h"
#include "native/core/recording/recording.h"

namespace dg {

// What was found at one site for one branch, for every image of a group.
struct RecordEntry {
  int64_t site = 0;
  int64_t branch = 0;
  int64_t tokens = 0;
  int64_t channels = 0;
  int64_t keys = 0;   // tokens that the attention mass is given for; 0: none
  at::Tensor tensor;  // [images, tokens, channels]; undefined unless asked for
};

// What an evaluation has found, where the model is.
struct Recorded {
  std::vector<RecordEntry> entries;
  std::vector<at::Tensor> words;  // of each entry, as Records::words has them
};

// Rows of a batch that have the same hidden state for several branches, by the group's place in the batch.
using RecordedGroups = std::vector<std::pair<int64_t, std::vector<int64_t>>>;

// Records of one step of the sampler for a group of images, on the CPU.
struct Records {
  int64_t step = 0;  // index into Plan::steps
  double timestep = 0;
  int64_t image = 0;   // first of the group
  int64_t images = 0;  // in the group
  std::vector<RecordEntry> entries;
  // int32: for every entry, for every image: what statisticsOf gives, then `keys` floats of attention mass.
  at::Tensor words;
};

// Takes records on the sampler's thread; may block, and ends the run by throwing.
using RecordSink = std::function<void(Records)>;

// Looks at the hidden states of the branches that Plan::recording names, while a model evaluation passes them. On the
// CPU they are looked at at once; statistics on another device stay there until the step ends, and come over as one
// tensor.
class Recorder {
 public:
  // `sites` and `recording` outlive it.
  Recorder(const std::vector<Site>& sites, const Recording& recording, RecordSink sink);

  const Recording& recording() const { return recording_; }

  // Begins a step. Nothing is recorded in one that is not asked for.
  void begin(int64_t step, double timestep, int64_t image, int64_t images);
  bool isActive() const { return active_; }

  // Whether nothing leaves the model's device before the step ends.
  bool waitsForStep() const { return !recording_.tensors; }

  // `groups`: those that are recorded, in order; each has a row for every image of the step. Throws BAD_TENSOR when the
  // site has no hidden state with one row for each of `allRows` and a channel axis.
  void record(int64_t site, const RecordedGroups& groups, const at::Tensor& hidden, int64_t allRows,
              const AttentionInputs* attention);

  // What record() has found in this step and is not handed out. An evaluation that is computed anew takes back what
  // there is of it with put({}); one that is replayed puts what it found when it was captured.
  const Recorded& recorded() const { return found_; }
  void put(Recorded found) { found_ = std::move(found); }

  // Hands out what is left of the step.
  void finish();

 private:
  void deliver();

  const std::vector<Site>& sites_;
  const Recording& recording_;
  RecordSink sink_;
  bool active_ = false;
  Records step_;  // without what was found
  Recorded found_;
  int64_t pendingBytes_ = 0;  // of what is in found_ and need not wait for the step's end
};

// A site's value as [rows, tokens, channels]: heads are joined, a value without tokens has one. Throws BAD_TENSOR.
at::Tensor asHiddenState(const at::Tensor& value, const Site& site, int64_t rows);

}  // namespace dg
