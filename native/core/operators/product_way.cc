#include "native/core/operators/product_way.h"

#include <ATen/cpu/Utils.h>

#include "native/core/operators/avx512.h"

namespace dg {
namespace {

ProductWays ofProcessor() {
#if DG_HAS_AVX512
  if (hasVnni()) {
    // Intel's do the instruction for pairs of bfloat16 once while they do four of float32's, AMD's once while they do
    // one. float32's tiles were compared with oneDNN on Intel's alone.
    const bool isIntel = __builtin_cpu_is("intel");
    const auto own = hasBfloat16() && !isIntel ? ProductWay::dot : ProductWay::avx512;
    return {isIntel ? ProductWay::avx512 : ProductWay::libtorch, hasAmx() ? ProductWay::libtorch : own};
  }
#endif
  return {};
}

std::optional<ProductWays>& chosen() {
  static std::optional<ProductWays> ways;
  return ways;
}

}  // namespace

const char* name(ProductWay way) {
  if (way == ProductWay::libtorch) return "libtorch";
  return way == ProductWay::dot ? "avx512_bf16" : "avx512";
}

bool hasAmx() {
  static const bool has = at::cpu::init_amx();
  return has;
}

ProductWay productWay(at::ScalarType dtype) {
  static const auto own = ofProcessor();
  const auto ways = chosen().value_or(own);
  if (dtype == at::kFloat) return ways.float32;
  return dtype == at::kBFloat16 ? ways.bfloat16 : ProductWay::libtorch;
}

void setProductWays(std::optional<ProductWays> ways) { chosen() = ways; }

}  // namespace dg
