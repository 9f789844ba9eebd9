#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

namespace dg {

// What the search for chains of operators in a graph asks of nodes and values.

// Whether an operator of the block writes into its inputs: a fused chain reads its inputs where its last operator
// stood, so nothing may have changed them in between.
bool mutates(const torch::jit::Block* block);

bool isTensor(const torch::jit::Value* value);

// Whether a node is a linear layer by an operator of this package.
bool isOwnLayer(const torch::jit::Node* node);

// Whether a packed_linear or quantised_linear is the product alone.
bool hasNoActivation(const torch::jit::Node* layer);

// a + b, not a + alpha · b.
bool isAddOfTensors(const torch::jit::Node* node);

// a · b of two tensors.
bool isProductOfTensors(const torch::jit::Node* node);

// A tensor of one number that the program holds: what tracing makes of a number.
bool isNumberTensor(const torch::jit::Value* value);

// The value before casts (aten::to with a dtype, match_dtype).
torch::jit::Value* throughCasts(torch::jit::Value* value);

std::optional<int64_t> constantInt(const torch::jit::Value* value);
// Also of a number that tracing made a tensor.
std::optional<double> constantDouble(const torch::jit::Value* value);

// Puts detail_guidance::`name` of `inputs` before `node` and redirects the uses of its output there.
torch::jit::Node* substitute(torch::jit::Node* node, const char* name, at::ArrayRef<torch::jit::Value*> inputs);

}  // namespace dg
