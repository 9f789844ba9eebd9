#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

namespace dg {

// After loading, before anything of it runs: every method and function of the module with what they call, their blocks
// and subgraphs (prim::fork), against the closed list (operators.h), and the constants in them.
// Throws OPERATOR_REFUSED.
void auditProgram(const torch::jit::Module& module);

// Attributes have to be of the types that their classes declare, which the reader in libtorch does not compare, and
// hold plain values: tensors of numbers, numbers, text, lists, tuples, dictionaries, modules. Throws MODEL_UNREADABLE.
void auditAttributes(const torch::jit::Module& module);

// The whole program as one graph, before it is simplified (which runs operators): nothing is left that is a call, and
// dtype, layout and rounding are values that operators check for themselves, or known here to be right.
// Throws OPERATOR_REFUSED.
void auditGraph(const torch::jit::Graph& graph);

}  // namespace dg
