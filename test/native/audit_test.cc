// A TorchScript archive is a program: what may run, and what is refused by name before it does.
#include "native/core/archive/open.h"
#include "native/core/archive/operators.h"
#include "native/core/archive/source.h"
#include "native/core/model/component.h"
#include "test/native/testing.h"
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

void readSource(const std::string& source, bool allowAllOperators = false) {
  SourceAudit audit(allowAllOperators);
  audit.read("code/__torch__/x.py", source);
  audit.finish();
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// A class whose forward is `body`, a line each.
std::string classWith(const std::string& body) {
  return "class M(Module):\n  training : bool\n  def forward(self: __torch__.x.M,\n    x: Tensor) -> Tensor:\n    " +
         body + "\n";
}

}  // namespace

TEST_CASE("operators of files are refused by name, wherever they stand") {
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

  // An operator of a name that is allowed, by an overload that is not.
  const auto overload = saved("overload", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return torch.upsample_nearest2d(x, [4, 4])
  )JIT");
  REQUIRE(refusal(overload).find("aten::upsample_nearest2d (") != std::string::npos);

  // In a method that nobody calls, and inside a fork.
  const auto unused = saved("unused", R"JIT(
    def other(self, x: Tensor) -> Tensor:
        return torch.empty_like(x)
    def forward(self, x: Tensor) -> Tensor:
        return x.relu()
  )JIT");
  REQUIRE(refusal(unused).find("aten::empty_like") != std::string::npos);

  const auto plain = saved("plain", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return x.relu()
  )JIT");
  REQUIRE(refusal(plain).empty());
  REQUIRE(!openArchive(plain, false).get_methods().empty());

  // The component's way into a file is the same.
  Component::Options options;
  options.file = writes;
  REQUIRE_CODE("OPERATOR_REFUSED", Component::load(options));
  for (const auto& file : {reads, writes, overload, unused, plain}) std::filesystem::remove(file);
}

TEST_CASE("arguments of operators") {
  const auto dtype = saved("dtype", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return torch.to(x, x.size(0))
  )JIT");
  Component::Options options;
  options.file = dtype;
  REQUIRE_CODE("OPERATOR_REFUSED", Component::load(options));
  const auto known = saved("known", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return torch.to(torch.to(x, 7), x.dtype)
  )JIT");
  options.file = known;
  REQUIRE(Component::load(options)->run({at::ones({2})}).at(0).sum().item<float>() == 2);
  for (const auto& file : {dtype, known}) std::filesystem::remove(file);
}

TEST_CASE("divisions by zero") {
  const auto file = saved("divides", R"JIT(
    def forward(self, x: Tensor) -> Tensor:
        return x + float((7 - x.size(0)) // (x.size(0) - 2)) + float(7 % (x.size(0) - 2))
  )JIT");
  Component::Options options;
  options.file = file;
  const auto component = Component::load(options);
  REQUIRE(component->run({at::zeros({4})}).at(0)[0].item<float>() == 2);
  REQUIRE_CODE("MODEL_FAILED", component->run({at::zeros({2})}));
  std::filesystem::remove(file);
}

TEST_CASE("source text is read before libtorch sees it") {
  readSource(classWith("return torch.relu(x)"));
  readSource(classWith("_0 = ops.prim.NumToTensor(torch.size(x, 0))\n    return torch.add(x, _0)"));
  for (const char* body :
       {"return ops.quantized.linear(x)", "return ops . quantized . \\\n linear(x)", "_0 = ops.prim",
        "return x + torch . save", "_0 = \"x\".center(1000)", "return ops.detail_guidance.tap(x, 0)"}) {
    // torch.save computes no number: it is found once the file is compiled.
    if (std::string(body).find("save") == std::string::npos)
      REQUIRE_CODE("OPERATOR_REFUSED", readSource(classWith(body)));
  }
  for (const char* part : {"__setstate__", "__getstate__"}) {
    REQUIRE_CODE("OPERATOR_REFUSED",
                 readSource("class M(Module):\n  def \\\n" + std::string(part) + "(self, state):\n    pass\n"));
  }
  // Computed while the file is read: defaults, constants of classes.
  REQUIRE_CODE("OPERATOR_REFUSED", readSource("def f(x: Tensor, y: Tensor=torch.zeros([2])) -> Tensor:\n  return x\n"));
  REQUIRE_CODE("OPERATOR_REFUSED", readSource("class N(NamedTuple):\n  y : Tensor = torch.zeros([2])\n"));
  REQUIRE_CODE("OPERATOR_REFUSED", readSource("class N(Enum):\n  y = 1\n"));
  REQUIRE_CODE("OPERATOR_REFUSED", readSource(classWith("x = (self.h : __torch__.torch.classes.a.B)")));
  readSource("def f(x: Tensor, y: int=-1, z: Optional[List[int]]=[1, 2]) -> Tensor:\n  return x\n");
  readSource(
      "class M(Module):\n  __parameters__ = [\"w\", ]\n  __annotations__[\"0\"] = __torch__.y.N\n  w : Tensor\n");
  readSource("def f(x: Tensor, y: Tensor=torch.zeros([2])) -> Tensor:\n  return x\n", true);
}

TEST_CASE("depth and length of source text") {
  const auto unreadable = [](const std::string& source) { REQUIRE_CODE("MODEL_UNREADABLE", readSource(source, true)); };
  unreadable(classWith("return " + repeated("(", 100'000) + "x" + repeated(")", 100'000)));
  unreadable(classWith("return x" + repeated(" + x", 100'000)));
  unreadable(classWith("return " + repeated("-", 100'000) + "x"));
  unreadable(classWith("return x" + repeated(".a", 100'000)));
  unreadable("class M(Module):\n  a : " + repeated("List[", 100'000) + "int" + repeated("]", 100'000) + "\n");
  unreadable(repeated("\n", 1'000'000) + classWith("return x"));
  unreadable(repeated("# \n", 1'000'000) + classWith("return x"));
  std::string nested = "def f(x: Tensor) -> Tensor:\n";
  for (int i = 1; i < 1000; ++i) nested += std::string(i, ' ') + "if bool(x):\n";
  unreadable(nested + std::string(1000, ' ') + "pass\n");
  std::string chain;
  for (int i = 0; i < 10'000; ++i) {
    chain += "def f" + std::to_string(i) + "(x: Tensor) -> Tensor:\n  return __torch__.x.f" + std::to_string(i + 1) +
             "(x)\n";
  }
  unreadable(chain);
  unreadable("class M(Module):\n  \xCE\x94 : Tensor\n");
  // Long, but flat.
  std::string list = "x", lines;
  for (int i = 0; i < 10'000; ++i) list += ", x";
  for (int i = 0; i < 10'000; ++i) lines += "_" + std::to_string(i) + " = torch.relu(x)\n    ";
  readSource(classWith("_a = [" + list + "]\n    " + lines + "return x"));
}

TEST_CASE("an operator is known by its overload") {
  REQUIRE(isAllowedOperator("aten::add", "Tensor"));
  REQUIRE(isAllowedOperator("aten::relu", ""));
  REQUIRE(!isAllowedOperator("aten::empty", "memory_format"));
  REQUIRE(!isAllowedOperator("aten::add", "out"));
}
