// How fast this processor multiplies a layer, by the ways of native/core/operators/product_way.h; what these choose
// rests on it:
//
//   cmake --build build/cmake --target bench_products && OMP_NUM_THREADS=1 build/cmake/bench_products
//
// Thousand millions of products a second, medians over rounds in which the ways take turns; a * marks the way that is
// used here.
#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "native/core/model/operator_library.h"
#include "native/core/operators/avx512.h"
#include "native/core/operators/packed_linear.h"
#include "native/core/operators/product_way.h"

using namespace dg;

namespace {

constexpr int kRounds = 7;
constexpr double kProductsATurn = 4e9;

struct Layer {
  int64_t rows, inputs, outputs;
  double products() const { return static_cast<double>(rows) * static_cast<double>(inputs * outputs); }
};

// Those of bench/kernels.py.
const std::vector<Layer> kLayers{{768, 384, 1152},   {768, 384, 1536},  {768, 1536, 384},   {512, 1152, 4608},
                                 {512, 4608, 1152},  {154, 1536, 6144}, {1536, 1536, 6144}, {64, 3072, 12288},
                                 {512, 3072, 12288}, {512, 12288, 3072}};

std::vector<ProductWay> waysOf(at::ScalarType dtype) {
  std::vector<ProductWay> ways{ProductWay::libtorch};
  if (hasVnni()) ways.push_back(ProductWay::avx512);
  if (hasBfloat16() && dtype == at::kBFloat16) ways.push_back(ProductWay::dot);
  return ways;
}

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void compare(const Layer& layer, at::ScalarType dtype) {
  const auto x = at::randn({layer.rows, layer.inputs}).to(dtype);
  const auto plain = at::randn({layer.outputs, layer.inputs}).to(dtype);
  const auto used = productWay(dtype);
  const auto ways = waysOf(dtype);
  std::vector<c10::intrusive_ptr<PackedWeight>> packed;
  for (const auto way : ways) {
    setProductWays(ProductWays{way, way});
    packed.push_back(c10::make_intrusive<PackedWeight>(plain));
  }
  const int times = std::max(1, static_cast<int>(kProductsATurn / layer.products()));
  std::vector<std::vector<double>> rates(ways.size());
  for (int round = 0; round <= kRounds; ++round) {
    for (size_t i = 0; i < ways.size(); ++i) {
      const size_t k = round % 2 == 0 ? i : ways.size() - 1 - i;
      setProductWays(ProductWays{ways[k], ways[k]});
      const double took = seconds([&] {
        for (int each = 0; each < times; ++each) packedLinear(x, packed[k], std::nullopt, "none");
      });
      if (round > 0) rates[k].push_back(times * layer.products() / took / 1e9);
    }
  }
  setProductWays(std::nullopt);
  std::printf("%5d x %5d x %5d %-8s", static_cast<int>(layer.rows), static_cast<int>(layer.inputs),
              static_cast<int>(layer.outputs), c10::toString(dtype));
  for (size_t k = 0; k < ways.size(); ++k) {
    std::nth_element(rates[k].begin(), rates[k].begin() + kRounds / 2, rates[k].end());
    std::printf("  %s%s %.1f", name(ways[k]), ways[k] == used ? "*" : "", rates[k][kRounds / 2]);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  registerOperators();
  const c10::InferenceMode inference;
  try {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      for (const auto& layer : kLayers) compare(layer, dtype);
    }
  } catch (const c10::Error& error) {
    std::printf("%s\n", error.what_without_backtrace());
  }
}
