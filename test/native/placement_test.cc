// A model waits for its device nowhere. It is run on libtorch's meta device, whose tensors have shapes and no values:
// whatever asks for a number, or mixes devices where CUDA would not allow it, fails there.
// Another model: DETAIL_GUIDANCE_PLACEMENT="FILE float:2,16,8,8 long:2 ..." with inputs of these dtypes and shapes,
// and DETAIL_GUIDANCE_PLACEMENT_BLOCKS="blocks.*" with the paths of its blocks, whose weights wait on the CPU then.
#include <ATen/Functions.h>
#include <torch/csrc/jit/ir/irparser.h>
#include <torch/library.h>
#include <torch/script.h>

#include <sstream>
#include <string>
#include <vector>

#include "native/core/archive/open.h"
#include "native/core/graph/flatten.h"
#include "native/core/graph/offload.h"
#include "native/core/graph/place_constants.h"
#include "native/core/graph/precision.h"
#include "native/core/graph/program.h"
#include "native/core/graph/quantise.h"
#include "native/core/model/operator_library.h"
#include "native/core/model/weights.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

// "float:2,16,8,8": on the meta device, floats in the model's dtype.
c10::IValue inputOf(const std::string& text, at::ScalarType dtype) {
  const auto colon = text.find(':');
  std::vector<int64_t> sizes;
  std::istringstream numbers(colon == std::string::npos ? "" : text.substr(colon + 1));
  for (std::string number; std::getline(numbers, number, ',');) sizes.push_back(std::stoll(number));
  const bool isWhole = text.rfind("long", 0) == 0, isWide = text.rfind("float32", 0) == 0;
  return at::empty(sizes, at::TensorOptions(isWhole ? at::kLong : isWide ? at::kFloat : dtype).device(at::kMeta));
}

// Of some operators only Python knows what shape they give on the meta device. Here the CPU says it, of zeros.
c10::IValue moved(const c10::IValue& value, at::Device device) {
  if (!value.isTensor() || !value.toTensor().defined() || value.toTensor().device() == device) return value;
  return device.is_cpu() ? at::zeros_like(value.toTensor(), at::TensorOptions(device)) : value.toTensor().to(device);
}

void askCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  for (auto& argument : *stack) {
    if (argument.isTensor() && argument.toTensor().is_cpu() && argument.toTensor().dim() > 0) {
      throw std::runtime_error(op.schema().name() + " has tensors of two devices");
    }
    argument = moved(argument, at::kCPU);
  }
  op.callBoxed(stack);
  for (auto& result : *stack) result = moved(result, at::kMeta);
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef outputPadding, int64_t groups) {
  const auto zeros = [](const at::Tensor& like) { return at::zeros_like(like, at::TensorOptions(at::kCPU)); };
  return at::convolution(zeros(x), zeros(weight), bias ? std::optional(zeros(*bias)) : std::nullopt, stride, padding,
                         dilation, transposed, outputPadding, groups)
      .to(at::kMeta);
}

// `waiting`: blocks whose weights wait on the CPU. One that the program read there would meet a tensor of the device.
void runs(const torch::jit::Module& module, const std::vector<std::string>& inputs, at::ScalarType dtype,
          const std::vector<BlockPattern>& waiting = {}) {
  const auto size = moveWeights(module, at::kMeta, dtype, waiting);
  // The audit knows no meta tensors; the file has been audited when it was opened.
  auto flat = waiting.empty() ? flattenPlain(module, at::kMeta, /*allowAllOperators=*/true)
                              : flatten(module, waiting, at::kMeta, /*allowAllOperators=*/true, size.waiting);
  const auto offload = std::make_shared<BlockOffload>(at::kMeta);
  if (!waiting.empty()) {
    const auto offloaded = offloadBlocks(*flat.graph, flat.sites, at::kMeta, size.waiting, offload);
    REQUIRE(offloaded.blocks == flat.blocks);
  }
  if (dtype != at::kFloat) matchPrecision(flat.graph);
  const auto fusions = Fusions::forDevice(at::Device("cuda:0"), at::kFloat);
  Values given;
  for (const auto& input : inputs) given.push_back(inputOf(input, dtype));
  REQUIRE_NOTHROW(Program(selectTaps(flat, {}, fusions)).run(given));
  REQUIRE((offload->use().brought > 0) == !waiting.empty());
}

void runs(const std::string& file, const std::vector<std::string>& inputs,
          const std::vector<BlockPattern>& waiting = {}) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) runs(openArchive(file, false), inputs, dtype, waiting);
}

std::vector<std::string> wordsOf(const char* text) {
  std::istringstream words(text == nullptr ? "" : text);
  return {std::istream_iterator<std::string>(words), {}};
}

// What tracing leaves of `x.reshape(x.shape[0] // 2, -1) * 3`: the sizes are tensors on the CPU, and so has to be the
// constant they are divided by; the one that the values are multiplied with may be anywhere.
constexpr const char* kHalved = R"IR(
graph(%self, %x : Tensor, %number : Tensor):
  %zero : int = prim::Constant[value=0]()
  %last : int = prim::Constant[value=-1]()
  %size : int = aten::size(%x, %zero)
  %rows : Tensor = prim::NumToTensor(%size)
  %half : Tensor = aten::floor_divide(%rows, %number)
  %count : int = aten::Int(%half)
  %shape : int[] = prim::ListConstruct(%count, %last)
  %halved : Tensor = aten::reshape(%x, %shape)
  %out : Tensor = aten::mul(%halved, %number)
  return (%out))IR";

torch::jit::Module tracedArithmetic() {
  auto graph = std::make_shared<torch::jit::Graph>();
  torch::jit::parseIR(kHalved, graph.get());
  {
    torch::jit::WithInsertPoint guard(graph->block()->nodes().front());
    graph->inputs()[2]->replaceAllUsesWith(graph->insertConstant(at::scalar_tensor(2, at::kLong)));
  }
  graph->eraseInput(2);
  torch::jit::Module module("__torch__.Halving");
  graph->inputs()[0]->setType(module.type());
  auto* function = module._ivalue()->compilation_unit()->create_function("__torch__.Halving.forward", graph);
  module.type()->addMethod(function);
  return module;
}

// The embedded model with layers that are quantised for a GPU, as Model::load prepares it.
void runsQuantised(QuantisedProduct product, WeightFormat format, ActivationScope scope) {
  auto module = openArchive("models/embedded/transformer.pt", false);
  moveWeights(module, at::kCPU, at::kBFloat16);
  auto flat = flatten(module, {{"blocks.*", {"image"}}}, at::kCPU, /*allowAllOperators=*/false);
  Quantisation quantisation;
  quantisation.format = format;
  quantisation.scope = scope;
  quantisation.channels = {3, 40};
  const WeightNames names(module);
  module = torch::jit::Module();
  const auto report = quantiseLinears(*flat.graph, flat.sites, names, {true, false, false}, quantisation,
                                      {product, at::kMeta, at::kMeta, at::kBFloat16});
  REQUIRE(report.layers.size() == 32);
  placeConstants(*flat.graph, at::kMeta, {});
  matchPrecision(flat.graph);
  const auto fusions = Fusions::forDevice(at::Device("cuda:0"), at::kBFloat16);
  const Values given{inputOf("float:2,1,28,28", at::kBFloat16), inputOf("float32:2", at::kBFloat16),
                     inputOf("long:2", at::kBFloat16)};
  REQUIRE_NOTHROW(Program(selectTaps(flat, {}, fusions)).run(given));
}

// What the meta device lacks, for the length of a test case.
struct Meta {
  Meta() {
    // While a graph is prepared, equal constants become one.
    library.impl("equal", [](const at::Tensor& a, const at::Tensor& b) { return a.is_same(b); });
    library.impl("convolution_overrideable", convolution);
    for (const char* name : {"_int_mm", "_scaled_mm", "abs", "logical_and", "nan_to_num", "index_fill_.int_Scalar",
                             "index_select", "native_batch_norm", "scaled_dot_product_attention", "where.self"}) {
      library.impl(name, torch::CppFunction::makeFromBoxedFunction<&askCpu>());
    }
  }

  torch::Library library{torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__};
};

}  // namespace

TEST_CASE("the embedded model waits for nothing") {
  const Meta meta;
  runs("models/embedded/transformer.pt", {"float:2,1,28,28", "float32:2", "long:2"});
}

TEST_CASE("quantised layers wait for nothing, and leave nothing on the CPU") {
  registerOperators();
  const Meta meta;
  for (const auto scope : {ActivationScope::token, ActivationScope::picture}) {
    runsQuantised(QuantisedProduct::intMatmul, WeightFormat::int8, scope);
    runsQuantised(QuantisedProduct::scaledMatmul, WeightFormat::float8, scope);
  }
  runsQuantised(QuantisedProduct::dequantised, WeightFormat::int8, ActivationScope::none);
}

TEST_CASE("weights that wait on the host are read on the device alone") {
  const Meta meta;
  runs("models/embedded/transformer.pt", {"float:2,1,28,28", "float32:2", "long:2"}, {{"blocks.*", {"image"}}});
}

TEST_CASE("a trace that computes with sizes") {
  const Meta meta;
  runs(tracedArithmetic(), {"float:4,6"}, at::kFloat);
}

TEST_CASE("a model of the caller's") {
  const char* given = std::getenv("DETAIL_GUIDANCE_PLACEMENT");
  if (given == nullptr) return;
  const Meta meta;
  auto inputs = wordsOf(given);
  const auto file = inputs.front();
  inputs.erase(inputs.begin());
  runs(file, inputs);
  std::vector<BlockPattern> blocks;
  for (const auto& path : wordsOf(std::getenv("DETAIL_GUIDANCE_PLACEMENT_BLOCKS"))) blocks.push_back({path, {"image"}});
  if (!blocks.empty()) runs(file, inputs, blocks);
}

TEST_CASE("the meta device refuses to give a number") {
  const Meta meta;
  torch::jit::Module asks("__torch__.Asks");
  asks.define("def forward(self, x: Tensor) -> Tensor:\n    return x * int(x.sum())\n");
  moveWeights(asks, at::kMeta, at::kFloat);
  const auto flat = flattenPlain(asks, at::kMeta, /*allowAllOperators=*/true);
  REQUIRE_CODE("MODEL_FAILED", Program(selectTaps(flat, {}, {})).run({inputOf("float:2", at::kFloat)}));
}
