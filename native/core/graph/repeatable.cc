#include "native/core/graph/repeatable.h"

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "native/core/archive/operators.h"
#include "native/core/error.h"
#include "native/core/graph/ir.h"
#include "native/core/graph/pattern.h"

namespace dg {
namespace {

bool isFalse(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant && constant->isBool() && !constant->toBool();
}

bool isZero(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant &&
         ((constant->isDouble() && constant->toDouble() == 0) || (constant->isInt() && constant->toInt() == 0));
}

bool isNone(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  return constant && constant->isNone();
}

void requireNoTraining(const Node* node) {
  static const std::unordered_set<std::string> dropouts{
      "aten::dropout",         "aten::dropout_",         "aten::alpha_dropout",         "aten::alpha_dropout_",
      "aten::feature_dropout", "aten::feature_dropout_", "aten::feature_alpha_dropout", "aten::feature_alpha_dropout_"};
  static const std::unordered_set<std::string> norms{"aten::batch_norm", "aten::instance_norm"};
  const std::string name = node->kind().toQualString();
  const auto inputs = node->inputs();
  // (input, p, train)
  if (dropouts.count(name) != 0 && !isFalse(inputs[2]) && !isZero(inputs[1])) {
    refuseOperator(name, " in training, where it draws random numbers");
  }
  // (query, key, value, attn_mask, dropout_p, ...)
  if (name == "aten::scaled_dot_product_attention" && !isZero(inputs[4])) {
    refuseOperator(name, " with dropout, which draws random numbers");
  }
  // (input, weight, bias, running_mean, running_var, training, ...)
  if (norms.count(name) != 0 && !isFalse(inputs[5]) && !(isNone(inputs[3]) && isNone(inputs[4]))) {
    refuseOperator(name, " in training, where it changes its statistics");
  }
}

void requireNoTraining(const Block* block) {
  for (const Node* node : block->nodes()) {
    requireNoTraining(node);
    for (const Block* inner : node->blocks()) requireNoTraining(inner);
  }
}

// What operators of the block write into.
void collectWritten(const Block* block, std::vector<Value*>& written) {
  for (const Node* node : block->nodes()) {
    for (const Block* inner : node->blocks()) collectWritten(inner, written);
    const auto* schema = node->maybeSchema();
    if (schema == nullptr || !schema->is_mutable()) continue;
    for (size_t i = 0; i < std::min(schema->arguments().size(), node->inputs().size()); ++i) {
      const auto* alias = schema->arguments()[i].alias_info();
      if (alias != nullptr && alias->isWrite()) written.push_back(const_cast<Value*>(node->input(i)));
    }
  }
}

void requireConstantsUnwritten(const Block* block, const torch::jit::AliasDb& aliases,
                               const std::vector<Value*>& written) {
  for (const Node* node : block->nodes()) {
    for (const Block* inner : node->blocks()) requireConstantsUnwritten(inner, aliases, written);
    if (node->kind() != c10::prim::Constant) continue;
    auto* constant = const_cast<Value*>(node->output());
    // Of a list of tensors too, its tensors.
    const bool isWritten = aliases.hasWriters(constant) ||
                           (constant->type()->kind() != c10::TypeKind::TensorType &&
                            std::any_of(written.begin(), written.end(),
                                        [&](Value* value) { return aliases.mayContainAlias(value, constant); }));
    if (!isWritten) continue;
    throw Error("MODEL_UNREADABLE",
                "The model changes a " + node->output()->type()->str() +
                    " of its own in place (a weight, a buffer, a list) while it runs, so that a call "
                    "would depend on the calls before it; export it without such state.");
  }
}

}  // namespace

void requireNoTraining(const Graph& graph) { requireNoTraining(graph.block()); }

void copyWrittenInputs(const std::shared_ptr<Graph>& graph) {
  if (!mutates(graph->block())) return;
  std::vector<Value*> written;
  {
    const torch::jit::AliasDb aliases(graph);
    for (Value* input : graph->inputs()) {
      if (isTensor(input) && aliases.hasWriters(input)) written.push_back(input);
    }
  }
  const WithInsertPoint guard(graph->block()->nodes().front());
  for (Value* input : written) {
    Value* copy = graph->insert(c10::aten::clone, {input});
    copy->setType(input->type());
    input->replaceAllUsesAfterNodeWith(copy->node(), copy);
  }
}

void requireConstantsUnwritten(const std::shared_ptr<Graph>& graph) {
  if (!mutates(graph->block())) return;
  std::vector<Value*> written;
  collectWritten(graph->block(), written);
  requireConstantsUnwritten(graph->block(), torch::jit::AliasDb(graph), written);
}

}  // namespace dg
