// Every operation of an edit on a small hidden state, against the definition written out.
#include <ATen/Functions.h>

#include <limits>

#include "native/core/hooks/prepared_edit.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

at::Tensor hidden() { return at::arange(2 * 4 * 3, at::kFloat).reshape({2, 4, 3}) - 7; }

at::Tensor apply(Edit edit, at::Tensor z, int64_t step = 0, at::Tensor bypass = {}) {
  edit.path = "test";
  PreparedEdit(edit, at::kCPU).apply(z, bypass, step);
  return z;
}

}  // namespace

TEST_CASE("a channel is zeroed, infinite values too") {
  Edit zero;
  zero.channels = std::vector<int64_t>{1};
  auto z = apply(zero, hidden());
  REQUIRE(z.select(-1, 1).abs().max().item<float>() == 0);
  REQUIRE(z.select(-1, 0).equal(hidden().select(-1, 0)));
  auto infinite = hidden();
  infinite.select(-1, 1).fill_(std::numeric_limits<float>::infinity());
  REQUIRE(apply(zero, infinite).select(-1, 1).abs().max().item<float>() == 0);
}

TEST_CASE("retain scales chosen channels of chosen tokens by the step's retention") {
  Edit retain;
  retain.channels = std::vector<int64_t>{0, 2};
  retain.tokens = std::vector<int64_t>{3};
  retain.retention = {0.5, 0.25};
  auto z = apply(retain, hidden(), 1);
  REQUIRE(z[1][3][2].item<float>() == hidden()[1][3][2].item<float>() * 0.25f);
  REQUIRE(z[1][3][1].item<float>() == hidden()[1][3][1].item<float>());
  REQUIRE(z[1][2][2].item<float>() == hidden()[1][2][2].item<float>());
}

TEST_CASE("mean over the tokens") {
  Edit mean;
  mean.operation = Operation::mean;
  mean.channels = std::vector<int64_t>{0};
  auto z = apply(mean, hidden());
  REQUIRE(z[0][2][0].item<float>() == hidden()[0].select(-1, 0).mean().item<float>());
}

TEST_CASE("affine") {
  Edit affine;
  affine.operation = Operation::affine;
  affine.channels = std::vector<int64_t>{0, 1};
  affine.scale = {2, 1};
  affine.shift = {0, 10};
  auto z = apply(affine, hidden());
  REQUIRE(z[1][1][0].item<float>() == hidden()[1][1][0].item<float>() * 2);
  REQUIRE(z[1][1][1].item<float>() == hidden()[1][1][1].item<float>() + 10);
}

TEST_CASE("transplant puts in the values of another run") {
  Edit transplant;
  transplant.operation = Operation::transplant;
  transplant.source = at::full({1, 4, 3}, 9.0f);
  transplant.channels = std::vector<int64_t>{2};
  auto z = apply(transplant, hidden());
  REQUIRE(z[1][0][2].item<float>() == 9);
  REQUIRE(z[1][0][1].item<float>() == hidden()[1][0][1].item<float>());
  transplant.source = at::full({1, 5, 3}, 9.0f);
  REQUIRE_CODE("BAD_TENSOR", apply(transplant, hidden()));
}

TEST_CASE("skip gives what the module was given") {
  Edit skip;
  skip.operation = Operation::skip;
  REQUIRE(apply(skip, hidden(), 0, at::ones({2, 4, 3})).equal(at::ones({2, 4, 3})));
  REQUIRE_CODE("BAD_TENSOR", apply(skip, hidden()));
}

TEST_CASE("an edit of the last tokens leaves the others") {
  // Within the last three tokens: the image's, behind the text's.
  Edit part;
  part.operation = Operation::skip;
  part.lastTokens = 3;
  auto z = apply(part, hidden(), 0, at::ones({2, 4, 3}));
  REQUIRE(z.slice(1, 0, 1).equal(hidden().slice(1, 0, 1)));
  REQUIRE(z.slice(1, 1).eq(1).all().item<bool>());
  part.tokens = std::vector<int64_t>{0};
  z = apply(part, hidden(), 0, at::ones({2, 4, 3}));
  REQUIRE(z.select(1, 1).eq(1).all().item<bool>());
  REQUIRE(z.slice(1, 2).equal(hidden().slice(1, 2)));
  part.tokens = std::vector<int64_t>{3};
  REQUIRE_CODE("TOKEN_OUT_OF_RANGE", apply(part, hidden(), 0, at::ones({2, 4, 3})));
  part.lastTokens = 9;  // there are no more than these
  part.tokens = std::nullopt;
  REQUIRE(apply(part, hidden(), 0, at::ones({2, 4, 3})).equal(at::ones({2, 4, 3})));
}

TEST_CASE("shuffle moves tokens and keeps their values") {
  Edit shuffle;
  shuffle.operation = Operation::shuffle;
  shuffle.seed = 3;
  auto z = apply(shuffle, hidden());
  REQUIRE(!z.equal(hidden()));
  REQUIRE(std::get<0>(z.sort(1)).equal(hidden()));  // the same tokens in another order
  REQUIRE(apply(shuffle, hidden()).equal(z));
  REQUIRE(z[0].add(12).equal(z[1]));  // one permutation for all rows
}

TEST_CASE("blur over the grid of the tokens") {
  Edit blur;
  blur.operation = Operation::blur;
  blur.sigma = std::numeric_limits<double>::infinity();
  blur.grid = std::pair<int64_t, int64_t>{2, 2};
  auto z = apply(blur, hidden());
  REQUIRE(at::allclose(z, hidden().mean(1, true).expand_as(z)));
  blur.sigma = 0.6;
  z = apply(blur, hidden());
  REQUIRE(at::allclose(z.mean(1), hidden().mean(1)));  // a 2 × 2 grid blurs symmetrically
  blur.grid = std::pair<int64_t, int64_t>{1, 2};
  blur.tokens = std::vector<int64_t>{0, 1};  // the grid comes first
  blur.sigma = std::numeric_limits<double>::infinity();
  z = apply(blur, hidden());
  REQUIRE(z.slice(1, 2).equal(hidden().slice(1, 2)));
  REQUIRE(at::allclose(z.slice(1, 0, 2), hidden().slice(1, 0, 2).mean(1, true).expand({-1, 2, -1})));
  blur.tokens = std::nullopt;
  blur.grid = std::pair<int64_t, int64_t>{3, 3};
  REQUIRE_CODE("BAD_TENSOR", apply(blur, hidden()));
}

TEST_CASE("match moves by the norm of the reference") {
  Edit match;
  match.operation = Operation::match;
  match.channels = std::vector<int64_t>{0};
  match.reference = {1, 2};
  auto z = apply(match, hidden());
  const auto moved = (z - hidden()).norm(2, -1);
  REQUIRE(at::allclose(moved, hidden().narrow(-1, 1, 2).norm(2, -1)));
  // Of a partial disruption, by the part.
  match.retention = {0.75, 1.5};
  for (const auto& [step, share] : {std::pair{0, 0.25}, std::pair{1, 0.5}}) {
    z = apply(match, hidden(), step);
    REQUIRE(at::allclose((z - hidden()).norm(2, -1), hidden().narrow(-1, 1, 2).norm(2, -1) * share));
  }
}

TEST_CASE("channels, tokens and operations that do not exist are refused") {
  Edit zero;
  zero.channels = std::vector<int64_t>{3};
  REQUIRE_CODE("CHANNEL_OUT_OF_RANGE", apply(zero, hidden()));
  Edit retain;
  retain.channels = std::vector<int64_t>{0, 2};
  retain.tokens = std::vector<int64_t>{-1};
  REQUIRE_CODE("TOKEN_OUT_OF_RANGE", apply(retain, hidden()));
  REQUIRE_CODE("BAD_OPTION", operationNamed("erase"));
}
