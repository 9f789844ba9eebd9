// Memory of large tensors is used again within a scope, given back at its end, and safe with tensors that outlive it.
#include "native/core/device/recycle.h"

#include <ATen/Functions.h>

#include <thread>

#include "test/native/testing.h"

using namespace dg;

namespace {

constexpr int64_t count = 1 << 16;  // floats: 256 KiB

}  // namespace

TEST_CASE("memory of a size is used again within a scope") {
  at::Tensor survivor;
  {
    const RecyclingScope scope;
    const void* first = nullptr;
    {
      const auto tensor = at::zeros({count});
      first = tensor.const_data_ptr();
      REQUIRE(scope.idleBytes() == 0);
    }
    REQUIRE(scope.idleBytes() == count * sizeof(float));
    auto again = at::ones({count});
    REQUIRE(again.const_data_ptr() == first);
    REQUIRE(at::zeros({count}).sum().item<float>() == 0);  // zeros are zeros in used memory too
    const auto other = at::empty({count + 1});
    REQUIRE(other.const_data_ptr() != first);  // a larger one

    // Freed on another thread.
    std::thread([tensor = std::move(again)]() mutable { tensor.reset(); }).join();
    REQUIRE(scope.idleBytes() == 2 * count * sizeof(float));

    at::empty({16});
    REQUIRE(scope.idleBytes() == 2 * count * sizeof(float));  // small ones are malloc's

    // A tensor that grows keeps its values.
    auto grown = at::full({count}, 3.0);
    grown.resize_({2 * count});
    REQUIRE(grown.narrow(0, 0, count).eq(3).all().item<bool>());
    survivor = at::full({count}, 5.0);
  }
  REQUIRE(survivor.eq(5).all().item<bool>());
  survivor.reset();
}

TEST_CASE("memory is used for what fills half of it, and not for less") {
  const RecyclingScope scope;
  const void* first = at::empty({2 * count}).const_data_ptr();
  const auto bytes = 2 * count * sizeof(float);
  {
    const auto half = at::empty({count});
    REQUIRE(half.const_data_ptr() == first);
    REQUIRE(scope.idleBytes() == 0);
  }
  REQUIRE(scope.idleBytes() == bytes);  // all of it is there again
  {
    const auto less = at::empty({count - 1});
    REQUIRE(scope.idleBytes() == bytes);
  }
  REQUIRE(at::empty({2 * count}).const_data_ptr() == first);
}

TEST_CASE("what a program left makes room for the next one's sizes") {
  constexpr size_t bytes = count * sizeof(float);
  const RecyclingScope scope;
  {
    const auto a = at::empty({count}), b = at::empty({count}), c = at::empty({5 * count});
  }
  REQUIRE(scope.idleBytes() == 7 * bytes);
  // Within a program what is idle stays: its sizes come again.
  at::empty({10 * count});
  REQUIRE(scope.idleBytes() == 17 * bytes);
  RecyclingScope::beginProgram();
  {
    // It finds nothing of its size and gives the ten back.
    const auto larger = at::empty({12 * count});
    REQUIRE(scope.idleBytes() == 2 * bytes);
    const auto same = at::empty({count});
    REQUIRE(scope.idleBytes() == bytes);
  }
  REQUIRE(scope.idleBytes() == 14 * bytes);
  RecyclingScope::beginProgram();
  const auto again = at::empty({12 * count});  // fits
  REQUIRE(scope.idleBytes() == 2 * bytes);
}

TEST_CASE("so much is kept at most, and scopes nest") {
  const RecyclingScope scope(/*limit=*/count * sizeof(float));
  {
    const auto a = at::empty({count}), b = at::empty({count});
  }
  REQUIRE(scope.idleBytes() == count * sizeof(float));
  const RecyclingScope inner;
  at::empty({count});
  REQUIRE(inner.idleBytes() == count * sizeof(float));
}

TEST_CASE("memory that oneDNN takes as bare pointers") {
  const auto picture = at::randn({1, 3, 64, 64}), kernel = at::randn({64, 3, 2, 2});
  const auto expected = at::conv2d(picture, kernel, {}, 2);  // oneDNN: takes memory as bare pointers
  {
    const RecyclingScope scope;
    REQUIRE(at::conv2d(picture, kernel, {}, 2).equal(expected));
    REQUIRE(at::conv2d(picture, kernel, {}, 2).equal(expected));
  }
  REQUIRE(at::conv2d(picture, kernel, {}, 2).equal(expected));  // outside a scope: libtorch's own
}
