#pragma once

#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "native/core/graph/offload.h"
#include "native/core/graph/site.h"

namespace dg {

// A model as one graph without calls: every tensor that enters or leaves a submodule passes a tap that carries the
// index of its site. It is never run as it is: a program (program.h) copies it and keeps the taps it needs, so hooks
// that nobody asked for cost nothing at all.
struct FlatModel {
  std::shared_ptr<torch::jit::Graph> graph;  // inputs: those of forward, without self; weights are constants
  std::vector<Site> sites;
  int64_t blocks = 0;
  // Inlined nodes point to the functions they came from, which error reports name: it has to outlive every program.
  std::shared_ptr<torch::jit::CompilationUnit> code;
};

// Calls are inlined one by one (inline_calls.h). Weights are read from `module` as they are (convert them first);
// constants of the program, and the devices that a trace bakes in, are moved to `device`, but not what lies in
// `waiting`. Throws NOT_A_TRANSFORMER when
// no called submodule matches a block pattern, OPERATOR_REFUSED (audit.h), MODEL_UNREADABLE for programs that can not
// be flattened (state changed at run time).
FlatModel flatten(const torch::jit::Module& module, const std::vector<BlockPattern>& blocks, at::Device device,
                  bool allowAllOperators, const HostStorages& waiting = {});

// The same for a module without blocks of interest: its sites are not numbered, so keep no taps of it (selectTaps).
FlatModel flattenPlain(const torch::jit::Module& module, at::Device device, bool allowAllOperators);

}  // namespace dg
