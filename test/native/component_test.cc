// A component is a function of tensors: its results flattened in order, weights moved once, errors by name.
#include "native/core/model/component.h"

#include "test/native/check.h"
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

}  // namespace

int main() {
  const auto nested = saved("nested", R"JIT(
    def forward(self, ids: Tensor, x: Tensor):
        y = x * self.weight
        return (y, [self.table[ids], x], {"last": y + 1}, None)
  )JIT");
  Component::Options options;
  options.file = nested;
  const auto component = Component::load(options);
  REQUIRE(component->size().parameters == 2);
  REQUIRE(component->size().bytes == 2 * 4 + 4 * 8);
  const auto ids = at::tensor({3, 1}, at::kLong);
  const auto x = at::tensor({1.0f, 2.0f});
  const auto found = component->run({ids, x});
  REQUIRE(found.size() == 4);
  REQUIRE(found[0].equal(x * 3));
  REQUIRE(found[1].equal(ids));
  REQUIRE(found[2].equal(x));
  REQUIRE(found[3].equal(x * 3 + 1));
  REQUIRE_THROWS("BAD_TENSOR", component->run({ids}));
  REQUIRE_THROWS("MODEL_FAILED", component->run({at::tensor({7}, at::kLong), x}));

  // Floating weights and inputs take the dtype; integers stay.
  options.dtype = at::kBFloat16;
  const auto narrow = Component::load(options);
  REQUIRE(narrow->size().bytes == 2 * 2 + 4 * 8);
  REQUIRE(narrow->run({ids, x})[0].scalar_type() == at::kBFloat16);
  REQUIRE(narrow->run({ids, x})[1].scalar_type() == at::kLong);

  options.dtype = at::kFloat;
  options.device = at::Device("cuda:63");
  REQUIRE_THROWS("DEVICE_UNAVAILABLE", Component::load(options));
  options.device = at::kCPU;
  const auto writes = saved("component_writes", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "/tmp/should-not-be-written")
        return x
  )JIT");
  options.file = writes;
  REQUIRE_THROWS("OPERATOR_REFUSED", Component::load(options));
  std::filesystem::resize_file(writes, std::filesystem::file_size(writes) / 2);
  REQUIRE_THROWS("MODEL_UNREADABLE", Component::load(options));
  for (const auto& file : {nested, writes}) std::filesystem::remove(file);
  return 0;
}
