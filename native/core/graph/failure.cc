#include "native/core/graph/failure.h"

#include <utility>

namespace dg {
namespace {

thread_local std::exception_ptr pending;

}  // namespace

void keepFailure(std::exception_ptr failure) { pending = std::move(failure); }

std::exception_ptr takeFailure() { return std::exchange(pending, nullptr); }

}  // namespace dg
