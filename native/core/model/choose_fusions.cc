#include "native/core/model/choose_fusions.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <vector>

#include "native/core/graph/pack.h"
#include "native/core/model/prediction.h"
#include "native/core/operators/product_way.h"

namespace dg {
namespace {

// A kind that needs no comparison: on the CPU in float32 it rounds where the separate operators do. With an own product
// comes a LayerNorm of our own (layer_norm.h).
bool isExact(const std::string& kind) {
  return kind == "residual" || kind == "update" || (kind == "modulation" && !hasOwnProduct(at::kFloat));
}

// Of layers that round to 8 bits: the step of a scale is 4·10⁻³ of the range.
constexpr double kQuantisedTolerance = 2e-2;

class Comparison {
 public:
  Comparison(const FlatModel& model, const Values& example, double tolerance)
      : model_(model), example_(example), tolerance_(tolerance), expected_(outputWith(Fusions{})) {
    magnitude_ = expected_.abs().max().item<double>();
  }

  bool differs(const Fusions& fusions) const {
    const double difference = (outputWith(fusions) - expected_).abs().max().item<double>();
    return !(difference <= tolerance_ * magnitude_);
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

FusionChoice chooseFusions(FlatModel& model, const Fusions& requested, const Values& example, at::ScalarType dtype,
                           bool isQuantised) {
  FusionChoice choice{requested, ""};
  unpackLinears(*model.graph);
  const Comparison comparison(
      model, example, isQuantised ? std::max(fusionTolerance(dtype), kQuantisedTolerance) : fusionTolerance(dtype));
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
