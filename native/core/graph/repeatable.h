#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace dg {

// What a call gives depends on its inputs and the file alone, not on the calls before it.

// Operators with a switch for training, which draw random numbers or keep statistics when it is on. Their switches have
// to be known: numbers are computed before. Throws OPERATOR_REFUSED.
void requireNoTraining(const torch::jit::Graph& graph);

// Inputs that the program writes into are copied first: the caller's stay as they are, and are the same for every
// branch.
void copyWrittenInputs(const std::shared_ptr<torch::jit::Graph>& graph);

// Throws MODEL_UNREADABLE for a program that writes into its own weights, lists or dictionaries.
void requireConstantsUnwritten(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace dg
