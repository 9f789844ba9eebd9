#include "native/core/operators/bfloat16_way.h"

#include <ATen/cpu/Utils.h>

#include <optional>

namespace dg {
namespace {

Bfloat16Way ofProcessor() {
  if (!hasVnni() || hasAmx()) return Bfloat16Way::libtorch;
#if DG_HAS_AVX512
  if (hasBfloat16() && !__builtin_cpu_is("intel")) return Bfloat16Way::dot;
#endif
  return Bfloat16Way::widened;
}

std::optional<Bfloat16Way>& chosen() {
  static std::optional<Bfloat16Way> way;
  return way;
}

}  // namespace

const char* name(Bfloat16Way way) {
  if (way == Bfloat16Way::libtorch) return "libtorch";
  return way == Bfloat16Way::dot ? "avx512_bf16" : "avx512";
}

bool hasAmx() {
  static const bool has = at::cpu::init_amx();
  return has;
}

Bfloat16Way bfloat16Way() {
  static const auto own = ofProcessor();
  return chosen().value_or(own);
}

void setBfloat16Way(std::optional<Bfloat16Way> way) { chosen() = way; }

#if DG_HAS_AVX512
DG_AVX512 void widenRow(float* to, const at::BFloat16* from, int64_t count) {
  for (int64_t i = 0; i < count; i += kPanel) {
    const __mmask16 mask = lanes(count - i);
    storeLanes(to + i, mask, loadLanes(mask, from + i));
  }
}
#endif

}  // namespace dg
