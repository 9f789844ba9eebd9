#include "native/core/graph/batch.h"

#include <ATen/Functions.h>

namespace dg {
namespace {

std::optional<BatchRule> countRule(int64_t atTwo, int64_t atThree) {
  if (atTwo == atThree) return BatchRule{};
  if (atTwo % 2 != 0 || atThree % 3 != 0 || atTwo / 2 != atThree / 3) return std::nullopt;
  return BatchRule{.kind = BatchRule::Kind::count, .perRow = atTwo / 2};
}

std::optional<BatchRule> tensorRule(const at::Tensor& atTwo, const at::Tensor& atThree) {
  if (atTwo.dim() != atThree.dim()) return std::nullopt;
  if (atTwo.dim() == 0 && at::isIntegralType(atTwo.scalar_type(), false)) {
    return countRule(atTwo.item<int64_t>(), atThree.item<int64_t>());
  }
  std::optional<BatchRule> rule = BatchRule{};
  for (int64_t axis = 0; axis < atTwo.dim(); ++axis) {
    const auto size = countRule(atTwo.size(axis), atThree.size(axis));
    if (!size) return std::nullopt;
    if (size->kind == BatchRule::Kind::fixed) continue;
    if (rule->kind != BatchRule::Kind::fixed) return std::nullopt;
    rule = BatchRule{.kind = BatchRule::Kind::axis, .axis = axis, .perRow = size->perRow};
  }
  return rule;
}

std::optional<BatchRule> listRule(const std::vector<int64_t>& atTwo, const std::vector<int64_t>& atThree) {
  if (atTwo.size() != atThree.size()) return std::nullopt;
  BatchRule rule{.kind = BatchRule::Kind::counts};
  for (size_t i = 0; i < atTwo.size(); ++i) {
    const auto rowRule = countRule(atTwo[i], atThree[i]);
    if (!rowRule) return std::nullopt;
    rule.perRows.push_back(rowRule->kind == BatchRule::Kind::fixed ? 0 : rowRule->perRow);
  }
  return rule;
}

}  // namespace

std::optional<BatchRule> inferRule(const c10::IValue& atTwo, const c10::IValue& atThree) {
  if (atTwo.tagKind() != atThree.tagKind()) return std::nullopt;
  if (atTwo.isTensor()) return tensorRule(atTwo.toTensor(), atThree.toTensor());
  if (atTwo.isInt()) return countRule(atTwo.toInt(), atThree.toInt());
  if (atTwo.isIntList()) return listRule(atTwo.toIntVector(), atThree.toIntVector());
  if (atTwo.isNone() || atTwo.isDevice()) return BatchRule{};
  if (atTwo.isBool() && atTwo.toBool() == atThree.toBool()) return BatchRule{};
  if (atTwo.isDouble() && atTwo.toDouble() == atThree.toDouble()) return BatchRule{};
  return std::nullopt;
}

bool RowSelection::isIdentity() const {
  if (static_cast<int64_t>(rows.size()) != before) return false;
  for (int64_t i = 0; i < before; ++i) {
    if (rows[i] != i) return false;
  }
  return true;
}

c10::IValue gatherRows(const c10::IValue& value, const BatchRule& rule, const RowSelection& selection) {
  const auto after = static_cast<int64_t>(selection.rows.size());
  switch (rule.kind) {
    case BatchRule::Kind::fixed:
      return value;
    case BatchRule::Kind::count:
      return value.isTensor() ? c10::IValue(at::full({}, rule.perRow * after, value.toTensor().options()))
                              : c10::IValue(rule.perRow * after);
    case BatchRule::Kind::counts: {
      auto list = value.toIntVector();
      for (size_t i = 0; i < list.size(); ++i) {
        if (rule.perRows[i] != 0) list[i] = rule.perRows[i] * after;
      }
      return list;
    }
    case BatchRule::Kind::axis: {
      const auto& tensor = value.toTensor();
      if (rule.perRow == 1) return tensor.index_select(rule.axis, selection.index);
      auto sizes = tensor.sizes().vec();
      auto split = sizes;
      split[rule.axis] = selection.before;
      split.insert(split.begin() + rule.axis + 1, rule.perRow);
      sizes[rule.axis] = after * rule.perRow;
      return tensor.reshape(split).index_select(rule.axis, selection.index).reshape(sizes);
    }
  }
  return value;
}

}  // namespace dg
