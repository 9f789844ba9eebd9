#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <string_view>

namespace dg {

// What a transformer needs and nothing else: operators of aten, prim and our own namespace, without those that read or
// write files, print, or run Python. Throws OPERATOR_REFUSED with the operator's name.

// Before loading: the archive's source text. Also refuses `__setstate__`, which would run while the archive is read.
void auditSource(std::string_view source, const std::string& record);

// After loading, before anything runs (constant propagation runs operators): every node of the inlined graph.
void auditGraph(const torch::jit::Graph& graph);

}  // namespace dg
