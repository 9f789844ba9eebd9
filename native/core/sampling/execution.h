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

// What a run reports of how it was computed.
struct Execution {
  PartialForward partialForward;
  GraphUse graphs;
  std::map<std::string, int64_t> fused;  // chains that ran as one operator, by kind
  std::string notFused;                  // which of them are not used, and why
  std::optional<QuantisationReport> quantised;
};

}  // namespace dg
