// Models of forms that rewriting could take for others: what is made of them gives what the plain model gives, and a
// hook that only looks, at any place, changes no bit.
#include <ATen/Functions.h>

#include <limits>

#include "native/core/model/forward.h"
#include "native/core/operators/avx512.h"
#include "test/native/packed_dtypes.h"
#include "test/native/product_ways.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

// A block that gives `result` of the hidden state x and y = linear(x); `inner` is a submodule's result of its x.
struct Form {
  const char *inner, *result;
};

const Form kTwoGelus{"torch.gelu(x, approximate='tanh')",
                     "x + torch.linear(torch.gelu(self.inner.forward(y), approximate='tanh'), self.weight, self.bias)"};
const Form kTwoSilus{"torch.silu(x)", "x + torch.linear(torch.silu(self.inner.forward(y)), self.weight, self.bias)"};
const Form kComplex{
    "torch.rms_norm(x, [8], self.scale, 1e-06)",
    "x + torch.view_as_real(torch.view_as_complex("
    "self.inner.forward(y).float().reshape([x.size(0), x.size(1), 4, 2])) * 2.0).flatten(2).type_as(x)"};
const Form kWideNorm{"torch.rms_norm(x, [8], self.scale, 1e-06)",
                     "x + torch.linear(self.inner.forward(y.float()).to(x.dtype), self.weight, self.bias)"};
const Form kEinsum{"x.float().matmul(x.float().transpose(1, 2)).softmax(-1)",
                   "x + torch.einsum('bts,bsd->btd', [self.inner.forward(x), y])"};
const Form kBiasOfTokens{"x", "x + torch.gelu(torch.linear(y, self.weight, self.rows), approximate='tanh')"};
const Form kTanh{"x", "x + torch.linear(torch.tanh(y), self.weight, self.bias)"};
// As tracing leaves a cast to the dtype of the weights, bfloat16 (15).
const Form kCast{"x", "x + torch.linear(torch.tanh(y).to(15), self.weight, self.bias)"};
const std::vector<Form> kForms{kTwoGelus, kTwoSilus, kComplex, kWideNorm, kEinsum, kBiasOfTokens};

torch::jit::Module moduleOf(const Form& form) {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module root("__torch__.FormRoot", unit, true), container("__torch__.FormBlocks", unit, true);
  torch::jit::Module block("__torch__.FormBlock", unit, true), inner("__torch__.FormInner", unit, true);
  at::manual_seed(3);
  inner.register_parameter("scale", at::rand({8}) + 0.5, false);
  inner.define(std::string("def forward(self, x: Tensor) -> Tensor:\n    return ") + form.inner + "\n");
  block.register_module("inner", inner);
  block.register_parameter("first", at::randn({8, 8}), false);
  block.register_parameter("weight", at::randn({8, 8}) * 0.3, false);
  block.register_parameter("bias", at::randn({8}), false);
  block.register_parameter("rows", at::randn({1, 8}), false);
  block.define(
      std::string("def forward(self, x: Tensor) -> Tensor:\n    y = torch.linear(x, self.first, self.bias)\n") +
      "    return " + form.result + "\n");
  container.register_module("only", block);
  root.register_module("blocks", container);
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return self.blocks.only.forward(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape([x.size(0), 8, 2, 2])
  )JIT");
  return root;
}

struct FormModel {
  FormModel(const torch::jit::Module& module, at::ScalarType dtype, bool rewritten, bool inEightBits = false) {
    module.save(file);
    auto options = test::toyOptions(file);
    options.dtype = dtype;
    if (!rewritten) options.fuse = std::vector<std::string>();
    if (inEightBits) options.quantise = Quantisation();
    model = Model::load(options);
  }
  ~FormModel() { std::filesystem::remove(file); }

  at::Tensor forward(const at::Tensor& x, const std::vector<Hook>& hooks = {}) const {
    return forwardWithHooks(*model, {x, at::ones({x.size(0)}), at::ones({x.size(0)}, at::kLong)}, hooks)
        .output.to(at::kFloat);
  }

  std::string file = test::temporaryFile("forms.pt");
  std::unique_ptr<Model> model;
};

const auto kInput = gaussian(6, {3, 8, 2, 2});

void requireAlike(const at::Tensor& found, const at::Tensor& wanted, double tolerance) {
  REQUIRE(((found - wanted).abs().max() <= wanted.abs().max() * tolerance).item<bool>());
}

void requireThatLookingChangesNothing(const FormModel& form, const at::Tensor& before) {
  for (size_t site = 0; site < form.model->flat().sites.size(); ++site) {
    CAPTURE(form.model->flat().sites[site].path);
    Hook hook;
    hook.capture = true;
    hook.sites = {static_cast<int64_t>(site)};
    REQUIRE(form.forward(kInput, {hook}).equal(before));
  }
}

}  // namespace

TEST_CASE_IN_EACH_WAY("a model of any form gives what it gives unrewritten, whatever is looked at") {
  for (size_t i = 0; i < kForms.size(); ++i) {
    CAPTURE(i);
    const auto module = moduleOf(kForms[i]);
    const auto exact = FormModel(module, at::kFloat, false).forward(kInput);
    for (const auto dtype : test::packedDtypes()) {
      for (const bool inEightBits : {false, true}) {
        if (inEightBits && !hasVnni()) continue;
        CAPTURE(inEightBits);
        const FormModel form(module, dtype, true, inEightBits);
        const auto found = form.forward(kInput);
        requireAlike(found, exact, inEightBits || dtype == at::kBFloat16 ? 2e-2 : 1e-5);
        requireThatLookingChangesNothing(form, found);
      }
    }
  }
}

TEST_CASE("a model that was exported in another dtype is loaded in float32") {
  for (const auto stored : {at::kBFloat16, at::kHalf, at::kDouble}) {
    const auto exact = FormModel(moduleOf(kTanh), at::kFloat, false).forward(kInput);
    auto module = moduleOf(kCast);
    module.to(stored);
    requireAlike(FormModel(module, at::kFloat, true).forward(kInput), exact, 1e-2);
  }
}

TEST_CASE("an input whose result is not finite decides nothing for those that follow") {
  const auto module = moduleOf(kTwoSilus);
  for (const auto dtype : test::packedDtypes()) {
    const FormModel form(module, dtype, true);
    const auto expected = FormModel(module, dtype, true).forward(kInput);
    form.forward(at::full_like(kInput, std::numeric_limits<float>::quiet_NaN()));
    REQUIRE(form.model->fusionCounts().empty());
    REQUIRE(!form.model->fusionFinding().empty());
    REQUIRE(form.forward(kInput).equal(expected));
    REQUIRE(form.model->fusionCounts().at("pack") == 2);
    REQUIRE(form.model->fusionFinding().empty());
  }
}
