#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "native/core/graph/quantise.h"

namespace dg {

// Partial forward: whether branches shared what comes before their first edit.
struct PartialForward {
  bool shared = false;
  std::vector<std::string> cuts;  // paths of the sites where the model was cut
  std::string reason;             // why a prefix that could have been shared was not; empty: none
};

// Evaluations of a step as device graphs.
struct GraphUse {
  int64_t captured = 0;
  int64_t replayed = 0;
  std::string reason;  // why not; empty where everything that could be was, or the device has no graphs
};

// Blocks whose weights waited in host memory. In bytes, but for `blocks`.
struct OffloadReport {
  int64_t blocks = 0;
  int64_t bytes = 0;     // of their weights
  int64_t resident = 0;  // the most of them that were on the device at the same time, since the model was loaded
  int64_t brought = 0;   // copied to the device in this run
};

// What a run reports of how it was computed.
struct Execution {
  PartialForward partialForward;
  GraphUse graphs;
  std::map<std::string, int64_t> fused;  // chains that ran as one operator, by kind
  std::string notFused;                  // which of them are not used, and why
  std::optional<QuantisationReport> quantised;
  std::optional<OffloadReport> offload;
};

}  // namespace dg
