#include "native/core/operators/match_dtype.h"

namespace dg {

at::Tensor matchDtype(const at::Tensor& x, const at::Tensor& like) {
  if (x.scalar_type() == like.scalar_type() || !x.is_floating_point() || !like.is_floating_point()) return x;
  return x.to(like.scalar_type());
}

}  // namespace dg
