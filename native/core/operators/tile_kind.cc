#include "native/core/operators/tile_kind.h"

#if DG_HAS_AVX512
namespace dg {

DG_AVX512 void widenRow(float* to, const at::BFloat16* from, int64_t count) {
  for (int64_t i = 0; i < count; i += kPanel) {
    const __mmask16 mask = lanes(count - i);
    storeLanes(to + i, mask, loadLanes(mask, from + i));
  }
}

}  // namespace dg
#endif
