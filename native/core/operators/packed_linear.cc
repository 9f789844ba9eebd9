#include "native/core/operators/packed_linear.h"

#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <utility>

namespace dg {
namespace {

// oneDNN's operators are not among at::'s functions.
at::Tensor call(const char* name, torch::jit::Stack stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
  return stack.at(0).toTensor();
}

at::Tensor product(const at::Tensor& x, const at::Tensor& packed, const std::optional<at::Tensor>& bias,
                   const char* activation, const char* algorithm) {
  const c10::List<std::optional<at::Scalar>> scalars;
  const auto algorithmValue = algorithm == nullptr ? c10::IValue() : c10::IValue(algorithm);
  return call("mkldnn::_linear_pointwise", {x, packed, bias, activation, scalars, algorithmValue});
}

at::Tensor activated(const at::Tensor& x, const std::string& activation) {
  if (activation == "gelu") return at::gelu(x);
  if (activation == "gelu_tanh") return at::gelu(x, "tanh");
  return activation == "swish" ? at::silu(x) : x;
}

}  // namespace

PackedWeight::PackedWeight(const at::Tensor& plain)
    : packed_(call("mkldnn::_reorder_linear_weight", {plain, c10::IValue()})) {
  // A product of its own kind says whether there is one.
  product(at::zeros({1, plain.size(1)}, plain.options()), packed_, std::nullopt, "none", nullptr);
}

at::Tensor PackedWeight::plain() const { return packed_.to_dense(); }

at::Tensor packedLinear(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                        const std::optional<at::Tensor>& bias, const std::string& activation) {
  if (activation == "gelu") return product(x, weight->packed(), bias, "gelu", "none");
  if (activation == "gelu_tanh") return product(x, weight->packed(), bias, "gelu", "tanh");
  return product(x, weight->packed(), bias, activation == "swish" ? "swish" : "none", nullptr);
}

at::Tensor packedActivation(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                            const std::optional<at::Tensor>& bias, const at::Tensor& product, const at::Tensor& tapped,
                            const std::string& activation) {
  return tapped.is_same(product) ? packedLinear(x, weight, bias, activation) : activated(tapped, activation);
}

}  // namespace dg
