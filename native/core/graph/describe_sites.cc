#include "native/core/graph/describe_sites.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "native/core/error.h"
#include "native/core/graph/ir.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

const Node* tapBehind(const Value* value) {
  const Node* node = value->node();
  return node->kind() == c10::Symbol::fromQualString(kTap) ? node : nullptr;
}

int64_t siteOf(const Node* tap) { return torch::jit::toIValue(tap->input(1))->toInt(); }

std::vector<const Node*> tapsOf(const Block* block) {
  std::vector<const Node*> taps;
  for (const Node* node : block->nodes()) {
    if (node->kind() == c10::Symbol::fromQualString(kTap)) taps.push_back(node);
    for (const Block* inner : node->blocks()) {
      const auto more = tapsOf(inner);
      taps.insert(taps.end(), more.begin(), more.end());
    }
  }
  return taps;
}

// The input of its module that a value is the sum of and something else: what a residual connection carries on.
std::optional<int64_t> residualOf(const Value* value, const std::set<int64_t>& inputs) {
  const Node* node = value->node();
  if (tapBehind(value) != nullptr) {
    const auto site = siteOf(node);
    return inputs.count(site) ? std::optional(site) : residualOf(node->input(0), inputs);
  }
  if (node->kind() != c10::aten::add) return std::nullopt;
  const auto left = residualOf(node->input(0), inputs);
  return left ? left : residualOf(node->input(1), inputs);
}

}  // namespace

int64_t nameBlocks(std::vector<Site>& sites, const std::vector<std::string>& calledPaths,
                   const std::vector<BlockPattern>& patterns) {
  int64_t count = 0;
  std::set<std::string> namedPaths;
  for (const auto& path : calledPaths) {
    const auto pattern = std::find_if(patterns.begin(), patterns.end(),
                                      [&](const auto& candidate) { return matches(candidate.path, path); });
    if (pattern == patterns.end() || !namedPaths.insert(path).second) continue;
    std::vector<Site*> outputs;
    for (auto& site : sites) {
      if (site.path == path && site.tap == TapSide::output) outputs.push_back(&site);
    }
    const auto& streams = pattern->streams;
    for (size_t fromEnd = 0; fromEnd < std::min(outputs.size(), streams.size()); ++fromEnd) {
      auto* site = outputs[outputs.size() - 1 - fromEnd];
      site->stream = streams[streams.size() - 1 - fromEnd];
      site->block = count;
    }
    ++count;
  }
  if (count > 0) return count;
  std::string expected, called;
  for (size_t i = 0; i < std::min<size_t>(patterns.size(), 8); ++i) {
    expected += (expected.empty() ? "'" : ", '") + patterns[i].path.substr(0, 200) + "'";
  }
  for (size_t i = 0; i < std::min<size_t>(calledPaths.size(), 8); ++i) called += (i ? ", " : "") + calledPaths[i];
  throw Error("NOT_A_TRANSFORMER",
              "No submodule that the model calls matches its transformer blocks (" +
                  (expected.empty() ? "none" : expected) + "): it calls " +
                  (called.empty() ? "no submodules" : called) +
                  ". Name the container of the blocks in bundle.json (transformer.blocks[].path), as in 'blocks.*'.");
}

void renumberSites(Graph& graph, std::vector<Site>& sites) {
  std::vector<Site> alive;
  for (const Node* node : tapsOf(graph.block())) {
    auto* tap = const_cast<Node*>(node);
    alive.push_back(sites[siteOf(tap)]);
    WithInsertPoint guard(tap);
    tap->replaceInput(1, graph.insertConstant(static_cast<int64_t>(alive.size()) - 1));
  }
  sites = std::move(alive);
}

void findBypasses(const Graph& graph, std::vector<Site>& sites) {
  const auto taps = tapsOf(graph.block());  // by site
  std::map<std::string, std::set<int64_t>> inputs;
  for (size_t index = 0; index < sites.size(); ++index) {
    if (sites[index].tap == TapSide::input) inputs[sites[index].path].insert(static_cast<int64_t>(index));
  }
  for (size_t index = 0; index < sites.size(); ++index) {
    auto& site = sites[index];
    if (site.tap == TapSide::attention) {
      const auto value = std::find_if(sites.begin(), sites.end(), [&](const Site& other) {
        return other.tap == TapSide::value && other.path == site.path && other.element == site.element;
      });
      if (value != sites.end()) site.bypass = value - sites.begin();
    }
    if (site.tap != TapSide::output) continue;
    const auto& candidates = inputs[site.path];
    if (candidates.empty()) continue;
    site.bypass = residualOf(taps[index]->input(0), candidates);
    for (const auto candidate : candidates) {
      if (site.bypass || !site.stream) break;
      const Node* before = tapBehind(taps[candidate]->input(0));
      if (before != nullptr && sites[siteOf(before)].stream == site.stream) site.bypass = candidate;
    }
    if (!site.bypass) site.bypass = *candidates.begin();
  }
}

}  // namespace dg
