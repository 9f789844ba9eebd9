#include "native/core/graph/offload.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "native/core/cancellation.h"
#include "native/core/device/host_memory.h"
#include "native/core/error.h"
#include "native/core/graph/ir.h"
#include "native/core/graph/linear_weights.h"
#include "native/core/operators/names.h"
#include "native/core/operators/offloaded_weights.h"

namespace dg {
namespace {

// What a marked constant carries: its block, by identity, and who brings it.
struct OffloadedBlock : torch::CustomClassHolder {
  explicit OffloadedBlock(std::shared_ptr<BlockOffload> bringer) : offload(std::move(bringer)) {}
  std::shared_ptr<BlockOffload> offload;
};

const auto kMark = c10::Symbol::attr("offloaded_block");

c10::intrusive_ptr<OffloadedBlock> blockOf(const Node* constant) {
  return constant->ival(kMark).toCustomClass<OffloadedBlock>();
}

// The node of the outermost block that is or holds a node.
const Node* outermost(const Graph& graph, const Node* node) {
  while (node->owningBlock() != graph.block()) node = node->owningBlock()->owningNode();
  return node;
}

std::vector<Node*> constantsOf(Graph& graph) { return nodesOfKind(graph, c10::prim::Constant); }

// Where the nodes of each block lie among those of the graph: from its first tap to its last.
class Spans {
 public:
  Spans(Graph& graph, const std::vector<Site>& sites) {
    for (const Node* node : graph.nodes()) place_.emplace(node, static_cast<int64_t>(place_.size()));
    place_.emplace(graph.return_node(), static_cast<int64_t>(place_.size()));
    const BlockPaths blocks(sites);
    static const auto tap = c10::Symbol::fromQualString(kTap);
    for (const Node* node : nodesOfKind(graph, tap)) {
      const auto& path = sites.at(torch::jit::toIValue(node->input(1))->toInt()).path;
      const auto block = blocks.blockOf(path);
      if (!block) continue;
      const auto at = placeIn(graph, node);
      auto& [first, last] = spans_.try_emplace(*block, at, at).first->second;
      first = std::min(first, at);
      last = std::max(last, at);
    }
  }

  // The only block whose nodes alone read a value.
  std::optional<int64_t> readerOf(const Graph& graph, const Value* value) const {
    std::optional<int64_t> reader;
    if (!value->hasUses()) return reader;
    for (const auto& [block, span] : spans_) {
      const auto& uses = value->uses();
      const bool isReader = std::all_of(uses.begin(), uses.end(), [&, span = span](const torch::jit::Use& use) {
        const auto at = placeIn(graph, use.user);
        return span.first <= at && at <= span.second;
      });
      if (!isReader) continue;
      if (reader) return std::nullopt;
      reader = block;
    }
    return reader;
  }

 private:
  int64_t placeIn(const Graph& graph, const Node* node) const { return place_.at(outermost(graph, node)); }

  std::map<const Node*, int64_t> place_;
  std::map<int64_t, std::pair<int64_t, int64_t>> spans_;
};

// Numbers that tracing made tensors stay where they are: sizes are computed with them.
bool canWait(const c10::IValue& constant, at::Device device, const HostStorages& storages) {
  if (constant.isCustomClass()) return !movableTensors(constant).empty();
  if (!constant.isTensor() || !constant.toTensor().defined() || constant.toTensor().dim() == 0) return false;
  const auto& tensor = constant.toTensor();
  return tensor.layout() == at::kStrided && (tensor.device() != device || isIn(storages, tensor));
}

bool isOn(at::Device device, const std::vector<at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) { return tensor.device() == device; });
}

// Constants of one block that are read one after the other.
struct Reading {
  std::set<const OffloadedBlock*> blocks;
  std::vector<Value*> constants;

  int64_t indexOf(Value* constant) {
    const auto known = std::find(constants.begin(), constants.end(), constant);
    if (known == constants.end()) {
      constants.push_back(constant);
      return static_cast<int64_t>(constants.size()) - 1;
    }
    return known - constants.begin();
  }
};

// Who reads which of a reading's constants.
struct Reader {
  Node* node;  // of the outermost block
  size_t reading;
  std::map<Value*, std::vector<torch::jit::Use>> uses;
};

std::vector<Reader> readersIn(Graph& graph, const std::vector<Node*>& marked) {
  std::map<const Node*, std::map<Value*, std::vector<torch::jit::Use>>> byNode;
  for (Node* constant : marked) {
    for (const auto& use : constant->output()->uses()) {
      byNode[outermost(graph, use.user)][constant->output()].push_back(use);
    }
  }
  std::vector<Reader> readers;
  const auto take = [&](Node* node) {
    const auto known = byNode.find(node);
    if (known != byNode.end()) readers.push_back({node, 0, std::move(known->second)});
  };
  for (Node* node : graph.nodes()) take(node);
  take(graph.return_node());
  return readers;
}

// A reading goes on until a node reads what is of another block.
std::vector<Reading> readingsOf(std::vector<Reader>& readers) {
  std::vector<Reading> readings;
  for (auto& reader : readers) {
    std::set<const OffloadedBlock*> wanted;
    for (const auto& [constant, uses] : reader.uses) wanted.insert(blockOf(constant->node()).get());
    const bool goesOn = !readings.empty() && std::includes(readings.back().blocks.begin(), readings.back().blocks.end(),
                                                           wanted.begin(), wanted.end());
    if (!goesOn) readings.push_back({wanted, {}});
    reader.reading = readings.size() - 1;
    for (const auto& [constant, uses] : reader.uses) readings.back().indexOf(constant);
  }
  return readings;
}

}  // namespace

bool isIn(const HostStorages& storages, const at::Tensor& tensor) {
  return tensor.has_storage() && storages.count(tensor.storage().data()) != 0;
}

OffloadedBlocks offloadBlocks(Graph& graph, const std::vector<Site>& sites, at::Device device,
                              const HostStorages& storages, const std::shared_ptr<BlockOffload>& offload) {
  struct Waiting {
    Node* constant;
    int64_t block;
  };
  std::vector<Waiting> waiting;
  std::vector<Node*> placed;
  std::map<int64_t, int64_t> bytes;
  const Spans spans(graph, sites);
  for (Node* constant : constantsOf(graph)) {
    const auto value = torch::jit::toIValue(constant->output());
    if (!value || !canWait(*value, device, storages)) continue;
    if (const auto block = spans.readerOf(graph, constant->output())) {
      waiting.push_back({constant, *block});
      bytes[*block] += bytesOf(movableTensors(*value));
    } else if (!isOn(device, movableTensors(*value))) {
      placed.push_back(constant);
    }
  }
  if (waiting.empty()) {
    throw Error("BAD_OPTION",
                "options.offload: expected blocks with weights of their own, received a model whose blocks have none.");
  }
  OffloadedBlocks result;
  for (const auto& [block, size] : bytes) {
    ++result.blocks;
    result.bytes += size;
    result.largest = std::max(result.largest, size);
  }
  HostMemory memory(result.bytes, device.is_cuda());
  std::map<int64_t, c10::IValue> marks;
  for (const auto& [constant, block] : waiting) {
    requireNotCancelled();
    auto& mark = marks[block];
    if (mark.isNone()) mark = c10::IValue(c10::make_intrusive<OffloadedBlock>(offload));
    constant->ival_(kMark, mark);
    if (device.is_cpu()) continue;
    const auto value = *torch::jit::toIValue(constant->output());
    std::vector<at::Tensor> kept;
    for (const auto& tensor : movableTensors(value)) kept.push_back(memory.keep(tensor));
    exchange(graph, constant->output(), movedConstant(value, kept));
  }
  for (Node* constant : placed) {
    const auto value = *torch::jit::toIValue(constant->output());
    auto tensors = movableTensors(value);
    for (auto& tensor : tensors) tensor = tensor.to(device);
    exchange(graph, constant->output(), movedConstant(value, tensors));
  }
  return result;
}

void keepOffloadMark(const Node* from, Node* to) {
  if (from->hasAttribute(kMark)) to->ival_(kMark, from->ival(kMark));
}

void bringOffloaded(Graph& graph) {
  std::vector<Node*> marked;
  for (Node* constant : constantsOf(graph)) {
    if (constant->hasAttribute(kMark)) marked.push_back(constant);
  }
  auto readers = readersIn(graph, marked);
  auto readings = readingsOf(readers);
  std::vector<Value*> weights;
  c10::intrusive_ptr<OffloadedWeights> before;
  {
    const WithInsertPoint guard(graph.block()->nodes().front());
    for (const auto& reading : readings) {
      std::vector<c10::IValue> constants;
      for (const Value* constant : reading.constants) constants.push_back(*torch::jit::toIValue(constant));
      auto made = c10::make_intrusive<OffloadedWeights>(blockOf(reading.constants.front()->node())->offload,
                                                        std::move(constants));
      if (before) before->precede(*made);
      before = made;
      weights.push_back(graph.insertConstant(c10::IValue(std::move(made))));
    }
  }
  static const auto kind = c10::Symbol::fromQualString(std::string(kNamespace) + "::offloaded");
  for (const auto& reader : readers) {
    const WithInsertPoint guard(reader.node);
    for (const auto& [constant, uses] : reader.uses) {
      Value* index = graph.insertConstant(readings[reader.reading].indexOf(constant));
      Node* brought = graph.create(kind, {weights[reader.reading], index});
      graph.insertNode(brought);
      brought->output()->setType(constant->type());
      for (const auto& use : uses) use.user->replaceInput(use.offset, brought->output());
    }
  }
  for (Node* constant : marked) constant->destroy();
}

void defineOffloadMark(torch::Library& library) { library.class_<OffloadedBlock>("OffloadedBlock"); }

}  // namespace dg
