#include "native/core/graph/inline_calls.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "native/core/error.h"
#include "native/core/graph/ir.h"
#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

namespace prim = c10::prim;
namespace attr = c10::attr;

// Ten times the largest model's. Ten functions that call each other twice are a thousand calls, and so on.
constexpr int64_t kMostNodes = 300'000;

const auto attention = c10::Symbol::fromQualString("aten::scaled_dot_product_attention");

class CallInliner {
 public:
  CallInliner(const torch::jit::Module& module, std::shared_ptr<Graph> graph, std::vector<Site>& sites)
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
    if (++visited_ > kMostNodes) {
      throw Error("MODEL_UNREADABLE", "The program is larger than any model's, with its calls written out.");
    }
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

  int64_t addSite(const std::string& path, TapSide tap, int64_t element, const std::string& className) {
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
      const auto site = addSite(path, TapSide::input, static_cast<int64_t>(argument) - 1, className);
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
      Value* tapped = insertTap(value, addSite(path, TapSide::output, element++, className));
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
    for (Value* output : unpack->outputs()) last = tapOutput(output, last, path, className, element);
    return rebuilt;
  }

  void tapAttention(Node* node, const std::string& path) {
    const int64_t element = attentions_[path]++;
    {
      WithInsertPoint guard(node);
      node->replaceInput(0, insertTap(node->input(0), addSite(path, TapSide::query, element, "")));
      node->replaceInput(2, insertTap(node->input(2), addSite(path, TapSide::value, element, "")));
    }
    WithInsertPoint guard(node->next());
    Value* tapped = insertTap(node->output(), addSite(path, TapSide::attention, element, ""));
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

}  // namespace

std::vector<std::string> inlineCalls(const torch::jit::Module& module, const std::shared_ptr<Graph>& graph,
                                     std::vector<Site>& sites) {
  CallInliner inliner(module, graph, sites);
  inliner.run();
  return std::move(inliner.calledPaths);
}

}  // namespace dg
