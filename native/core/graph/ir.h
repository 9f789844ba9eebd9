#pragma once

#include <torch/csrc/jit/ir/ir.h>

namespace dg {

// The parts of libtorch's graphs by their own names, for the passes of this folder.
using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
using torch::jit::WithInsertPoint;

}  // namespace dg
