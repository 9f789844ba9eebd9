#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/core/graph/batch.h"
#include "native/core/graph/flatten.h"
#include "native/core/graph/program.h"

namespace dg {

// Partial forward (claim C7, Gan et al., arXiv 2607.02968): the model cut at some of its taps. Segment k is everything
// that depends on k cuts, so what does not depend on a disruption (the blocks before it, and the AdaLN modulations of
// all blocks) is computed once, on fewer rows; values that cross a cut are gathered into the rows of the next segment.
struct Chain {
  struct Segment {
    Program program;
    std::vector<int64_t> inputs;   // ids of values
    std::vector<int64_t> outputs;  // ids; the model's output in the last segment
    std::vector<int64_t> sites;    // whose taps it holds
  };
  std::vector<Segment> segments;                 // cuts + 1
  std::vector<std::vector<int64_t>> crossing;    // per cut: ids of the values that later segments need
  std::unordered_map<int64_t, BatchRule> rules;  // of the values that cross
  std::vector<double> shares;                    // per segment: its share of the graph's weight-bearing operators
  int64_t inputs = 0;                            // the ids 0 … inputs − 1 are the model's inputs
};

// Cuts the graph of selectTaps at the taps of `cuts` (sites, in order of evaluation). Throws std::runtime_error with
// the reason when it can not be cut.
Chain cutGraph(const std::shared_ptr<torch::jit::Graph>& graph, const std::vector<int64_t>& cuts);

// Finds how every crossing value follows the batch, by running the chain without hooks on two and three copies of the
// first row of `inputs` (batched[i]: input i has a batch axis, its first). Throws std::runtime_error with the reason.
void learnBatchRules(Chain& chain, const Values& inputs, const std::vector<bool>& batched);

}  // namespace dg
