// How many threads an operator has.
#include "native/core/operators/threads.h"

#include <stdexcept>

#include "test/native/testing.h"

#ifdef _OPENMP
namespace {

constexpr double kSmall = dg::workOfProduct(64 * 128, 128), kLarge = dg::workOfProduct(4096 * 1024, 1024);

int64_t threadsFor(double work) {
  const dg::ThreadsFor operation(work);
  return at::get_num_threads();
}

// As if OMP_NUM_THREADS were 4, for one test.
struct FourThreads {
  FourThreads() {
    at::get_num_threads();  // libtorch sets them when a thread asks first
    omp_set_num_threads(4);
  }
  ~FourThreads() { omp_set_num_threads(before); }
  int before = omp_get_max_threads();
};

}  // namespace

TEST_CASE("an operator has as many threads as its work is worth, at most those that there are") {
  const FourThreads four;
  REQUIRE(threadsFor(kSmall) == 1);
  REQUIRE(threadsFor(kLarge) == 4);
  REQUIRE(threadsFor(dg::workOfPass(1024 * 1024)) == 4);
  REQUIRE(at::get_num_threads() == 4);
}

TEST_CASE("threads come back after an error, and within another operator there are no more than it has") {
  const FourThreads four;
  try {
    const dg::ThreadsFor outer(kSmall);
    REQUIRE(threadsFor(kLarge) == 1);
    throw std::runtime_error("of an operator");
  } catch (const std::runtime_error&) {
  }
  REQUIRE(at::get_num_threads() == 4);
}
#endif
