#include "native/core/graph/flatten.h"

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
#include <unordered_map>
#include <unordered_set>

#include "native/core/archive/audit.h"
#include "native/core/error.h"
#include "native/core/graph/naming.h"
#include "native/core/hooks/tap.h"

namespace dg {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
using torch::jit::WithInsertPoint;
namespace prim = c10::prim;
namespace attr = c10::attr;

// Ten times the largest model's. Ten functions that call each other twice are a thousand calls, and so on.
constexpr int64_t kMostNodes = 300'000;

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
    if (++visited_ > kMostNodes)
      throw Error("MODEL_UNREADABLE", "The program is larger than any model's, with its calls written out.");
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
  int64_t visited_ = 0;
  std::unordered_map<std::string, Value*> constants_;
};

bool isNumber(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant && constant->isTensor() && constant->toTensor().dim() == 0;
}

// What a trace computes of sizes, with tensors of one number on the CPU: their nodes.
void findArithmetic(const Block* block, std::unordered_set<const Node*>& found) {
  for (const Node* node : block->nodes()) {
    bool ofSizes = node->kind() == prim::NumToTensor, ofNumbers = true;
    for (const Value* input : node->inputs()) {
      if (!isTensor(input)) continue;
      const bool isComputed = found.count(input->node()) != 0;
      ofSizes = ofSizes || isComputed;
      ofNumbers = ofNumbers && (isComputed || isNumber(input));
    }
    if (ofSizes && ofNumbers && node->blocks().empty()) found.insert(node);
    for (const Block* inner : node->blocks()) findArithmetic(inner, found);
  }
}

// A trace bakes in the device it was made on, as constants (aten::arange(…, device=cpu)) and in constant tensors. Those
// it computes sizes with stay where they are: a size that came from the device would have to be waited for.
void placeConstants(Graph& graph, Block* block, at::Device device, const std::unordered_set<const Node*>& arithmetic) {
  std::vector<Node*> constants;
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) placeConstants(graph, inner, device, arithmetic);
    if (node->kind() == prim::Constant) constants.push_back(node);
  }
  for (Node* node : constants) {
    const auto value = torch::jit::toIValue(node->output());
    if (!value || (!value->isDevice() && !(value->isTensor() && value->toTensor().device() != device))) continue;
    WithInsertPoint guard(node);
    Value* placed =
        value->isDevice() ? graph.insertConstant(device) : graph.insertConstant(value->toTensor().to(device));
    const auto uses = node->output()->uses();
    for (const auto& use : uses) {
      if (!isNumber(node->output()) || !arithmetic.count(use.user)) use.user->replaceInput(use.offset, placed);
    }
  }
}

// Everything but the blocks; `calledPaths`: the submodules in order of evaluation.
FlatModel flattenCalls(const torch::jit::Module& module, bool allowAllOperators,
                       std::vector<std::string>& calledPaths) {
  FlatModel flat;
  flat.code = module._ivalue()->compilation_unit();
  // Calls inside a fork are calls like others.
  for (auto* function : flat.code->get_functions()) {
    if (auto* graphFunction = torch::jit::tryToGraphFunction(*function)) {
      auto graph = graphFunction->graph();
      torch::jit::InlineForkWait(graph);
    }
  }
  const auto method = module.find_method("forward");
  if (!method) throw Error("NOT_A_TRANSFORMER", "The TorchScript module has no forward method.");
  flat.graph = torch::jit::toGraphFunction(method->function()).graph()->copy();
  Flattener flattener(module, flat.graph, flat.sites);
  flattener.run();
  if (!allowAllOperators) auditGraph(*flat.graph);
  calledPaths = std::move(flattener.calledPaths);
  return flat;
}

void simplify(FlatModel& flat, at::Device device) {
  std::unordered_set<const Node*> arithmetic;
  findArithmetic(flat.graph->block(), arithmetic);
  placeConstants(*flat.graph, flat.graph->block(), device, arithmetic);
  torch::jit::InlineForkWait(flat.graph);
  torch::jit::LowerSimpleTuples(flat.graph);
  torch::jit::RemoveTensorMutation(flat.graph);
  torch::jit::ConstantPropagation(flat.graph);
  torch::jit::ConstantPooling(flat.graph);
  torch::jit::EliminateCommonSubexpression(flat.graph);
  torch::jit::EliminateDeadCode(flat.graph);
}

}  // namespace

FlatModel flatten(const torch::jit::Module& module, const std::vector<BlockPattern>& blocks, at::Device device,
                  bool allowAllOperators) {
  std::vector<std::string> calledPaths;
  auto flat = flattenCalls(module, allowAllOperators, calledPaths);
  flat.blocks = nameBlocks(flat.sites, calledPaths, blocks);
  simplify(flat, device);
  renumberSites(*flat.graph, flat.sites);
  findBypasses(*flat.graph, flat.sites);
  return flat;
}

FlatModel flattenPlain(const torch::jit::Module& module, at::Device device, bool allowAllOperators) {
  std::vector<std::string> calledPaths;
  auto flat = flattenCalls(module, allowAllOperators, calledPaths);
  simplify(flat, device);
  return flat;
}

}  // namespace dg
