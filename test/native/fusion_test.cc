// Chains are found in the graphs that tracing leaves, and give what the separate operators give.
#include "native/core/graph/fusion.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/ir/irparser.h>

#include "native/core/graph/pack.h"
#include "native/core/graph/program.h"
#include "native/core/operators/norm_rotary.h"
#include "native/core/sampling/update.h"
#include "test/native/packed_dtypes.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

// RMSNorm as SD3's processor spells it, then the rotation of Flux's.
constexpr const char* kAttention = R"IR(
graph(%x : Tensor, %cos : Tensor, %sin : Tensor, %weight : Tensor):
  %false : bool = prim::Constant[value=0]()
  %true : bool = prim::Constant[value=1]()
  %none : NoneType = prim::Constant()
  %float : int = prim::Constant[value=6]()
  %one : int = prim::Constant[value=1]()
  %two : int = prim::Constant[value=2]()
  %three : int = prim::Constant[value=3]()
  %zero : int = prim::Constant[value=0]()
  %last : int = prim::Constant[value=-1]()
  %eps : float = prim::Constant[value=1e-06]()
  %wide : Tensor = aten::to(%x, %float, %false, %false, %none)
  %squares : Tensor = aten::pow(%wide, %two)
  %axes : int[] = prim::ListConstruct(%last)
  %mean : Tensor = aten::mean(%squares, %axes, %true, %none)
  %sum : Tensor = aten::add(%mean, %eps, %one)
  %root : Tensor = aten::rsqrt(%sum)
  %plain : Tensor = aten::mul(%wide, %root)
  %normed : Tensor = aten::mul(%plain, %weight)
  %b : int = aten::size(%normed, %zero)
  %s : int = aten::size(%normed, %one)
  %h : int = aten::size(%normed, %two)
  %shape : int[] = prim::ListConstruct(%b, %s, %h, %last, %two)
  %pairs : Tensor = aten::reshape(%normed, %shape)
  %halves : Tensor[] = aten::unbind(%pairs, %last)
  %real : Tensor, %imag : Tensor = prim::ListUnpack(%halves)
  %minus : Tensor = aten::neg(%imag)
  %turned : Tensor[] = prim::ListConstruct(%minus, %real)
  %stacked : Tensor = aten::stack(%turned, %last)
  %rotated : Tensor = aten::flatten(%stacked, %three, %last)
  %a : Tensor = aten::to(%normed, %float, %false, %false, %none)
  %ac : Tensor = aten::mul(%a, %cos)
  %r : Tensor = aten::to(%rotated, %float, %false, %false, %none)
  %rs : Tensor = aten::mul(%r, %sin)
  %out : Tensor = aten::add(%ac, %rs, %one)
  %back : Tensor = aten::to(%out, %float, %false, %false, %none)
  return (%back))IR";

constexpr const char* kFeedForward = R"IR(
graph(%x : Tensor, %weight : Tensor, %bias : Tensor):
  %two : int = prim::Constant[value=2]()
  %last : int = prim::Constant[value=-1]()
  %tanh : str = prim::Constant[value="tanh"]()
  %projected : Tensor = aten::linear(%x, %weight, %bias)
  %active : Tensor = aten::gelu(%projected, %tanh)
  %halves : Tensor[] = aten::chunk(%active, %two, %last)
  %a : Tensor, %b : Tensor = prim::ListUnpack(%halves)
  %gate : Tensor = aten::silu(%b)
  %out : Tensor = aten::mul(%a, %gate)
  return (%out))IR";

// A branch of a DiT block: LN(x) · scale + shift, a linear layer, and x + gate · branch.
constexpr const char* kBranch = R"IR(
graph(%x : Tensor, %scale : Tensor, %shift : Tensor, %gate : Tensor, %weight : Tensor, %bias : Tensor):
  %none : NoneType = prim::Constant()
  %false : bool = prim::Constant[value=0]()
  %one : int = prim::Constant[value=1]()
  %channels : int = prim::Constant[value=24]()
  %eps : float = prim::Constant[value=1e-06]()
  %shape : int[] = prim::ListConstruct(%channels)
  %norm : Tensor = aten::layer_norm(%x, %shape, %none, %none, %eps, %false)
  %scaled : Tensor = aten::mul(%norm, %scale)
  %modulated : Tensor = aten::add(%scaled, %shift, %one)
  %branch : Tensor = aten::linear(%modulated, %weight, %bias)
  %gated : Tensor = aten::mul(%gate, %branch)
  %out : Tensor = aten::add(%x, %gated, %one)
  return (%out))IR";

std::shared_ptr<torch::jit::Graph> parse(const std::string& text) {
  auto graph = std::make_shared<torch::jit::Graph>();
  torch::jit::parseIR(text, graph.get());
  return graph;
}

// The weight of the norm, which a flattened model holds as a constant.
std::shared_ptr<torch::jit::Graph> attention(const at::Tensor& weight, bool epsilonIsTensor = false) {
  auto graph = parse(kAttention);
  torch::jit::WithInsertPoint guard(graph->block()->nodes().front());
  auto* constant = graph->insertConstant(weight);
  graph->inputs()[3]->replaceAllUsesWith(constant);
  graph->eraseInput(3);
  for (auto* node : graph->nodes()) {
    if (!epsilonIsTensor || node->kind() != c10::aten::rsqrt) continue;
    node->input(0)->node()->replaceInput(1, graph->insertConstant(at::scalar_tensor(1e-6, at::kDouble)));
  }
  return graph;
}

at::Tensor outputOf(const std::shared_ptr<torch::jit::Graph>& graph, const Values& inputs) {
  return Program(graph).run(inputs).at(0).toTensor();
}

}  // namespace

TEST_CASE("norm and rotation of an attention's queries become one") {
  const c10::InferenceMode inference;
  const auto weight = at::randn({16});
  const Values inputs{at::randn({2, 9, 3, 16}), at::randn({1, 9, 1, 16}), at::randn({1, 9, 1, 16})};
  auto graph = attention(weight);
  const auto expected = outputOf(graph, inputs);
  fuse(graph, Fusions::named({"rotary"}));
  REQUIRE(countFusions(*graph) == (std::map<std::string, int64_t>{{"rotary", 1}}));  // both in one
  REQUIRE(at::allclose(outputOf(graph, inputs), expected, 1e-6, 1e-6));
  // Half of a rotation looks like a gated residual, and an epsilon may have become a tensor in tracing.
  auto all = attention(weight, /*epsilonIsTensor=*/true);
  fuse(all, Fusions::named({"residual", "rotary"}));
  REQUIRE(countFusions(*all) == (std::map<std::string, int64_t>{{"rotary", 1}}));
  REQUIRE(at::allclose(outputOf(all, inputs), expected, 1e-6, 1e-6));
  // Off is off.
  auto untouched = attention(weight);
  fuse(untouched, Fusions{});
  REQUIRE(countFusions(*untouched).empty());
}

TEST_CASE("the rotation rounds as the separate operators do") {
  for (const int64_t channels : {2, 16, 64}) {
    const auto x = at::randn({2, 7, 3, channels});
    const auto cosine = at::randn({1, 7, 1, channels}), sine = at::randn({1, 7, 1, channels});
    const auto pairs = x.unflatten(-1, {-1, 2}).unbind(-1);
    const auto rotated = at::stack({-pairs[1], pairs[0]}, -1).flatten(-2);
    REQUIRE(normRotary(x, {}, {}, cosine, sine).equal(x * cosine + rotated * sine));
    const auto strided = x.transpose(1, 2);  // the separate operators
    REQUIRE(normRotary(strided, {}, {}, cosine.transpose(1, 2), sine.transpose(1, 2))
                .equal((x * cosine + rotated * sine).transpose(1, 2)));
  }
}

TEST_CASE(
    "a packed layer adds itself to the hidden state; what somebody looks at stays apart and gives the same bits") {
  at::manual_seed(8);
  for (const auto dtype : test::packedDtypes()) {
    const auto random = [dtype](at::IntArrayRef sizes) { return at::randn(sizes).to(dtype); };
    const Values inputs{random({2, 9, 24}), random({2, 1, 24}), random({2, 1, 24}), random({2, 1, 24})};
    const auto weight = random({24, 24}), bias = random({24});
    const auto made = [&](const std::vector<std::string>& kinds, const std::vector<std::string>& alsoSeen) {
      auto graph = parse(kBranch);
      torch::jit::WithInsertPoint guard(graph->block()->nodes().front());
      graph->inputs()[5]->replaceAllUsesWith(graph->insertConstant(bias));
      graph->inputs()[4]->replaceAllUsesWith(graph->insertConstant(weight));
      graph->eraseInput(5);
      graph->eraseInput(4);
      for (const auto& name : alsoSeen) {
        for (auto* node : graph->nodes()) {
          if (node->output()->debugName() == name) graph->registerOutput(node->output());
        }
      }
      packLinears(*graph);
      fuse(graph, Fusions::named(kinds));
      return graph;
    };
    const std::vector<std::string> all{"modulation", "residual", "pack"};
    const auto graph = made(all, {});
    REQUIRE(countFusions(*graph) == (std::map<std::string, int64_t>{{"modulation", 1}, {"residual", 1}, {"pack", 1}}));
    const auto found = outputOf(graph, inputs);
    REQUIRE(outputOf(made({"modulation", "pack"}, {}), inputs).equal(found));
    for (const auto* name : {"norm", "scaled", "modulated", "branch", "gated"}) {
      CAPTURE(name);
      REQUIRE(outputOf(made(all, {name}), inputs).equal(found));
    }
  }
}

TEST_CASE("the activations of a feed-forward layer") {
  const Values inputs{at::randn({2, 5, 8}), at::randn({16, 8}), at::randn({16})};
  auto graph = parse(kFeedForward);
  const auto expected = outputOf(graph, inputs);
  fuse(graph, Fusions::named({"gelu", "swiglu"}));
  REQUIRE(countFusions(*graph) == (std::map<std::string, int64_t>{{"gelu", 1}, {"swiglu", 1}}));
  REQUIRE(outputOf(graph, inputs).equal(expected));
}

TEST_CASE("guidance sum and sampler update are one operator") {
  Step step;
  step.weights = {3, 0, -1.5};
  step.sample = 0.75;
  step.outputs = {-0.2, 0.05};
  const std::vector<at::Tensor> predictions{at::randn({2, 4}), at::Tensor(), at::randn({2, 4})};
  const auto x = at::randn({2, 4});
  const std::deque<at::Tensor> history{at::randn({2, 4})};
  const auto [guided, next] = guideAndAdvance(predictions, step, x, history);
  REQUIRE(at::allclose(guided, predictions[0] * 3 - predictions[2] * 1.5));
  REQUIRE(at::allclose(next, x * 0.75 - guided * 0.2 + history[0] * 0.05));
}

TEST_CASE("kinds by name") {
  REQUIRE_CODE("BAD_OPTION", Fusions::named({"everything"}));
  REQUIRE(Fusions::named({"gelu", "update"}).names() == (std::vector<std::string>{"gelu", "update"}));
  REQUIRE(!Fusions::forDevice(at::kCPU, at::kFloat).gelu);
  REQUIRE(Fusions::forDevice(at::Device("cuda:0"), at::kFloat).gelu);
}
