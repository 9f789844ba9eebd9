#include "native/core/model/choose_fusions.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "native/core/error.h"
#include "native/core/graph/pack.h"
#include "native/core/model/prediction.h"
#include "native/core/operators/product_way.h"

namespace dg {
namespace {

// Of layers that round to 8 bits: the step of a scale is 4·10⁻³ of the range.
constexpr double kQuantisedTolerance = 2e-2;

class Comparison {
 public:
  Comparison(const FlatModel& model, const Values& example, double tolerance)
      : model_(model), example_(example), tolerance_(tolerance), expected_(outputWith(Fusions{})) {
    magnitude_ = expected_.abs().max().item<double>();
  }

  // Whether there is something to compare with.
  bool isFinite() const { return std::isfinite(magnitude_); }

  // A rewritten program that fails where the plain one did not is no use either.
  bool differs(const Fusions& fusions) const {
    try {
      const double difference = (outputWith(fusions) - expected_).abs().max().item<double>();
      return !(difference <= tolerance_ * magnitude_);
    } catch (const Error& error) {
      if (error.code != "MODEL_FAILED") throw;
      return true;
    }
  }

  double tolerance() const { return tolerance_; }

 private:
  at::Tensor outputWith(const Fusions& fusions) const {
    return predictionIn(Program(selectTaps(model_, {}, fusions)).run(example_).at(0)).to(at::kFloat);
  }

  const FlatModel& model_;
  const Values& example_;
  double tolerance_, magnitude_ = 0;
  at::Tensor expected_;
};

// Whether the weights are packed now: not where this processor has no such product.
bool pack(FlatModel& model, std::string& why) {
  try {
    packLinears(*model.graph);
    return true;
  } catch (const c10::Error& error) {
    unpackLinears(*model.graph);
    const std::string text = error.what_without_backtrace();
    why = "not packed, since this processor has no such product: " + text.substr(0, text.find('\n'));
    return false;
  }
}

void add(std::string& text, const std::string& more) { text += (text.empty() ? "" : "; ") + more; }

}  // namespace

bool isExact(const std::string& kind) {
  return kind == "residual" || kind == "update" || (kind == "modulation" && !hasOwnProduct(at::kFloat));
}

FusionChoice chooseFusions(FlatModel& model, const Fusions& requested, const Values& example, at::ScalarType dtype,
                           bool isQuantised) {
  FusionChoice choice{requested, ""};
  unpackLinears(*model.graph);
  const Comparison comparison(
      model, example, isQuantised ? std::max(fusionTolerance(dtype), kQuantisedTolerance) : fusionTolerance(dtype));
  if (!comparison.isFinite()) {
    return {Fusions{}, "not fused, since the plain model's result is not finite and nothing can be compared with it",
            false};
  }
  const std::string beyond = "since the result differs from the plain model's by more than " +
                             std::to_string(comparison.tolerance()) + " (relative)";
  if (requested.pack) {
    std::string why;
    bool isPacked = pack(model, why);
    if (isPacked && comparison.differs(Fusions::named({"pack"}))) {
      unpackLinears(*model.graph);
      isPacked = false;
      why = "not packed, " + beyond;
    }
    choice.fusions.pack = isPacked;
    if (!isPacked) add(choice.finding, why);
  }
  bool isCompared = dtype != at::kFloat || !example.at(0).toTensor().is_cpu();
  for (const auto& kind : requested.names()) isCompared = isCompared || (kind != "pack" && !isExact(kind));
  if (!isCompared || !comparison.differs(choice.fusions)) return choice;
  std::vector<std::string> accepted, dropped;
  const auto with = [&](std::vector<std::string> kinds) {
    if (choice.fusions.pack) kinds.emplace_back("pack");
    return Fusions::named(kinds);
  };
  for (const auto& kind : requested.names()) {
    if (kind != "pack") (comparison.differs(with({kind})) ? dropped : accepted).push_back(kind);
  }
  // None of them alone, but together: then none.
  if (dropped.empty() || comparison.differs(with(accepted))) {
    dropped.insert(dropped.end(), accepted.begin(), accepted.end());
    accepted.clear();
  }
  choice.fusions = with(accepted);
  std::string names;
  for (const auto& kind : dropped) names += (names.empty() ? "" : ", ") + kind;
  add(choice.finding, "not fused, " + beyond + ": " + names);
  return choice;
}

}  // namespace dg
