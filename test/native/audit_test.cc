// A TorchScript archive is a program: what may run, and what is refused by name before it does.
#include "native/core/graph/audit.h"

#include "native/core/graph/archive.h"
#include "test/native/check.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

std::string refusal(const std::string& file) {
  try {
    openArchive(file, false);
  } catch (const Error& error) {
    return error.code == "OPERATOR_REFUSED" ? error.what() : "";
  }
  return "";
}

std::string saved(const char* name, const char* body) {
  torch::jit::Module module(name);
  module.define(body);
  const auto file = test::temporaryFile(std::string(name) + ".pt");
  module.save(file);
  return file;
}

}  // namespace

int main() {
  const auto reads = saved("reads", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_file("some-file", False, 1)
  )JIT");
  REQUIRE(refusal(reads).find("aten::from_file") != std::string::npos);
  REQUIRE(!openArchive(reads, true).get_methods().empty());

  const auto writes = saved("writes", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "/tmp/should-not-be-written")
        return x
  )JIT");
  REQUIRE(refusal(writes).find("aten::save") != std::string::npos);

  const auto plain = saved("plain", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return x.relu()
  )JIT");
  REQUIRE(refusal(plain).empty());

  REQUIRE_THROWS("OPERATOR_REFUSED", auditSource("x = ops.quantized.linear(y)", "code/x.py"));
  REQUIRE_THROWS("OPERATOR_REFUSED", auditSource("def __setstate__(self, state):", "code/x.py"));
  auditSource("x = ops.prim.NumToTensor(3)\ny = torch.linear(x, w)", "code/x.py");
  for (const auto& file : {reads, writes, plain}) std::filesystem::remove(file);
  return 0;
}
