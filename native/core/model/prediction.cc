#include "native/core/model/prediction.h"

#include "native/core/error.h"

namespace dg {

at::Tensor predictionIn(const c10::IValue& result) {
  if (result.isTensor()) return result.toTensor();
  const bool isFilledTuple = result.isTuple() && !result.toTupleRef().elements().empty();
  if (isFilledTuple) return predictionIn(result.toTupleRef().elements()[0]);
  throw Error("MODEL_FAILED",
              "Expected the model to return a tensor or a tuple of tensors, received " + result.tagKind() + ".");
}

}  // namespace dg
