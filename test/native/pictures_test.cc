// Pixels of a decoder's values: rounded as the facade does, frames one after the other, NaN told.
#include "native/core/model/pictures.h"

#include <ATen/Functions.h>

#include <cmath>
#include <limits>

#include "test/native/testing.h"

using namespace dg;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<uint8_t> made(const at::Tensor& values, double black = -1, double white = 1) {
  std::vector<uint8_t> first(values.size(-1) * values.size(-2) * 3, 7);
  const auto pictures = toPictures(values, {values.size(-2), values.size(-1), black, white}, first.data());
  REQUIRE(pictures.frames >= 1);
  return first;
}

}  // namespace

TEST_CASE("levels are rounded, halves up, and channels interleaved") {
  // Of the range -1 to 1: black, white, beyond them, the middle.
  const auto values = at::tensor({-1.0, 1.0, -2.0, kInfinity, 0.0, -kInfinity}).to(at::kFloat).view({1, 3, 1, 2});
  REQUIRE(made(values) == std::vector<uint8_t>{0, 0, 128, 255, 255, 0});
  const auto halves = at::tensor({0.5, 1.5, 2.49999, 254.5, 255.4, 300.0}).to(at::kFloat).view({1, 3, 2, 1});
  REQUIRE(made(halves, 0, 255) == std::vector<uint8_t>{1, 2, 255, 2, 255, 255});
}

TEST_CASE("every value of a large picture has its place, on all threads") {
  const auto values = at::rand({1, 3, 301, 203}) * 3 - 1.5;
  const auto found = made(values);
  const auto expected =
      ((values.to(at::kDouble) + 1) / 2 * 255).clamp(0, 255).add(0.5).floor().to(at::kByte).permute({0, 2, 3, 1});
  REQUIRE(at::equal(at::tensor(at::ArrayRef<uint8_t>(found), at::kByte), expected.flatten()));
}

TEST_CASE("half floats are those numbers, planes need not lie behind each other") {
  const auto values = (at::rand({1, 5, 4, 3}) * 2 - 1).to(at::kBFloat16).permute({0, 3, 1, 2});
  REQUIRE(made(values) == made(values.to(at::kFloat).contiguous()));
}

TEST_CASE("frames of a video follow the first") {
  const auto values = at::rand({1, 3, 4, 5, 6}) * 2 - 1;
  std::vector<uint8_t> first(5 * 6 * 3);
  const auto found = toPictures(values, {5, 6, -1, 1}, first.data());
  REQUIRE(found.frames == 4);
  REQUIRE(found.others.size() == 3);
  REQUIRE(first == made(values.select(2, 0).contiguous()));
  const auto third = made(values.select(2, 2).contiguous());
  REQUIRE(at::equal(found.others[1].flatten(), at::tensor(at::ArrayRef<uint8_t>(third), at::kByte)));
}

TEST_CASE("what is not finite is told, and what has another form is left alone") {
  uint8_t pixels[12] = {7};
  auto values = at::zeros({1, 3, 2, 2});
  REQUIRE(!toPictures(values, {2, 2, -1, 1}, pixels).overflowed);
  for (const double value : {kInfinity, -kInfinity}) {
    values.view(-1)[11] = value;
    REQUIRE(toPictures(values, {2, 2, -1, 1}, pixels).overflowed);
  }
  values.view(-1)[11] = std::nan("");
  REQUIRE(toPictures(values, {2, 2, -1, 1}, pixels).overflowed);
  pixels[0] = 7;
  for (const auto& other : {at::zeros({2, 3, 2, 2}), at::zeros({1, 4, 2, 2}), at::zeros({1, 3, 2, 3}),
                            at::zeros({3, 2, 2}), at::zeros({1, 3, 0, 2, 2}), at::zeros({})}) {
    const auto found = toPictures(other, {2, 2, -1, 1}, pixels);
    REQUIRE(found.frames == 0);
    REQUIRE(found.shape == other.sizes().vec());
    REQUIRE(pixels[0] == 7);
  }
  REQUIRE_CODE("MODEL_FAILED", toPictures(at::zeros({1, 3, 2, 2}, at::kLong), {2, 2, -1, 1}, pixels));
}
