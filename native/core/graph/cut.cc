#include "native/core/graph/cut.h"

#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "native/core/graph/ir.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

bool isConstant(const Value* value) { return value->node()->kind() == c10::prim::Constant; }

// Values of the outer graph that a node reads, those inside its blocks included.
void collectUsed(const Node* node, std::set<const Value*>& used) {
  for (const Value* input : node->inputs()) used.insert(input);
  for (const Block* block : node->blocks()) {
    for (const Node* inner : block->nodes()) collectUsed(inner, used);
    collectUsed(block->return_node(), used);
  }
}

bool isWeightBearing(const Node* node) {
  static const std::set<std::string> kinds{"aten::linear", "aten::addmm",  "aten::mm",           "aten::matmul",
                                           "aten::bmm",    "aten::conv2d", "aten::_convolution", "aten::conv3d"};
  return isOwnLayer(node) || kinds.count(node->kind().toQualString()) > 0;
}

// Where every node and value of the graph stands between the cuts.
struct Levels {
  std::vector<const Node*> nodes;
  std::vector<int64_t> ofNode;  // by position
  std::unordered_map<const Value*, int64_t> ofValue;
  std::unordered_map<const Value*, int64_t> id;  // of values that cross
  std::vector<const Value*> values;              // by id
  std::vector<std::set<int64_t>> neededFrom;     // per level: ids that its nodes read from lower levels

  int64_t idOf(const Value* value) {
    const auto [entry, isNew] = id.emplace(value, static_cast<int64_t>(values.size()));
    if (isNew) values.push_back(value);
    return entry->second;
  }

  void read(const Node* node, int64_t level) {
    std::set<const Value*> used;
    collectUsed(node, used);
    for (const Value* value : used) {
      const auto known = ofValue.find(value);
      if (known == ofValue.end() || isConstant(value)) continue;
      const bool isInput = value->node()->kind() == c10::prim::Param;
      if (known->second < level || isInput) neededFrom[level].insert(idOf(value));
    }
  }
};

Levels findLevels(Graph& graph, const std::vector<int64_t>& cuts) {
  Levels levels;
  levels.neededFrom.resize(cuts.size() + 1);
  for (const Value* input : graph.inputs()) {
    levels.ofValue[input] = 0;
    levels.idOf(input);
  }
  size_t passed = 0;
  for (const Node* node : graph.nodes()) {
    std::set<const Value*> used;
    collectUsed(node, used);
    int64_t level = 0;
    for (const Value* value : used) {
      const auto known = levels.ofValue.find(value);
      if (known != levels.ofValue.end()) level = std::max(level, known->second);
    }
    if (const auto site = tapSite(node); site >= 0) {
      if (passed < cuts.size() && site == cuts[passed]) ++passed;
      level = std::max(level, static_cast<int64_t>(passed));
    }
    if (node->hasSideEffects() && node->kind() != c10::prim::RaiseException && node->blocks().empty()) {
      throw std::runtime_error(std::string("it holds ") + node->kind().toQualString() + ", which has side effects");
    }
    levels.nodes.push_back(node);
    levels.ofNode.push_back(level);
    for (const Value* output : node->outputs()) levels.ofValue[output] = level;
    levels.read(node, level);
  }
  if (passed != cuts.size()) throw std::runtime_error("a cut lies inside a branch or loop of the program");
  levels.read(graph.return_node(), static_cast<int64_t>(cuts.size()));
  return levels;
}

Chain::Segment makeSegment(Graph& graph, const Levels& levels, int64_t level, bool isLast,
                           const std::vector<int64_t>& outputs) {
  auto copy = graph.copy();
  std::vector<Node*> nodes(copy->nodes().begin(), copy->nodes().end());
  std::unordered_map<const Node*, size_t> position;
  for (size_t i = 0; i < levels.nodes.size(); ++i) position[levels.nodes[i]] = i;
  const auto inCopy = [&](const Value* value) -> Value* {
    if (value->node()->kind() == c10::prim::Param) return copy->inputs()[value->offset()];
    return nodes[position.at(value->node())]->outputs()[value->offset()];
  };

  const std::vector<int64_t> inputs(levels.neededFrom[level].begin(), levels.neededFrom[level].end());
  if (!isLast) {
    while (!copy->outputs().empty()) copy->eraseOutput(0);
    for (const auto id : outputs) copy->registerOutput(inCopy(levels.values[id]));
  }
  const size_t originalInputs = copy->inputs().size();
  for (const auto id : inputs) {
    Value* old = inCopy(levels.values[id]);
    Value* added = copy->addInput();
    added->setType(old->type());
    old->replaceAllUsesWith(added);
  }
  for (size_t i = nodes.size(); i-- > 0;) {
    const bool keep = levels.ofNode[i] == level || nodes[i]->kind() == c10::prim::Constant;
    if (!keep) nodes[i]->destroy();
  }
  for (size_t i = originalInputs; i-- > 0;) copy->eraseInput(i);
  torch::jit::EliminateDeadCode(copy);
  return {Program(copy), inputs, outputs, tapSites(copy)};
}

c10::IValue copiesOfFirstRow(const c10::IValue& input, bool batched, int64_t rows) {
  if (!batched) return input;
  const auto first = input.toTensor().narrow(0, 0, 1);
  auto sizes = first.sizes().vec();
  sizes[0] = rows;
  return first.expand(sizes).contiguous();
}

std::map<int64_t, c10::IValue> crossingValues(const Chain& chain, const Values& inputs,
                                              const std::vector<bool>& batched, int64_t rows) {
  std::map<int64_t, c10::IValue> live;
  for (size_t i = 0; i < inputs.size(); ++i) live[i] = copiesOfFirstRow(inputs[i], batched[i], rows);
  for (size_t k = 0; k + 1 < chain.segments.size(); ++k) {
    const auto& segment = chain.segments[k];
    Values values;
    for (const auto id : segment.inputs) values.push_back(live.at(id));
    const auto results = segment.program.run(std::move(values));
    for (size_t i = 0; i < results.size(); ++i) live[segment.outputs[i]] = results[i];
  }
  return live;
}

}  // namespace

Chain cutGraph(const std::shared_ptr<Graph>& graph, const std::vector<int64_t>& cuts) {
  auto levels = findLevels(*graph, cuts);
  const auto last = static_cast<int64_t>(cuts.size());
  Chain chain;
  chain.inputs = static_cast<int64_t>(graph->inputs().size());
  for (int64_t cut = 0; cut < last; ++cut) {
    std::set<int64_t> needed;
    for (int64_t level = cut + 1; level <= last; ++level) {
      for (const auto id : levels.neededFrom[level]) {
        if (levels.ofValue.at(levels.values[id]) <= cut) needed.insert(id);
      }
    }
    chain.crossing.emplace_back(needed.begin(), needed.end());
  }
  std::vector<double> weights(cuts.size() + 1);
  double total = 0;
  for (size_t i = 0; i < levels.nodes.size(); ++i) {
    if (!isWeightBearing(levels.nodes[i])) continue;
    weights[levels.ofNode[i]] += 1;
    total += 1;
  }
  for (int64_t level = 0; level <= last; ++level) {
    std::vector<int64_t> outputs;
    if (level < last) {
      for (const auto id : chain.crossing[level]) {
        const auto* value = levels.values[id];
        if (levels.ofValue.at(value) == level && value->node()->kind() != c10::prim::Param) outputs.push_back(id);
      }
    }
    chain.segments.push_back(makeSegment(*graph, levels, level, level == last, outputs));
    chain.shares.push_back(total > 0 ? weights[level] / total : 0);
  }
  return chain;
}

void learnBatchRules(Chain& chain, const Values& inputs, const std::vector<bool>& batched) {
  if (chain.crossing.empty()) return;
  const auto atTwo = crossingValues(chain, inputs, batched, 2);
  const auto atThree = crossingValues(chain, inputs, batched, 3);
  for (const auto& ids : chain.crossing) {
    for (const auto id : ids) {
      const auto rule = inferRule(atTwo.at(id), atThree.at(id));
      if (!rule) {
        throw std::runtime_error("a value of type " + atTwo.at(id).tagKind() +
                                 " that crosses the cut does not follow the batch in a way we know");
      }
      chain.rules[id] = *rule;
    }
  }
}

}  // namespace dg
