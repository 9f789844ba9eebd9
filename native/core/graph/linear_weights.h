#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <vector>

namespace dg {

// The weights of layers in a flat graph, for what rewrites them (pack.h, quantise.h, convolutions.h).

// Nodes of a kind, in order, those in inner blocks too.
std::vector<torch::jit::Node*> nodesOfKind(torch::jit::Graph& graph, c10::Symbol kind);

// Whether a node is a place for hooks, which gives its first input.
bool isTap(const torch::jit::Node* node);

// What a value is without the places for hooks behind it.
torch::jit::Value* beforeTaps(torch::jit::Value* value);

// The weights of layers of a kind, each once.
std::vector<torch::jit::Value*> weightsOf(torch::jit::Graph& graph, c10::Symbol kind);

// Whether a weight is a dense constant of two axes that linear layers alone read: another reader would keep it beside
// what it becomes.
bool isWeightOfLinearsAlone(const torch::jit::Value* weight);

// The layers that read such a weight, after those that ask for its dtype (precision.h) were given an empty tensor.
std::vector<torch::jit::Node*> detachLayers(torch::jit::Graph& graph, torch::jit::Value* weight);

// Puts a constant in the place of another, with its mark (offload.h); what stood there is gone.
torch::jit::Value* exchange(torch::jit::Graph& graph, torch::jit::Value* constant, const c10::IValue& value);

}  // namespace dg
