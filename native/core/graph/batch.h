#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace dg {

// How a value inside the model follows the number of rows in the batch. Found by running the model on two and on three
// rows and comparing: a traced graph says nothing about which axis is the batch.
struct BatchRule {
  enum class Kind { fixed, axis, count, counts } kind = Kind::fixed;
  int64_t axis = 0;                // axis: the tensor's axis that holds the rows …
  int64_t perRow = 1;              // … this many entries a row (B × heads, say); count: the integer a row
  std::vector<int64_t> perRows{};  // counts: for each integer of a list its value a row, 0 where it is fixed
};

// From the same value at two and at three rows; nothing where it follows no rule we know.
std::optional<BatchRule> inferRule(const c10::IValue& atTwo, const c10::IValue& atThree);

// New rows made of old ones: row i of the result is row `rows[i]` of the value.
struct RowSelection {
  int64_t before = 0;
  std::vector<int64_t> rows;
  at::Tensor index;  // the same on the device

  bool isIdentity() const;
};

c10::IValue gatherRows(const c10::IValue& value, const BatchRule& rule, const RowSelection& selection);

}  // namespace dg
