// A component is a function of tensors: its results flattened in order, weights moved once, errors by name.
#include "native/core/model/component.h"

#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

std::string saved(const std::string& name, const char* body) {
  torch::jit::Module module(name);
  module.register_parameter("weight", at::full({2}, 3.0), false);
  module.register_buffer("table", at::arange(4));
  module.define(body);
  const auto file = test::temporaryFile(name + ".pt");
  module.save(file);
  return file;
}

struct Nested {
  ~Nested() { std::filesystem::remove(options.file); }

  Component::Options options;
  at::Tensor ids = at::tensor({3, 1}, at::kLong);
  at::Tensor x = at::tensor({1.0f, 2.0f});

  Nested() {
    options.file = saved("nested", R"JIT(
    def forward(self, ids: Tensor, x: Tensor):
        y = x * self.weight
        return (y, [self.table[ids], x], {"last": y + 1}, None)
  )JIT");
  }
};

}  // namespace

TEST_CASE("results are flattened in order") {
  const Nested nested;
  const auto& [options, ids, x] = nested;
  const auto component = Component::load(options);
  REQUIRE(component->size().parameters == 2);
  REQUIRE(component->size().bytes == 2 * 4 + 4 * 8);
  const auto found = component->run({ids, x});
  REQUIRE(found.size() == 4);
  REQUIRE(found[0].equal(x * 3));
  REQUIRE(found[1].equal(ids));
  REQUIRE(found[2].equal(x));
  REQUIRE(found[3].equal(x * 3 + 1));
  REQUIRE_CODE("BAD_TENSOR", component->run({ids}));
  REQUIRE_CODE("MODEL_FAILED", component->run({at::tensor({7}, at::kLong), x}));
}

TEST_CASE("floating weights and inputs take the dtype, integers stay") {
  Nested nested;
  nested.options.dtype = at::kBFloat16;
  const auto narrow = Component::load(nested.options);
  REQUIRE(narrow->size().bytes == 2 * 2 + 4 * 8);
  REQUIRE((narrow->run({nested.ids, nested.x})[0].scalar_type() == at::kBFloat16));
  REQUIRE((narrow->run({nested.ids, nested.x})[1].scalar_type() == at::kLong));
}

TEST_CASE("what can not be loaded") {
  Nested nested;
  auto options = nested.options;
  options.device = at::Device("cuda:63");
  REQUIRE_CODE("DEVICE_UNAVAILABLE", Component::load(options));
  options.device = at::kCPU;
  options.file = saved("component_writes", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "/tmp/should-not-be-written")
        return x
  )JIT");
  REQUIRE_CODE("OPERATOR_REFUSED", Component::load(options));
  std::filesystem::resize_file(options.file, std::filesystem::file_size(options.file) / 2);
  REQUIRE_CODE("MODEL_UNREADABLE", Component::load(options));
  std::filesystem::remove(options.file);
}

TEST_CASE("convolutions read their weights channels-last, and what follows takes pictures in that order") {
  at::manual_seed(0);
  torch::jit::Module module("convolution");
  module.register_parameter("weight", at::randn({6, 4, 3, 3}), false);
  module.define(R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        y = torch.conv2d(x, self.weight, None, [1, 1], [1, 1])
        return y.view(y.size(0), 2, -1) * 2
  )JIT");
  Component::Options options;
  options.file = test::temporaryFile("convolution.pt");
  module.save(options.file);
  const auto x = at::randn({2, 4, 8, 8});
  const auto component = Component::load(options);
  const auto found = component->run({x}).at(0);
  const auto expected = at::conv2d(x, module.attr("weight").toTensor(), {}, 1, 1).view({2, 2, -1}) * 2;
  REQUIRE(found.sizes() == expected.sizes());
  REQUIRE(at::allclose(found, expected, 1e-5, 1e-5));
  std::filesystem::remove(options.file);
}

TEST_CASE("what a decoder writes through a view of a convolution's picture is in the picture") {
  at::manual_seed(0);
  torch::jit::Module module("normalised");
  module.register_parameter("weight", at::randn({6, 4, 3, 3}), false);
  module.define(R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        y = torch.conv2d(x, self.weight, None, [1, 1], [1, 1])
        groups = y.view(y.size(0), 2, -1)
        groups.sub_(groups.mean(-1, True))
        return y
  )JIT");
  Component::Options options;
  options.file = test::temporaryFile("normalised.pt");
  module.save(options.file);
  const auto x = at::randn({2, 4, 8, 8});
  const auto found = Component::load(options)->run({x}).at(0);
  const auto picture = at::conv2d(x, module.attr("weight").toTensor(), {}, 1, 1);
  const auto groups = picture.view({2, 2, -1});
  REQUIRE(at::allclose(found, (groups - groups.mean(-1, true)).view_as(picture), 1e-5, 1e-5));
  std::filesystem::remove(options.file);
}
