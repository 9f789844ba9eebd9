// The CUDA kernels, run on the CPU: they give what the separate operators give, in every dtype, with strides, odd
// sizes and parts left out. What only a GPU can show (launches, streams) is bench/cuda's.
#include "test/native/testing.h"

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
#define DETAIL_GUIDANCE_CUDA_ARCHITECTURES "emulated"

#include <ATen/Functions.h>

#include <limits>

#include "test/native/cuda_emulation.h"

// The real ones, of the same names, are linked too.
#define cuda emulated
#include "native/cuda/channel_statistics.cu"  // NOLINT(build/include)
#include "native/cuda/kernels.cu"             // NOLINT(build/include)
#include "native/cuda/quantised.cu"           // NOLINT(build/include)
#undef cuda

#include "native/core/operators/activation.h"
#include "native/core/operators/channel_statistics.h"
#include "native/core/operators/guided_update.h"
#include "native/core/operators/modulation.h"
#include "native/core/operators/norm_rotary.h"
#include "native/core/operators/quantise_rows.h"

using namespace dg;

namespace {

struct Dtype {
  at::ScalarType torch;
  emulated::Scalar kernel;
  double tolerance;  // of the largest value: one rounding to the dtype, and float32's own
};
const std::vector<Dtype> kDtypes{{at::kFloat, emulated::Scalar::float32, 1e-6},
                                 {at::kHalf, emulated::Scalar::float16, 6e-4},
                                 {at::kBFloat16, emulated::Scalar::bfloat16, 5e-3}};

// `found` against the operators' result in float32.
void requireClose(const at::Tensor& found, const at::Tensor& expected, double tolerance) {
  const auto difference = (found.to(at::kFloat) - expected).abs().max().item<double>();
  REQUIRE(difference <= tolerance * expected.abs().max().item<double>());
}

at::Tensor wide(const at::Tensor& tensor) { return tensor.to(at::kFloat); }

void modulatesLayerNorm(const Dtype& dtype) {
  // 8 channels: most of a warp holds none; 264: a warp that is nearly empty; 1152: DiT-XL/2's.
  for (const int64_t channels : {8, 264, 1152}) {
    const auto options = at::TensorOptions(dtype.torch);
    const auto x = (at::randn({2, 3, channels}) * 3 + 1).to(dtype.torch);
    const auto chunks = at::randn({2, 1, 2 * channels}).to(dtype.torch);
    const auto scale = chunks.narrow(2, 0, channels), shift = chunks.narrow(2, channels, channels);
    const auto weight = at::randn({channels}, options), bias = at::randn({channels}, options);
    for (const bool affine : {false, true}) {
      auto out = at::full_like(x, 1e4);
      emulated::launch(
          emulated::ModulatedLayerNorm{dtype.kernel, x.const_data_ptr(), affine ? weight.const_data_ptr() : nullptr,
                                       affine ? bias.const_data_ptr() : nullptr, scale.const_data_ptr(),
                                       shift.const_data_ptr(), out.data_ptr(), 2, 3, channels, scale.stride(0),
                                       shift.stride(0), 1e-6f},
          nullptr);
      const std::optional<at::Tensor> w = affine ? std::optional(wide(weight)) : std::nullopt;
      const std::optional<at::Tensor> b = affine ? std::optional(wide(bias)) : std::nullopt;
      requireClose(out, modulatedLayerNorm(wide(x), {channels}, w, b, 1e-6, wide(scale), wide(shift)), dtype.tolerance);
    }
  }
}

void addsGatedResidual(const Dtype& dtype) {
  for (const int64_t stride : {0, 48}) {  // 0: one gate for all rows
    const auto x = at::randn({3, 5, 24}).to(dtype.torch), y = at::randn({3, 5, 24}).to(dtype.torch);
    const auto gates = at::randn({3, 1, 48}).to(dtype.torch);
    const auto gate = stride == 0 ? gates.narrow(0, 0, 1).narrow(2, 8, 24) : gates.narrow(2, 8, 24);
    auto out = at::full_like(x, 1e4);
    emulated::launch(emulated::GatedResidual{dtype.kernel, x.const_data_ptr(), gate.const_data_ptr(),
                                             y.const_data_ptr(), out.data_ptr(), 3, 5, 24, stride},
                     nullptr);
    requireClose(out, gatedResidual(wide(x), wide(gate), wide(y)), dtype.tolerance);
  }
}

void normalisesAndRotates(const Dtype& dtype) {
  for (const int64_t channels : {8, 64, 128, 256}) {
    // Heads in the middle, as a projection leaves them, and tables that are the same for all rows and heads.
    const auto x = at::randn({2, 7, 3, channels}).to(dtype.torch).transpose(1, 2);
    const auto weight = at::randn({channels}).to(dtype.torch);
    const auto cosine = at::randn({1, 1, 7, channels}), sine = at::randn({1, 1, 7, channels});
    for (const int parts : {1, 2, 3}) {
      const bool normalise = (parts & 1) != 0, rotate = (parts & 2) != 0;
      auto out = at::full({2, 3, 7, channels}, 1e4, x.options());
      emulated::NormRotary work{};
      work.dtype = dtype.kernel;
      work.x = x.const_data_ptr();
      work.weight = weight.const_data_ptr();
      work.cosine = cosine.const_data_ptr<float>();
      work.sine = sine.const_data_ptr<float>();
      work.out = out.data_ptr();
      for (int axis = 0; axis < 3; ++axis) {
        work.sizes[axis] = x.size(axis);
        work.strides[axis] = x.stride(axis);
        work.outStrides[axis] = out.stride(axis);
      }
      work.angleStrides[2] = channels;
      work.channels = channels;
      work.epsilon = 1e-6f;
      work.normalise = normalise;
      work.rotate = rotate;
      emulated::launch(work, nullptr);
      using Optional = std::optional<at::Tensor>;
      const auto expected = normRotary(
          wide(x), normalise ? Optional(wide(weight)) : std::nullopt, normalise ? std::optional(1e-6) : std::nullopt,
          rotate ? Optional(cosine) : std::nullopt, rotate ? Optional(sine) : std::nullopt);
      requireClose(out, expected, dtype.tolerance);
    }
  }
}

void gatesBySilu(const Dtype& dtype) {
  const auto both = at::randn({37, 80}).to(dtype.torch);  // halves of one projection
  const auto a = both.narrow(1, 0, 40), b = both.narrow(1, 40, 40);
  auto out = at::full({37, 40}, 1e4, both.options());
  emulated::launch(
      emulated::GatedSilu{dtype.kernel, a.const_data_ptr(), b.const_data_ptr(), out.data_ptr(), 37, 40, 80, 80},
      nullptr);
  requireClose(out, gatedSilu(wide(a), wide(b)), dtype.tolerance);
}

void guidesAndAdvances(const Dtype& dtype) {
  const int64_t count = 3 * 5 * 7;  // no multiple of anything
  std::vector<at::Tensor> predictions, history;
  for (int i = 0; i < 3; ++i) predictions.push_back(at::randn({count}).to(dtype.torch));
  for (int i = 0; i < 2; ++i) history.push_back(at::randn({count}));
  const std::vector<double> weights{4.3, -3, -0.3}, outputs{-0.1, 0.05, -0.02};
  const auto x = at::randn({count});
  auto guided = at::full({count}, 1e4), next = at::full({count}, 1e4);
  emulated::GuidedUpdate work{};
  work.dtype = dtype.kernel;
  work.terms = 3;
  for (int i = 0; i < 3; ++i) {
    work.predictions[i] = predictions[i].const_data_ptr();
    work.weights[i] = static_cast<float>(weights[i]);
  }
  work.pastTerms = 2;
  for (int k = 0; k < 2; ++k) {
    work.history[k] = history[k].const_data_ptr<float>();
    work.past[k] = static_cast<float>(outputs[k + 1]);
  }
  work.x = x.const_data_ptr<float>();
  work.sample = 0.9f;
  work.output = static_cast<float>(outputs[0]);
  work.guided = guided.data_ptr<float>();
  work.next = next.data_ptr<float>();
  work.count = count;
  emulated::launch(work, nullptr);
  const auto [expectedGuided, expectedNext] = guidedUpdate(predictions, weights, x, history, 0.9, outputs);
  // Sum and state are float32 whatever the predictions are.
  requireClose(guided, expectedGuided, 1e-6);
  requireClose(next, expectedNext, 1e-6);
}

void describesChannels(const Dtype& dtype, at::Tensor z) {
  z = z.to(dtype.torch);
  const std::vector<double> percentiles{0, 12.5, 99.9, 100};
  const int64_t images = z.size(0), tokens = z.size(1), channels = z.size(2);
  auto out = at::full({images, 8, channels}, 1e4);
  auto nonFinite = at::zeros({images}, at::kInt);
  emulated::ChannelStatistics work{};
  work.dtype = dtype.kernel;
  work.z = z.const_data_ptr();
  work.out = out.data_ptr<float>();
  work.nonFinite = nonFinite.data_ptr<int32_t>();
  work.images = images;
  work.tokens = tokens;
  work.channels = channels;
  work.imageStride = z.stride(0);
  work.tokenStride = z.stride(1);
  work.ranks = 5;
  for (int k = 0; k < work.ranks; ++k) {
    const auto rank = rankOf(k == 0 ? 50 : percentiles[k - 1], tokens);
    work.index[k] = rank.index;
    work.share[k] = rank.share;
  }
  emulated::launch(work, nullptr);
  const auto [expected, expectedNonFinite] = channelStatistics(z, percentiles);
  REQUIRE(at::allclose(out, expected, 1e-5, 1e-6, /*equal_nan=*/true));
  // No sums in them: the values themselves.
  for (const int64_t part : {0, 4, 7}) REQUIRE(at::allclose(out[0][part], expected[0][part], 0, 0, /*equal_nan=*/true));
  REQUIRE(nonFinite.equal(expectedNonFinite));
}

void describesChannels(const Dtype& dtype) {
  // One warp to all of them, lanes without a channel, an even and an odd number of tokens.
  for (const int64_t tokens : {1, 2, 9, 50, 301}) {
    for (const int64_t channels : {1, 40}) describesChannels(dtype, at::randn({2, tokens, channels}) * 3 + 1);
  }
  describesChannels(dtype, at::zeros({1, 10, 33}));
  describesChannels(dtype, at::randint(3, {1, 40, 8}));    // many equal values
  describesChannels(dtype, at::randn({1, 20, 8}) * 1e-7);  // subnormal as float16
  describesChannels(dtype, at::randn({3, 20, 64}).narrow(2, 8, 40).narrow(0, 1, 2));
  auto odd = at::randn({2, 12, 33});
  odd[0][3][5] = std::numeric_limits<float>::quiet_NaN();
  odd[1][4][32] = -std::numeric_limits<float>::infinity();
  describesChannels(dtype, odd);
}

// The kernel's values, steps and zero points are the operators' to the last bit.
void quantisesRows(const Dtype& dtype) {
  const auto nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const int64_t inputs : {8, 37, 264, 2568}) {  // one vector, no whole vectors, several, two turns of a block
    if (inputs > 2048 && dtype.torch != at::kFloat) continue;
    auto x = at::randn({7, inputs}).mul_(3).to(dtype.torch);
    x[1].zero_();
    x[2].abs_();
    x[3].mul_(1e-39);
    x[4][inputs - 1] = nan;
    x[5][inputs / 2] = -infinity;
    x[6][1] = nan;  // not in the product where factors are given
    auto factors = at::rand({inputs}) + 0.5;
    factors[1] = 0;
    for (const auto& given : {std::optional<at::Tensor>(), std::optional<at::Tensor>(factors)}) {
      for (const bool isFloat8 : {false, true}) {
        const int64_t paddedRows = 8, paddedInputs = alignedSide(inputs);
        const auto [values, steps, zeroPoints] = quantiseRows(x, given, 1, isFloat8, paddedRows, paddedInputs);
        auto found = at::full({paddedRows, paddedInputs}, 77, at::kChar);
        auto foundSteps = at::full({7}, 77.0f), foundPoints = at::full({7}, 77, at::kInt);
        emulated::launch(
            emulated::QuantiseRows{dtype.kernel, x.const_data_ptr(), given ? given->const_data_ptr<float>() : nullptr,
                                   found.data_ptr(), foundSteps.data_ptr<float>(),
                                   isFloat8 ? nullptr : foundPoints.data_ptr<int32_t>(), 7, inputs, paddedRows,
                                   paddedInputs},
            nullptr);
        REQUIRE(at::allclose(foundSteps, steps, 0, 0, /*equal_nan=*/true));
        REQUIRE(steps.isnan().sum().item<int64_t>() == (given ? 2 : 3));
        // Of rows that are not finite only the step is known.
        const auto finite = at::cat({steps.isfinite(), at::ones({paddedRows - 7}, at::kBool)});
        const auto numbers = wide(found.view(values.scalar_type()));
        REQUIRE(numbers.index({finite}).equal(wide(values).index({finite})));
        if (!isFloat8) REQUIRE(foundPoints.equal(zeroPoints));
      }
    }
  }
}

void dequantisesSums(const Dtype& dtype) {
  for (const int64_t outputs : {16, 33, 264}) {
    for (const bool isWhole : {false, true}) {
      const int64_t inputs = 24;
      const auto sums = at::randint(-30000, 30000, {9, alignedSide(outputs)}, isWhole ? at::kInt : at::kFloat);
      const auto steps = at::rand({5}) * 1e-3, scales = at::rand({outputs});
      const auto zeroPoints = at::randint(-128, 128, {isWhole ? 5 : 0}, at::kInt);
      const auto weightSums = at::randint(-200, 200, {outputs}, at::kInt);
      const auto x = at::randn({5, inputs}).to(dtype.torch), bias = at::randn({outputs}).to(dtype.torch);
      for (const int64_t kept : {0, 3}) {
        const auto channels = at::arange(kept) * 7 + 2, columns = at::randn({kept, outputs});
        for (const auto follow : {emulated::Follow::none, emulated::Follow::geluTanh, emulated::Follow::swish}) {
          const bool hasBias = kept > 0;
          auto out = at::full({5, outputs}, 1e4).to(dtype.torch);
          emulated::launch(emulated::DequantiseSums{dtype.kernel, sums.const_data_ptr(), steps.const_data_ptr<float>(),
                                                    scales.const_data_ptr<float>(),
                                                    isWhole ? zeroPoints.const_data_ptr<int32_t>() : nullptr,
                                                    isWhole ? weightSums.const_data_ptr<int32_t>() : nullptr,
                                                    hasBias ? bias.const_data_ptr() : nullptr, x.const_data_ptr(),
                                                    channels.const_data_ptr<int64_t>(), columns.const_data_ptr<float>(),
                                                    out.data_ptr(), 5, inputs, outputs, sums.size(1), kept, follow},
                           nullptr);
          const char* name = follow == emulated::Follow::none       ? "none"
                             : follow == emulated::Follow::geluTanh ? "gelu_tanh"
                                                                    : "swish";
          const auto wanted = dequantiseSums(
              sums, steps, zeroPoints, scales, isWhole ? std::optional(weightSums) : std::nullopt,
              hasBias ? std::optional(wide(bias)) : std::nullopt, wide(x), channels, columns, name, at::kFloat);
          // A value is rounded before its activation, too.
          requireClose(out, wanted, 2 * dtype.tolerance);
        }
      }
    }
  }
}

void dequantisesWeights(const Dtype& dtype) {
  for (const int64_t inputs : {8, 37}) {
    const auto scales = at::rand({19}), factors = at::rand({inputs}) + 0.5;
    for (const bool isFloat8 : {false, true}) {
      const auto whole = at::randint(-127, 128, {19, inputs}, at::kChar);
      const auto values = isFloat8 ? (at::randn({19, inputs}) * 100).to(at::kFloat8_e4m3fn) : whole;
      for (const auto& given : {std::optional<at::Tensor>(), std::optional<at::Tensor>(factors)}) {
        auto out = at::full({19, inputs}, 1e4).to(dtype.torch);
        emulated::launch(
            emulated::DequantiseWeight{dtype.kernel, values.const_data_ptr(), isFloat8, scales.const_data_ptr<float>(),
                                       given ? given->const_data_ptr<float>() : nullptr, out.data_ptr(), 19, inputs},
            nullptr);
        REQUIRE(out.equal(dequantiseWeight(values, scales, given, dtype.torch)));
      }
    }
  }
}

}  // namespace

TEST_CASE("modulated LayerNorm") {
  for (const auto& dtype : kDtypes) modulatesLayerNorm(dtype);
}

TEST_CASE("gated residual") {
  for (const auto& dtype : kDtypes) addsGatedResidual(dtype);
}

TEST_CASE("RMSNorm and rotation") {
  for (const auto& dtype : kDtypes) normalisesAndRotates(dtype);
}

TEST_CASE("gated SiLU") {
  for (const auto& dtype : kDtypes) gatesBySilu(dtype);
}

TEST_CASE("guidance sum and update") {
  for (const auto& dtype : kDtypes) guidesAndAdvances(dtype);
}

TEST_CASE("rows in 8 bits") {
  at::manual_seed(11);
  for (const auto& dtype : kDtypes) quantisesRows(dtype);
}

TEST_CASE("sums of 8 bit products") {
  for (const auto& dtype : kDtypes) dequantisesSums(dtype);
}

TEST_CASE("a weight of 8 bits in the dtype of the activations") {
  for (const auto& dtype : kDtypes) dequantisesWeights(dtype);
}

TEST_CASE("statistics of channels") {
  for (const auto& dtype : kDtypes) describesChannels(dtype);
}

#endif
