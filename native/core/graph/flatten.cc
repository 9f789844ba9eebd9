#include "native/core/graph/flatten.h"

#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/constant_pooling.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inline_fork_wait.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/passes/remove_mutation.h>

#include "native/core/archive/audit.h"
#include "native/core/error.h"
#include "native/core/graph/describe_sites.h"
#include "native/core/graph/inline_calls.h"
#include "native/core/graph/place_constants.h"
#include "native/core/graph/repeatable.h"

namespace dg {
namespace {

// Everything but the blocks; `calledPaths`: the submodules in order of evaluation.
FlatModel flattenCalls(const torch::jit::Module& module, bool allowAllOperators,
                       std::vector<std::string>& calledPaths) {
  FlatModel flat;
  flat.code = module._ivalue()->compilation_unit();
  // Calls inside a fork are calls like others.
  for (auto* function : flat.code->get_functions()) {
    if (auto* graphFunction = torch::jit::tryToGraphFunction(*function)) {
      auto graph = graphFunction->graph();
      torch::jit::InlineForkWait(graph);
    }
  }
  const auto method = module.find_method("forward");
  if (!method) throw Error("NOT_A_TRANSFORMER", "The TorchScript module has no forward method.");
  flat.graph = torch::jit::toGraphFunction(method->function()).graph()->copy();
  calledPaths = inlineCalls(module, flat.graph, flat.sites);
  if (allowAllOperators) return flat;
  auditGraph(*flat.graph);
  torch::jit::ConstantPropagationImmutableTypes(flat.graph);
  requireNoTraining(*flat.graph);
  return flat;
}

void simplify(FlatModel& flat, at::Device device, const HostStorages& waiting) {
  placeConstants(*flat.graph, device, waiting);
  torch::jit::InlineForkWait(flat.graph);
  torch::jit::LowerSimpleTuples(flat.graph);
  copyWrittenInputs(flat.graph);
  torch::jit::RemoveTensorMutation(flat.graph);
  torch::jit::ConstantPropagation(flat.graph);
  torch::jit::ConstantPooling(flat.graph);
  torch::jit::EliminateCommonSubexpression(flat.graph);
  torch::jit::EliminateDeadCode(flat.graph);
  requireConstantsUnwritten(flat.graph);
}

}  // namespace

FlatModel flatten(const torch::jit::Module& module, const std::vector<BlockPattern>& blocks, at::Device device,
                  bool allowAllOperators, const HostStorages& waiting) {
  std::vector<std::string> calledPaths;
  auto flat = flattenCalls(module, allowAllOperators, calledPaths);
  flat.blocks = nameBlocks(flat.sites, calledPaths, blocks);
  simplify(flat, device, waiting);
  renumberSites(*flat.graph, flat.sites);
  findBypasses(*flat.graph, flat.sites);
  return flat;
}

FlatModel flattenPlain(const torch::jit::Module& module, at::Device device, bool allowAllOperators) {
  std::vector<std::string> calledPaths;
  auto flat = flattenCalls(module, allowAllOperators, calledPaths);
  simplify(flat, device, {});
  return flat;
}

}  // namespace dg
