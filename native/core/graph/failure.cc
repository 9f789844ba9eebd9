#include "native/core/graph/failure.h"

#include <utility>

namespace dg {
namespace {

thread_local std::exception_ptr kept;

}  // namespace

void keepFailure(std::exception_ptr failure) { kept = std::move(failure); }

std::exception_ptr takeFailure() { return std::exchange(kept, nullptr); }

}  // namespace dg
