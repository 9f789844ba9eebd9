#include "native/core/graph/fuse_norm_rotary.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <string>
#include <vector>

#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/graph/pattern.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

constexpr const char* kNormRotary = "norm_rotary";

c10::Symbol symbol() {
  static const auto kind = c10::Symbol::fromQualString(std::string(kNamespace) + "::" + kNormRotary);
  return kind;
}

Value* none(Node* before) {
  torch::jit::WithInsertPoint guard(before);
  return before->owningGraph()->insertConstant(c10::IValue());
}

// The elements of a list that is built where it is used.
at::ArrayRef<Value*> elements(Value* list) {
  Node* node = list->node();
  return node->kind() == c10::prim::ListConstruct ? node->inputs() : at::ArrayRef<Value*>{};
}

// Whether `list` is [last axis] or, as a shape, [channels]: one constant whole number.
bool isOneNumber(Value* list, std::optional<int64_t> target) {
  if (const auto constant = torch::jit::toIValue(list); constant && constant->isIntList()) {
    const auto numbers = constant->toIntVector();
    return numbers.size() == 1 && (!target || numbers[0] == *target);
  }
  const auto items = elements(list);
  if (items.size() != 1) return false;
  const auto number = constantInt(items[0]);
  return number && (!target || *number == *target);
}

struct Norm {
  Value* x;
  Value* weight;  // null: none
  double epsilon;
};

// x · rsqrt(mean(x²) + eps), spelled out, given the product.
std::optional<Norm> spelledNorm(Node* product) {
  if (!isProductOfTensors(product)) return std::nullopt;
  for (const size_t side : {0, 1}) {
    Node* root = product->input(side)->node();
    if (root->kind() != c10::aten::rsqrt) continue;
    Node* sum = root->input(0)->node();
    if (sum->kind() != c10::aten::add || !constantDouble(sum->input(1))) continue;
    Node* mean = sum->input(0)->node();
    if (mean->kind() != c10::aten::mean || mean->inputs().size() < 3 || !isOneNumber(mean->input(1), -1)) continue;
    const auto keep = torch::jit::toIValue(mean->input(2));
    if (!keep || !keep->isBool() || !keep->toBool()) continue;
    Node* power = mean->input(0)->node();
    if (power->kind() != c10::aten::pow || constantInt(power->input(1)) != 2) continue;
    Value* x = throughCasts(product->input(1 - side));
    if (throughCasts(power->input(0)) != x) continue;
    return Norm{x, nullptr, *constantDouble(sum->input(1))};
  }
  return std::nullopt;
}

std::optional<Norm> normOf(Node* node) {
  if (node->kind() == c10::aten::rms_norm) {
    const bool overLast = isOneNumber(node->input(1), std::nullopt) && constantDouble(node->input(3));
    if (!overLast) return std::nullopt;
    const bool plain = node->input(2)->mustBeNone();
    return Norm{throughCasts(node->input(0)), plain ? nullptr : node->input(2), *constantDouble(node->input(3))};
  }
  if (!isProductOfTensors(node)) return std::nullopt;
  for (const size_t side : {0, 1}) {
    auto inner = spelledNorm(throughCasts(node->input(side))->node());
    // The weight is a vector that the program holds: a product with anything else is not part of the norm.
    const auto weight = torch::jit::toIValue(throughCasts(node->input(1 - side)));
    if (!inner || !weight || !weight->isTensor() || weight->toTensor().dim() != 1) continue;
    inner->weight = throughCasts(node->input(1 - side));
    return inner;
  }
  return std::nullopt;
}

struct Rotation {
  Value *x, *cosine, *sine;
};

// x of [−odd, even] interleaved, as `torch.stack([-imag, real], -1).flatten(3)` spells it.
Value* rotatedHalf(Value* value) {
  Node* flat = throughCasts(value)->node();
  if (flat->kind() != c10::aten::flatten || constantInt(flat->input(1)) != 3) return nullptr;
  Node* stack = flat->input(0)->node();
  if (stack->kind() != c10::aten::stack || constantInt(stack->input(1)) != -1) return nullptr;
  const auto halves = elements(stack->input(0));
  if (halves.size() != 2 || halves[0]->node()->kind() != c10::aten::neg) return nullptr;
  Value* imaginary = halves[0]->node()->input(0);
  Value* real = halves[1];
  Node* unpack = real->node();
  const bool inOrder = unpack->kind() == c10::prim::ListUnpack && imaginary->node() == unpack && real->offset() == 0 &&
                       imaginary->offset() == 1 && unpack->outputs().size() == 2;
  if (!inOrder) return nullptr;
  Node* unbind = unpack->input()->node();
  if (unbind->kind() != c10::aten::unbind || constantInt(unbind->input(1)) != -1) return nullptr;
  Node* reshape = unbind->input(0)->node();
  if (reshape->kind() != c10::aten::reshape) return nullptr;
  const auto shape = elements(reshape->input(1));
  if (shape.size() != 5 || constantInt(shape[4]) != 2 || constantInt(shape[3]) != -1) return nullptr;
  return throughCasts(reshape->input(0));
}

std::optional<Rotation> rotationOf(Node* sum) {
  if (!isAddOfTensors(sum)) return std::nullopt;
  for (const size_t side : {0, 1}) {
    Node* straight = sum->input(side)->node();
    Node* crossed = sum->input(1 - side)->node();
    if (!isProductOfTensors(straight) || !isProductOfTensors(crossed)) return std::nullopt;
    for (const size_t half : {0, 1}) {
      Value* x = rotatedHalf(crossed->input(half));
      if (x == nullptr) continue;
      for (const size_t own : {0, 1}) {
        if (throughCasts(straight->input(own)) != x) continue;
        return Rotation{x, straight->input(1 - own), crossed->input(1 - half)};
      }
    }
  }
  return std::nullopt;
}

Node* onlyReader(Value* value) {
  const auto& uses = value->uses();
  return uses.size() == 1 && uses[0].offset == 0 ? uses[0].user : nullptr;
}

// In the dtype that the value has before casts. Where a tap comes after one, what it gives is cast back: the operator
// is the same with taps and without.
Value* inOwnDtype(Node* reader, Value* value) {
  Value* source = value;
  for (Value* before = nullptr; before != source;) {
    before = source;
    source = throughCasts(beforeTaps(source));
  }
  if (source == beforeTaps(value)) return value;
  torch::jit::WithInsertPoint guard(reader);
  Graph* graph = reader->owningGraph();
  Node* match = graph->insertNode(graph->create(c10::Symbol::fromQualString(kMatchDtype), {value, source}));
  match->output()->setType(c10::TensorType::get());
  return match->output();
}

// The operator in the node's place and in that of the cast back to the dtype of the hidden state, where that is all
// that reads the value, after taps or none.
void replace(Node* node, Value* x, Value* weight, Value* epsilon, Value* cosine, Value* sine) {
  Value* read = node->output();
  Node* reader = onlyReader(read);
  for (; reader != nullptr && isTap(reader); reader = onlyReader(read)) read = reader->output();
  if (reader != nullptr && reader->kind() == c10::aten::to) reader->output()->replaceAllUsesWith(read);
  substitute(node, kNormRotary, {inOwnDtype(node, x), weight, epsilon, cosine, sine});
}

void fuseBlock(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) fuseBlock(inner);
    if (const auto norm = normOf(node)) {
      Value* weight = norm->weight != nullptr ? norm->weight : none(node);
      torch::jit::WithInsertPoint guard(node);
      Value* epsilon = node->owningGraph()->insertConstant(norm->epsilon);
      replace(node, norm->x, weight, epsilon, none(node), none(node));
    } else if (const auto rotation = rotationOf(node)) {
      replace(node, rotation->x, none(node), none(node), rotation->cosine, rotation->sine);
    }
  }
}

// A rotation of what a norm gives, and nobody else reads, is one pass.
void mergeBlock(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) mergeBlock(inner);
    if (node->kind() != symbol() || node->input(3)->mustBeNone() || !node->input(2)->mustBeNone()) continue;
    Node* norm = node->input(0)->node();
    const bool own = norm->kind() == symbol() && norm->input(3)->mustBeNone() && norm->output()->uses().size() == 1 &&
                     norm->owningBlock() == block;
    if (!own) continue;
    node->replaceInput(0, norm->input(0));
    node->replaceInput(1, norm->input(1));
    node->replaceInput(2, norm->input(2));
  }
}

}  // namespace

void fuseNormRotary(const std::shared_ptr<Graph>& graph) {
  if (mutates(graph->block())) return;
  fuseBlock(graph->block());
  torch::jit::EliminateDeadCode(graph);
  mergeBlock(graph->block());
  torch::jit::EliminateDeadCode(graph);
}

}  // namespace dg
