// Every operator that a model file may call, with arguments it is not made for: it may throw, and it may not end the
// process. Each runs in a process of its own. DETAIL_GUIDANCE_OPERATOR_TRIALS and DETAIL_GUIDANCE_OPERATOR_SEED try
// more than the tests do.
#include "native/core/archive/operators.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/runtime/operator.h>
#ifndef _WIN32
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "native/core/archive/arithmetic.h"
#include "test/native/allowance.h"
#include "test/native/testing.h"

#ifndef _WIN32
namespace {

using c10::IValue;
using c10::TypeKind;
using torch::jit::Operator;

constexpr unsigned kSeconds = 20;
constexpr int64_t kMemory = int64_t{3} << 30;

class Arguments {
 public:
  explicit Arguments(unsigned seed) : random_(seed) {}

  // nullopt: a type of which nothing is made here.
  std::optional<IValue> make(const c10::Argument& argument) {
    const auto& name = argument.name();
    if (argument.default_value() && chance(0.4)) return argument.default_value();
    // As audit.h lets them through.
    if (name == "dtype") return chance(0.3) ? IValue() : IValue(pick<int64_t>({0, 1, 3, 4, 5, 6, 7, 9, 11, 15}));
    if (name == "layout" || name == "memory_format" || name == "pin_memory") return IValue();
    if (name == "rounding_mode") return chance(0.5) ? IValue() : IValue("floor");
    return make(*argument.type());
  }

 private:
  template <typename T>
  T pick(std::vector<T> items) {
    return items[random_() % items.size()];
  }
  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }

  std::optional<IValue> make(const c10::Type& type) {
    switch (type.kind()) {
      case TypeKind::TensorType:
        return tensor();
      case TypeKind::IntType:
      case TypeKind::SymIntType:
        return integer();
      case TypeKind::FloatType:
        return real();
      case TypeKind::NumberType:
        return chance(0.5) ? IValue(integer()) : IValue(real());
      case TypeKind::ComplexType:
        return IValue(c10::complex<double>(real(), real()));
      case TypeKind::BoolType:
      case TypeKind::SymBoolType:
        return chance(0.5);
      case TypeKind::StringType:
        return pick<std::string>({"",        "mean", "sum",   "prod",  "amax",   "constant", "reflect",
                                  "ij",      "xy",   "same",  "valid", "linear", "tanh",     "ij,jk->ik",
                                  "...i->i", "i->",  "{} {}", "%d %s", "fro",    "nuc",      "x"});
      case TypeKind::DeviceObjType:
        return at::Device(at::kCPU);
      case TypeKind::NoneType:
        return IValue();
      case TypeKind::OptionalType:
        return chance(0.4) ? std::optional(IValue()) : make(*type.containedType(0));
      case TypeKind::ListType:
        return list(type.containedType(0));
      default:
        return std::nullopt;
    }
  }

  std::optional<IValue> list(const c10::TypePtr& of) {
    const auto element = of->kind() == TypeKind::VarType ? c10::TypePtr(c10::IntType::get()) : of;
    c10::impl::GenericList items(element->kind() == TypeKind::SymIntType ? c10::TypePtr(c10::IntType::get()) : element);
    const auto count = pick<int>({0, 1, 2, 2, 3, 4, 4, 6});
    for (int i = 0; i < count; ++i) {
      auto item = make(*element);
      if (!item) return std::nullopt;
      items.push_back(std::move(*item));
    }
    return IValue(std::move(items));
  }

  int64_t integer() {
    constexpr auto most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
    if (chance(0.8)) return pick<int64_t>({0, 1, 2, 3, 4, 5, 8, -1, -2, -3});
    return pick<int64_t>(
        {1000, 65536, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 40, most, most - 1, least, least + 1});
  }

  double real() {
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    return pick<double>({0, 1, -1, 0.5, 2, 1e-5, 1e-310, 1e300, infinity, -infinity, std::nan(""), 3});
  }

  at::Tensor tensor() {
    const auto shape = pick<std::vector<int64_t> >({{},
                                                    {0},
                                                    {1},
                                                    {4},
                                                    {4},
                                                    {2, 3},
                                                    {3, 3},
                                                    {3, 4},
                                                    {4, 4},
                                                    {2, 3, 4},
                                                    {0, 3},
                                                    {1, 3, 4, 4},
                                                    {2, 4, 4, 4},
                                                    {3, 3, 3, 3},
                                                    {1, 2, 3, 4, 5},
                                                    {2, 0, 4, 4},
                                                    {1, 4, 8, 8},
                                                    {4, 1, 1, 1}});
    const auto dtype = pick<at::ScalarType>({at::kFloat, at::kFloat, at::kFloat, at::kLong, at::kLong, at::kDouble,
                                             at::kInt, at::kBool, at::kHalf, at::kBFloat16, at::kByte, at::kChar,
                                             at::kShort, at::kComplexFloat});
    at::Tensor made = at::rand(shape).mul(6).sub(2);
    if (chance(0.2) && made.numel() > 0) made.view(-1)[0] = real();
    made = made.to(dtype);
    if (dtype == at::kLong && chance(0.3) && made.numel() > 0) made.view(-1)[0] = integer();
    if (chance(0.1) && made.dim() > 1) made = made.transpose(0, 1);
    if (chance(0.05) && made.dim() > 0) made = made.narrow(0, 0, made.size(0) / 2);
    if (chance(0.05)) {
      auto sizes = made.sizes().vec();
      sizes.insert(sizes.begin(), 3);
      made = made.unsqueeze(0).expand(sizes);
    }
    return made;
  }

  std::mt19937 random_;
};

// Whether all its types are ones that Arguments makes.
bool isTried(const Operator& found) {
  Arguments arguments(0);
  if (found.schema().is_vararg()) return false;
  for (const auto& argument : found.schema().arguments()) {
    if (!arguments.make(argument)) return false;
  }
  return true;
}

void tryOperator(const Operator& found, int trials, unsigned seed) {
  const c10::InferenceMode inference;
  auto operation = found.getOperation();
  Arguments arguments(seed);
  for (int trial = 0; trial < trials; ++trial) {
    try {
      torch::jit::Stack stack;
      for (const auto& argument : found.schema().arguments()) stack.push_back(*arguments.make(argument));
      operation(stack);
      // What a result says it has is there: all of it is read.
      for (const auto& value : stack) {
        if (value.isTensor() && value.toTensor().defined() && value.toTensor().numel() < (1 << 24)) {
          (void)value.toTensor().clone().contiguous();
        }
      }
    } catch (const std::exception&) {
      continue;
    }
  }
}

// Empty, or how the process ended.
std::string endOf(const Operator& found, int trials, unsigned seed) {
  const auto child = fork();
  if (child == 0) {
    const auto most = static_cast<rlim_t>(dg::test::allowance(kMemory));
    const rlimit memory{most, most}, core{0, 0};
    setrlimit(RLIMIT_DATA, &memory);
    setrlimit(RLIMIT_CORE, &core);
    std::freopen("/dev/null", "w", stderr);
    alarm(kSeconds);
    at::set_num_threads(1);
    tryOperator(found, trials, seed);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGALRM ? "" : "signal " + std::to_string(WTERMSIG(status));
  return status == 0 ? "" : "status " + std::to_string(status);
}

int numberOf(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

TEST_CASE("no operator that a file may call ends the process") {
  const int trials = numberOf("DETAIL_GUIDANCE_OPERATOR_TRIALS", 5);
  const auto seed = static_cast<unsigned>(numberOf("DETAIL_GUIDANCE_OPERATOR_SEED", 1));
  dg::guardArithmetic();
  int tried = 0, skipped = 0, ended = 0;
  for (const auto& full : dg::allowedOperators()) {
    const auto dot = full.find('.', full.find("::"));
    const auto name = full.substr(0, dot), overload = dot == std::string::npos ? "" : full.substr(dot + 1);
    for (const auto& found : torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(name))) {
      if (found->schema().overload_name() != overload) continue;
      if (!isTried(*found)) {
        ++skipped;
        continue;
      }
      ++tried;
      const auto end = endOf(*found, trials, seed);
      if (end.empty()) continue;
      ++ended;
      std::printf("%s: %s\n", full.c_str(), end.c_str());
      std::fflush(stdout);
    }
  }
  std::printf("%d operators tried %d times each, %d of other types, %d ended the process\n", tried, trials, skipped,
              ended);
  REQUIRE(tried > 500);
  REQUIRE(ended == 0);
}
#endif
