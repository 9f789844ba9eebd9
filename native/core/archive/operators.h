#pragma once

#include <ATen/core/symbol.h>

#include <string>
#include <string_view>
#include <vector>

namespace dg {

// The closed list of what a model file may call: operators.cc, as text. A name has its overload with it:
// "aten::add.Tensor", "aten::relu".
bool isAllowedOperator(std::string_view name, std::string_view overload);

// Whether any overload is allowed: "aten::add".
bool isAllowedName(const std::string& name);

// Nodes of a program without an operator behind them: "prim::If".
bool isAllowedNode(c10::Symbol kind);

// All of them, for people.
std::vector<std::string> allowedOperators();

// OPERATOR_REFUSED: `name`, and where it was found.
[[noreturn]] void refuseOperator(const std::string& name, const std::string& where);

}  // namespace dg
