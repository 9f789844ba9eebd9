#include "native/core/flatten.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/constant_pooling.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inline_fork_wait.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/passes/remove_mutation.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "native/core/audit.h"
#include "native/core/error.h"
#include "native/core/tap.h"

namespace dg {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
using torch::jit::WithInsertPoint;
namespace prim = c10::prim;
namespace attr = c10::attr;

const auto attention = c10::Symbol::fromQualString("aten::scaled_dot_product_attention");

bool isTensor(const Value* value) { return value->type()->isSubtypeOf(*c10::TensorType::get()); }

class Flattener {
 public:
  Flattener(const torch::jit::Module& module, std::shared_ptr<Graph> graph, std::vector<Site>& sites)
      : module_(module), graph_(std::move(graph)), sites_(sites) {}

  void run() {
    inlineCalls(graph_->block(), "");
    readAttributes(graph_->block());
    torch::jit::EliminateDeadCode(graph_);
    if (graph_->inputs().at(0)->hasUses()) {
      throw Error("MODEL_UNREADABLE", "The model uses itself as a value (" +
                                          std::string(graph_->inputs()[0]->uses()[0].user->kind().toQualString()) +
                                          "), which can not be turned into a plain graph.");
    }
    graph_->eraseInput(0);
  }

  std::vector<std::string> calledPaths;  // in order of evaluation

 private:
  // The path of a module value, followed back through prim::GetAttr to the root.
  std::optional<std::string> pathOf(const Value* value) const {
    if (value == graph_->inputs()[0]) return "";
    const Node* node = value->node();
    if (node->kind() != prim::GetAttr) return std::nullopt;
    const auto owner = pathOf(node->input());
    if (!owner) return std::nullopt;
    return owner->empty() ? node->s(attr::name) : *owner + "." + node->s(attr::name);
  }

  void inlineCalls(Block* block, const std::string& path) {
    for (Node* node = block->nodes().front(); node != block->return_node();) {
      Node* next = node->next();
      visit(node, path);
      node = next;
    }
  }

  void visit(Node* node, const std::string& path) {
    for (Block* inner : node->blocks()) inlineCalls(inner, path);
    if (node->kind() == attention) tapAttention(node, path);
    if (node->kind() != prim::CallMethod && node->kind() != prim::CallFunction) return;
    auto* function = torch::jit::tryToGraphFunction(node);
    if (function == nullptr) return;
    std::string callee = path;
    if (node->kind() == prim::CallMethod) {
      const auto receiver = pathOf(node->input(0));
      const bool isForward = node->s(attr::name) == "forward";
      if (receiver && isForward && !receiver->empty()) {
        callee = *receiver;
        calledPaths.push_back(callee);
        tapCall(node, callee);
      }
    }
    Node* before = node->prev();
    Node* after = node->next();
    function->ensure_defined();
    // The first input is the function itself, which its graph does not take.
    if (node->kind() == prim::CallFunction) node->removeInput(0);
    torch::jit::inlineCallTo(node, function, /*use_graph=*/false);
    for (Node* inner = before->next(); inner != after;) {
      Node* next = inner->next();
      visit(inner, callee);
      inner = next;
    }
  }

  int64_t addSite(const std::string& path, Tap tap, int64_t element, const std::string& className) {
    Site site;
    site.path = path;
    site.tap = tap;
    site.element = element;
    site.className = className;
    sites_.push_back(std::move(site));
    return static_cast<int64_t>(sites_.size()) - 1;
  }

  // Puts a tap at the insert point and gives its output.
  Value* insertTap(Value* value, int64_t site) {
    Value* index = graph_->insertConstant(site);
    Value* none = graph_->insertConstant(c10::IValue());
    Node* tap = graph_->create(c10::Symbol::fromQualString(kTap), {value, index, none});
    graph_->insertNode(tap);
    tap->output()->setType(c10::TensorType::get());
    return tap->output();
  }

  void tapCall(Node* call, const std::string& path) {
    const auto className = classOf(call->input(0));
    for (size_t argument = 1; argument < call->inputs().size(); ++argument) {
      if (!isTensor(call->input(argument))) continue;
      WithInsertPoint guard(call);
      const auto site = addSite(path, Tap::input, static_cast<int64_t>(argument) - 1, className);
      call->replaceInput(argument, insertTap(call->input(argument), site));
    }
    int64_t element = 0;
    tapOutput(call->output(), call, path, className, element);
  }

  // Taps every tensor in a (nested) tuple; gives the last node inserted.
  Node* tapOutput(Value* value, Node* producer, const std::string& path, const std::string& className,
                  int64_t& element) {
    if (isTensor(value)) {
      WithInsertPoint guard(producer->next());
      Value* tapped = insertTap(value, addSite(path, Tap::output, element++, className));
      value->replaceAllUsesAfterNodeWith(tapped->node(), tapped);
      return tapped->node();
    }
    if (value->type()->kind() != c10::TypeKind::TupleType) return producer;
    Node* unpack = graph_->createTupleUnpack(value);
    unpack->insertAfter(producer);
    // Rebuilt from the tapped elements, for users that take the tuple whole; LowerSimpleTuples clears both away.
    Node* rebuilt = graph_->createTuple(unpack->outputs());
    rebuilt->output()->setType(value->type());
    rebuilt->insertAfter(unpack);
    value->replaceAllUsesAfterNodeWith(rebuilt, rebuilt->output());
    Node* last = unpack;
    for (Value* each : unpack->outputs()) last = tapOutput(each, last, path, className, element);
    return rebuilt;
  }

  void tapAttention(Node* node, const std::string& path) {
    const int64_t element = attentions_[path]++;
    {
      WithInsertPoint guard(node);
      node->replaceInput(0, insertTap(node->input(0), addSite(path, Tap::query, element, "")));
      node->replaceInput(2, insertTap(node->input(2), addSite(path, Tap::value, element, "")));
    }
    WithInsertPoint guard(node->next());
    Value* tapped = insertTap(node->output(), addSite(path, Tap::attention, element, ""));
    node->output()->replaceAllUsesAfterNodeWith(tapped->node(), tapped);
  }

  static std::string classOf(const Value* module) {
    const auto type = module->type()->cast<c10::ClassType>();
    if (!type || !type->name()) return "";
    const auto name = type->name()->name();
    return name.substr(name.rfind('.') + 1);
  }

  // Weights and settings become constants, once per attribute (tied weights stay one tensor).
  void readAttributes(Block* block) {
    for (Node* node : block->nodes()) {
      for (Block* inner : node->blocks()) readAttributes(inner);
      if (node->kind() == prim::SetAttr) {
        throw Error("MODEL_UNREADABLE", "The model changes its own attribute '" + node->s(attr::name) +
                                            "' at run time; export it in evaluation mode without such state.");
      }
      if (node->kind() != prim::GetAttr || !node->output()->hasUses()) continue;
      const auto owner = pathOf(node->input());
      if (!owner) continue;
      const auto value = attribute(*owner, node->s(attr::name));
      if (value.isObject()) continue;
      const std::string key = *owner + "." + node->s(attr::name);
      auto known = constants_.find(key);
      if (known == constants_.end()) {
        WithInsertPoint guard(graph_->block()->nodes().front());
        const auto constant = torch::jit::tryInsertConstant(*graph_, value);
        if (!constant) {
          throw Error("MODEL_UNREADABLE",
                      "The attribute " + key + " of type " + value.type()->str() + " can not be made a constant.");
        }
        known = constants_.emplace(key, *constant).first;
      }
      node->output()->replaceAllUsesWith(known->second);
    }
  }

  c10::IValue attribute(const std::string& path, const std::string& name) const {
    c10::IValue owner = module_._ivalue();
    for (size_t from = 0; from < path.size();) {
      const auto dot = std::min(path.find('.', from), path.size());
      owner = owner.toObject()->getAttr(path.substr(from, dot - from));
      from = dot + 1;
    }
    auto value = owner.toObject()->getAttr(name);
    if (value.isTensor() && value.toTensor().defined()) return value.toTensor().detach();
    return value;
  }

  const torch::jit::Module& module_;
  std::shared_ptr<Graph> graph_;
  std::vector<Site>& sites_;
  std::map<std::string, int64_t> attentions_;
  std::unordered_map<std::string, Value*> constants_;
};

// A trace bakes in the device it was made on, as constants (aten::arange(…, device=cpu)) and in constant tensors.
void placeConstants(Graph& graph, Block* block, at::Device device) {
  std::vector<Node*> constants;
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) placeConstants(graph, inner, device);
    if (node->kind() == prim::Constant) constants.push_back(node);
  }
  for (Node* node : constants) {
    const auto value = torch::jit::toIValue(node->output());
    if (!value || (!value->isDevice() && !(value->isTensor() && value->toTensor().device() != device))) continue;
    WithInsertPoint guard(node);
    Value* placed =
        value->isDevice() ? graph.insertConstant(device) : graph.insertConstant(value->toTensor().to(device));
    node->output()->replaceAllUsesWith(placed);
  }
}

// Numbers the blocks in order of evaluation and names the streams of their outputs.
int64_t nameBlocks(std::vector<Site>& sites, const std::vector<std::string>& calledPaths,
                   const std::vector<BlockPattern>& patterns) {
  int64_t count = 0;
  std::set<std::string> seen;
  for (const auto& path : calledPaths) {
    const auto pattern =
        std::find_if(patterns.begin(), patterns.end(), [&](const auto& each) { return matches(each.path, path); });
    if (pattern == patterns.end() || !seen.insert(path).second) continue;
    std::vector<Site*> outputs;
    for (auto& site : sites) {
      if (site.path == path && site.tap == Tap::output) outputs.push_back(&site);
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
  std::string wanted, called;
  for (const auto& pattern : patterns) wanted += (wanted.empty() ? "'" : ", '") + pattern.path + "'";
  for (size_t i = 0; i < std::min<size_t>(calledPaths.size(), 8); ++i) called += (i ? ", " : "") + calledPaths[i];
  throw Error("NOT_A_TRANSFORMER",
              "No submodule that the model calls matches its transformer blocks (" +
                  (wanted.empty() ? "none" : wanted) + "): it calls " + (called.empty() ? "no submodules" : called) +
                  ". Name the container of the blocks in bundle.json (transformer.blocks[].path), as in 'blocks.*'.");
}

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

// Numbers the sites in order of evaluation; those whose value the model never uses are gone.
void renumber(Graph& graph, std::vector<Site>& sites) {
  std::vector<Site> alive;
  for (const Node* each : tapsOf(graph.block())) {
    auto* tap = const_cast<Node*>(each);
    alive.push_back(sites[siteOf(tap)]);
    WithInsertPoint guard(tap);
    tap->replaceInput(1, graph.insertConstant(static_cast<int64_t>(alive.size()) - 1));
  }
  sites = std::move(alive);
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

// For every output the site whose value takes its place when the module is skipped: the input that its residual
// connections lead back to, else the one that carries the same stream (the output of that stream of the block before),
// else the first; for an attention its values.
void findBypasses(const Graph& graph, std::vector<Site>& sites) {
  const auto taps = tapsOf(graph.block());  // by site
  std::map<std::string, std::set<int64_t>> inputs;
  for (size_t index = 0; index < sites.size(); ++index) {
    if (sites[index].tap == Tap::input) inputs[sites[index].path].insert(static_cast<int64_t>(index));
  }
  for (size_t index = 0; index < sites.size(); ++index) {
    auto& site = sites[index];
    if (site.tap == Tap::attention) {
      const auto value = std::find_if(sites.begin(), sites.end(), [&](const Site& other) {
        return other.tap == Tap::value && other.path == site.path && other.element == site.element;
      });
      if (value != sites.end()) site.bypass = value - sites.begin();
    }
    if (site.tap != Tap::output) continue;
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

}  // namespace

FlatModel flatten(const torch::jit::Module& module, const std::vector<BlockPattern>& blocks, at::Device device,
                  bool allowAllOperators) {
  FlatModel flat;
  const auto method = module.find_method("forward");
  if (!method) throw Error("NOT_A_TRANSFORMER", "The TorchScript module has no forward method.");
  flat.graph = torch::jit::toGraphFunction(method->function()).graph()->copy();
  Flattener flattener(module, flat.graph, flat.sites);
  flattener.run();
  if (!allowAllOperators) auditGraph(*flat.graph);
  flat.blocks = nameBlocks(flat.sites, flattener.calledPaths, blocks);

  placeConstants(*flat.graph, flat.graph->block(), device);
  torch::jit::InlineForkWait(flat.graph);
  torch::jit::LowerSimpleTuples(flat.graph);
  torch::jit::RemoveTensorMutation(flat.graph);
  torch::jit::ConstantPropagation(flat.graph);
  torch::jit::ConstantPooling(flat.graph);
  torch::jit::EliminateCommonSubexpression(flat.graph);
  torch::jit::EliminateDeadCode(flat.graph);
  renumber(*flat.graph, flat.sites);
  findBypasses(*flat.graph, flat.sites);
  return flat;
}

}  // namespace dg
