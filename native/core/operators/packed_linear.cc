#include "native/core/operators/packed_linear.h"

#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <utility>

#include "native/core/operators/layer_bias.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/number_type.h"
#include "native/core/operators/panels.h"
#include "native/core/operators/threads.h"
#include "native/core/operators/tile_product.h"

namespace dg {
namespace {

// oneDNN's operators are not among at::'s functions.
at::Tensor call(const char* name, torch::jit::Stack stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
  return stack.at(0).toTensor();
}

at::Tensor oneDnnProduct(const at::Tensor& x, const at::Tensor& packed, const std::optional<at::Tensor>& bias,
                         const char* activation, const char* algorithm) {
  if (x.dim() > 0 && x.numel() == x.size(-1)) {
    // Of one row alone oneDNN adds in another order than of many.
    auto sizes = x.sizes().vec();
    sizes.back() = packed.size(0);
    const auto twice = x.reshape({1, x.size(-1)}).repeat({2, 1});
    return oneDnnProduct(twice, packed, bias, activation, algorithm).narrow(0, 0, 1).reshape(sizes);
  }
  const ThreadsFor product(workOfProduct(x.numel(), packed.size(0)));
  const c10::List<std::optional<at::Scalar>> scalars;
  const auto algorithmValue = algorithm == nullptr ? c10::IValue() : c10::IValue(algorithm);
  return call("mkldnn::_linear_pointwise", {x, packed, bias, activation, scalars, algorithmValue});
}

// libtorch has another kernel for a single number, of other last bits.
at::Tensor geluByErf(const at::Tensor& x) {
  if (x.numel() != 1) return at::gelu(x);
  return at::gelu(x.reshape({1}).repeat({2})).narrow(0, 0, 1).reshape(x.sizes());
}

at::Tensor activated(const at::Tensor& x, const std::string& activation) {
  if (activation == "gelu") return geluByErf(x);
  if (activation == "gelu_tanh") return at::gelu(x, "tanh");
  return activation == "swish" ? at::silu(x) : x;
}

// T: the weight's dtype.
template <typename T>
at::Tensor ownProductOf(const at::Tensor& x, const PackedWeight& weight, const std::optional<at::Tensor>& bias,
                        const std::string& activation, const Residual& residual = {},
                        const ModulatedRows<T>* modulated = nullptr) {
  const int64_t inputs = weight.inputs();
  const auto dtype = weight.dtype();
  TORCH_CHECK(x.scalar_type() == dtype && x.dim() > 0 && x.size(-1) == inputs, "packed_linear: expected ", inputs,
              " channels in ", dtype, ", received ", x.sizes(), " in ", x.scalar_type());
  const ThreadsFor product(workOfProduct(x.numel(), weight.outputs()));
  const auto rows = x.reshape({-1, inputs}).contiguous();
  // at::linear takes one number for all outputs as well.
  const auto offset = bias ? bias->to(dtype).expand({weight.outputs()}).contiguous() : at::Tensor();
  // erf has no loop here: its argument is written in float32.
  const bool isErf = activation == "gelu";
  const auto kind = activation == "gelu_tanh" ? Activation::geluTanh
                    : activation == "swish"   ? Activation::swish
                                              : Activation::none;
  auto sizes = x.sizes().vec();
  sizes.back() = weight.outputs();
  auto out = at::empty(sizes, x.options().dtype(isErf ? at::kFloat : dtype));
  const TileProduct<T> tiles{.rows = rows.size(0),
                             .inputs = inputs,
                             .outputs = weight.outputs(),
                             .x = rows.const_data_ptr<T>(),
                             .panels = weight.packed().const_data_ptr(),
                             .bias = offset.defined() ? offset.const_data_ptr<T>() : nullptr,
                             .activation = kind,
                             .residual = residual,
                             .modulated = modulated};
  if (!isErf) {
    multiply(tiles, out.data_ptr<T>());
    return out;
  }
  multiply(tiles, out.data_ptr<float>());
  return geluByErf(out).to(dtype);
}

at::Tensor ownProduct(const at::Tensor& x, const PackedWeight& weight, const std::optional<at::Tensor>& bias,
                      const std::string& activation, const Residual& residual = {}) {
  return withNumber(weight.dtype(),
                    [&](auto as) { return ownProductOf<decltype(as)>(x, weight, bias, activation, residual); });
}

}  // namespace

PackedWeight::PackedWeight(const at::Tensor& plain)
    : dtype_(plain.scalar_type()),
      outputs_(plain.size(0)),
      inputs_(plain.size(1)),
      isInPanels_(hasTileProduct(dtype_, inputs_)) {
  if (isInPanels_) {
    const int64_t rowBytes = inputs_ * plain.element_size();
    packed_ = at::empty({panelBytes(outputs_, rowBytes)}, at::kByte);
    packPanels(packed_.data_ptr(), plain.contiguous().const_data_ptr(), outputs_, rowBytes);
  } else {
    // Of one output oneDNN adds in another order for a row alone than for many: it is there twice.
    const auto given = outputs_ == 1 ? plain.repeat({2, 1}) : plain;
    packed_ = call("mkldnn::_reorder_linear_weight", {given, c10::IValue()});
    // A product of its own kind says whether there is one.
    oneDnnProduct(at::zeros({1, inputs_}, plain.options()), packed_, std::nullopt, "none", nullptr);
  }
}

at::Tensor PackedWeight::plain() const {
  if (!isInPanels_) return packed_.to_dense().narrow(0, 0, outputs_).contiguous();
  auto plain = at::empty({outputs_, inputs_}, dtype_);
  unpackPanels(plain.data_ptr(), packed_.const_data_ptr(), outputs_, inputs_ * plain.element_size());
  return plain;
}

c10::IValue PackedWeight::on(const std::vector<at::Tensor>& tensors) const {
  auto moved = c10::make_intrusive<PackedWeight>(*this);
  moved->packed_ = tensors.at(0);
  return c10::IValue(std::move(moved));
}

at::Tensor packedLinear(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                        const std::optional<at::Tensor>& bias, const std::string& activation) {
  if (!isOfOutputs(bias)) return activated(packedLinear(x, weight, std::nullopt, "none") + *bias, activation);
  if (weight->isInPanels()) return ownProduct(x, *weight, bias, activation);
  const bool isOne = weight->outputs() == 1;
  const auto offset = isOne && bias ? bias->expand({1}).repeat({2}) : bias;
  const bool isGelu = activation == "gelu" || activation == "gelu_tanh";
  const char* algorithm = activation == "gelu" ? "none" : activation == "gelu_tanh" ? "tanh" : nullptr;
  const char* name = isGelu ? "gelu" : activation == "swish" ? "swish" : "none";
  const auto product = oneDnnProduct(x, weight->packed(), offset, name, algorithm);
  return isOne ? product.narrow(-1, 0, 1).contiguous() : product;
}

at::Tensor packedResidual(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                          const std::optional<at::Tensor>& bias, const at::Tensor& hidden, const at::Tensor& gate) {
  if (weight->isInPanels() && x.dim() == hidden.dim() && isOfOutputs(bias)) {
    auto sizes = x.sizes().vec();
    sizes.back() = weight->outputs();
    if (const auto residual = residualOf(hidden, gate, sizes, weight->dtype())) {
      return ownProduct(x, *weight, bias, "none", *residual);
    }
  }
  return gatedResidual(hidden, gate, packedLinear(x, weight, bias, "none"));
}

at::Tensor packedModulated(const at::Tensor& hidden, at::IntArrayRef normalizedShape,
                           const std::optional<at::Tensor>& normWeight, const std::optional<at::Tensor>& normBias,
                           double eps, const at::Tensor& scale, const at::Tensor& shift,
                           const c10::intrusive_ptr<PackedWeight>& weight, const std::optional<at::Tensor>& bias,
                           const std::string& activation) {
  const auto x = hidden.contiguous();
  const auto inOnePass = [&](auto as) -> std::optional<at::Tensor> {
    using T = decltype(as);
    const auto rows = modulatedRows<T>(x, normalizedShape, normWeight, normBias, eps, scale, shift);
    return rows ? std::optional(ownProductOf<T>(x, *weight, bias, activation, {}, &*rows)) : std::nullopt;
  };
  if (weight->isInPanels() && isOfOutputs(bias)) {
    if (const auto done = withNumber(weight->dtype(), inOnePass)) return *done;
  }
  return packedLinear(modulatedLayerNorm(x, normalizedShape, normWeight, normBias, eps, scale, shift), weight, bias,
                      activation);
}

at::Tensor packedActivation(const at::Tensor& x, const c10::intrusive_ptr<PackedWeight>& weight,
                            const std::optional<at::Tensor>& bias, const at::Tensor& product, const at::Tensor& tapped,
                            const std::string& activation) {
  return tapped.is_same(product) ? packedLinear(x, weight, bias, activation) : activated(tapped, activation);
}

}  // namespace dg
