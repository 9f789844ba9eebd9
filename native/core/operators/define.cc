#include "native/core/operators/define.h"

#include "native/core/operators/activation.h"
#include "native/core/operators/attention.h"
#include "native/core/operators/channel_statistics.h"
#include "native/core/operators/gelu.h"
#include "native/core/operators/guided_update.h"
#include "native/core/operators/layer_norm.h"
#include "native/core/operators/match_dtype.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/norm_rotary.h"
#include "native/core/operators/offloaded_weights.h"
#include "native/core/operators/packed_linear.h"
#include "native/core/operators/quantise_rows.h"
#include "native/core/operators/quantised_linear.h"

namespace dg {

void defineOperators(torch::Library& library) {
  library.def("match_dtype(Tensor(a) x, Tensor like) -> Tensor(a)", matchDtype);
  library.def("layer_norm(Tensor x, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> Tensor",
              layerNorm);
  library.def(
      "modulated_layer_norm(Tensor x, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps, Tensor scale, "
      "Tensor shift) -> Tensor",
      modulatedLayerNorm);
  library.def("gated_residual(Tensor x, Tensor a, Tensor b) -> Tensor", gatedResidual);
  library.def("norm_rotary(Tensor x, Tensor? weight, float? eps, Tensor? cosine, Tensor? sine) -> Tensor", normRotary);
  library.def("linear_gelu(Tensor x, Tensor weight, Tensor bias) -> Tensor", linearGelu);
  library.def("gated_silu(Tensor a, Tensor b) -> Tensor", gatedSilu);
  library.class_<PackedWeight>("PackedWeight");
  library.def(
      "packed_linear(Tensor x, __torch__.torch.classes.detail_guidance.PackedWeight weight, Tensor? bias, "
      "str activation) -> Tensor",
      packedLinear);
  library.def(
      "packed_activation(Tensor x, __torch__.torch.classes.detail_guidance.PackedWeight weight, Tensor? bias, "
      "Tensor product, Tensor tapped, str activation) -> Tensor",
      packedActivation);
  library.def(
      "packed_residual(Tensor x, __torch__.torch.classes.detail_guidance.PackedWeight weight, Tensor? bias, "
      "Tensor hidden, Tensor gate) -> Tensor",
      packedResidual);
  library.def(
      "packed_modulated(Tensor hidden, int[] normalized_shape, Tensor? norm_weight, Tensor? norm_bias, float eps, "
      "Tensor scale, Tensor shift, __torch__.torch.classes.detail_guidance.PackedWeight weight, Tensor? bias, "
      "str activation) -> Tensor",
      packedModulated);
  library.class_<QuantisedWeight>("QuantisedWeight");
  library.def(
      "quantised_linear(Tensor x, __torch__.torch.classes.detail_guidance.QuantisedWeight weight, Tensor? bias, "
      "str activation) -> Tensor",
      quantisedLinear);
  library.def(
      "quantised_residual(Tensor x, __torch__.torch.classes.detail_guidance.QuantisedWeight weight, Tensor? bias, "
      "Tensor hidden, Tensor gate) -> Tensor",
      quantisedResidual);
  library.def(
      "quantised_modulated(Tensor hidden, int[] normalized_shape, Tensor? norm_weight, Tensor? norm_bias, float eps, "
      "Tensor scale, Tensor shift, __torch__.torch.classes.detail_guidance.QuantisedWeight weight, Tensor? bias, "
      "str activation) -> Tensor",
      quantisedModulated);
  library.def(
      "quantise_rows(Tensor x, Tensor? factors, int rows_per_scale, bool is_float8, int padded_rows, int "
      "padded_inputs) "
      "-> (Tensor, Tensor, Tensor)",
      quantiseRows);
  library.def(
      "dequantise_sums(Tensor sums, Tensor steps, Tensor zero_points, Tensor scales, Tensor? weight_sums, Tensor? "
      "bias, "
      "Tensor x, Tensor channels, Tensor columns, str activation, ScalarType dtype) -> Tensor",
      dequantiseSums);
  library.def("dequantise_weight(Tensor values, Tensor scales, Tensor? factors, ScalarType dtype) -> Tensor",
              dequantiseWeight);
  library.def("attention(Tensor query, Tensor key, Tensor value, float? scale) -> Tensor", attention);
  library.def("fast_gelu(Tensor x) -> Tensor", fastGelu);
  library.def(
      "guided_update(Tensor[] predictions, float[] weights, Tensor x, Tensor[] history, float sample, "
      "float[] outputs) -> (Tensor, Tensor)",
      guidedUpdate);
  defineOffloadedWeights(library);
  library.def("channel_statistics(Tensor hidden, float[] percentiles) -> (Tensor, Tensor)", channelStatistics);
}

}  // namespace dg
