#include "native/core/archive/arithmetic.h"

#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace dg {
namespace {

using c10::IValue;
using torch::jit::Operation;
using torch::jit::Operator;
using torch::jit::Stack;

constexpr size_t kMostText = 1 << 20;
constexpr int64_t kMostItems = 1 << 24;  // of a list that is joined or repeated

bool isDivision(const c10::FunctionSchema& schema) {
  const auto& name = schema.name();
  const auto& overload = schema.overload_name();
  return (name == "aten::floordiv" || name == "aten::remainder" || name == "aten::divmod") &&
         (overload == "int" || overload.empty());
}

bool givesText(const c10::FunctionSchema& schema) {
  return schema.returns().size() == 1 && schema.returns()[0].type()->kind() == c10::TypeKind::StringType;
}

// t[] + t[], t[] * int, int * t[]
bool givesList(const c10::FunctionSchema& schema) {
  return (schema.name() == "aten::add" || schema.name() == "aten::mul") && schema.returns().size() == 1 &&
         schema.returns()[0].type()->kind() == c10::TypeKind::ListType;
}

Operation checkedDivision(Operation divide) {
  return [divide = std::move(divide)](Stack& stack) mutable {
    const auto& dividend = stack[stack.size() - 2];
    const auto& divisor = stack[stack.size() - 1];
    if (dividend.isInt() && divisor.isInt()) {
      TORCH_CHECK(divisor.toInt() != 0, "division by zero");
      TORCH_CHECK(divisor.toInt() != -1 || dividend.toInt() != std::numeric_limits<int64_t>::min(),
                  "the quotient of two whole numbers is too large");
    }
    divide(stack);
  };
}

bool cuts(const c10::FunctionSchema& schema) {
  return !schema.arguments().empty() && schema.arguments().back().name() == "rounding_mode";
}

bool isWhole(const IValue& value) {
  if (!value.isTensor()) return value.isInt() || value.isBool();
  return value.toTensor().defined() && c10::isIntegralType(value.toTensor().scalar_type(), /*includeBool=*/true);
}

bool holds(const IValue& value, int64_t number) {
  return value.isTensor() ? value.toTensor().eq(number).any().item<bool>() : value.toScalar().to<int64_t>() == number;
}

// "trunc" divides whole numbers as the processor does, which ends the process for the smallest one by -1.
Operation checkedCut(Operation divide) {
  return [divide = std::move(divide)](Stack& stack) mutable {
    const auto& mode = stack.back();
    const auto& divisor = stack[stack.size() - 2];
    const bool isCut = mode.isString() && mode.toStringRef() == "trunc";
    if (isCut && isWhole(stack[stack.size() - 3]) && isWhole(divisor)) {
      TORCH_CHECK(!holds(divisor, 0), "division by zero");
      TORCH_CHECK(!holds(divisor, -1), "whole numbers are cut, not rounded, when they are divided by -1");
    }
    divide(stack);
  };
}

Operation boundedText(Operation write) {
  return [write = std::move(write)](Stack& stack) mutable {
    write(stack);
    TORCH_CHECK(stack.back().toStringRef().size() <= kMostText, "a text is longer than ", kMostText, " characters");
  };
}

// A list that doubles forty times fills any memory in one operator, which nobody can end.
Operation boundedList(Operation join) {
  return [join = std::move(join)](Stack& stack) mutable {
    const auto &left = stack[stack.size() - 2], &right = stack[stack.size() - 1];
    const auto lengthOf = [](const IValue& list) { return static_cast<int64_t>(list.toListRef().size()); };
    int64_t items = 0;
    if (left.isList() && right.isList()) {
      items = lengthOf(left) + lengthOf(right);
    } else {
      const auto times = std::clamp<int64_t>((left.isList() ? right : left).toInt(), 0, kMostItems + 1);
      items = std::min(lengthOf(left.isList() ? left : right), kMostItems + 1) * times;
    }
    TORCH_CHECK(items <= kMostItems, "a list is longer than ", kMostItems, " items");
    join(stack);
  };
}

}  // namespace

void guardArithmetic() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Kept: nothing may point to them, but nobody says so.
    static auto* replaced = new std::vector<std::shared_ptr<Operator>>;
    for (const char* name :
         {"aten::floordiv", "aten::remainder", "aten::divmod", "aten::div", "aten::div_", "aten::divide",
          "aten::divide_", "aten::add", "aten::mul", "aten::format", "aten::percentFormat"}) {
      const auto operators = torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(name));
      for (const auto& definition : operators) torch::jit::deregisterOperator(definition->schema());
      // All of them in their order, since the first that fits is taken.
      for (const auto& definition : operators) {
        replaced->push_back(definition);
        const auto& schema = definition->schema();
        if (isDivision(schema) || cuts(schema) || givesText(schema) || givesList(schema)) {
          auto operation = isDivision(schema)  ? checkedDivision(definition->getOperation())
                           : cuts(schema)      ? checkedCut(definition->getOperation())
                           : givesList(schema) ? boundedList(definition->getOperation())
                                               : boundedText(definition->getOperation());
          torch::jit::registerOperator(
              Operator(c10::toString(schema), std::move(operation), definition->aliasAnalysisKind()));
        } else {
          torch::jit::registerOperator(Operator(*definition));
        }
      }
    }
  });
}

}  // namespace dg
