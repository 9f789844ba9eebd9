#include "native/core/sampling/evaluator.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <stdexcept>
#include <utility>

#include "native/core/cancellation.h"
#include "native/core/device/device.h"
#include "native/core/error.h"
#include "native/core/graph/batch.h"
#include "native/core/model/prediction.h"
#include "native/core/model/run_chain.h"

namespace dg {
namespace {

// What is transplanted may have a row for every image of the plan: those of this group.
Edit forImages(Edit edit, int64_t all, int64_t first, int64_t images) {
  const bool perImage = edit.source.defined() && edit.source.dim() > 0 && edit.source.size(0) == all && all > 1;
  if (perImage) edit.source = edit.source.narrow(0, first, images);
  return edit;
}

void append(std::vector<int64_t>& numbers, const std::vector<int64_t>& list) {
  numbers.push_back(static_cast<int64_t>(list.size()));
  numbers.insert(numbers.end(), list.begin(), list.end());
}

int64_t bitsOf(double value) {
  int64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

void append(std::vector<int64_t>& numbers, const Recording& recording) {
  const auto& [channels, percentiles, tokens, top] = recording.statistics;
  append(numbers, recording.sites);
  append(numbers, recording.branches);
  const auto tensors = recording.tensors ? static_cast<int64_t>(*recording.tensors) : int64_t{-1};
  append(numbers, {channels, tokens, top, recording.attention, recording.beforeEdits, tensors});
  for (const auto percentile : percentiles) numbers.push_back(bitsOf(percentile));
}

// What tells plans apart for device graphs: how many rows there are, what they are conditioned by, edited with and what
// is seen of them.
std::vector<int64_t> structureOf(const Plan& plan, int64_t images, const std::vector<int64_t>& measured,
                                 const Recorder* recorder) {
  std::vector<int64_t> numbers{images, plan.partialForward ? 1 : 0};
  for (const auto& branch : plan.branches) {
    numbers.push_back(branch.conditioning);
    append(numbers, branch.edits);
  }
  append(numbers, measured);
  for (const auto& adaptive : plan.adaptiveReuse) numbers.push_back(plan.branches[adaptive.branch].reference);
  if (recorder != nullptr) append(numbers, recorder->recording());
  return numbers;
}

RowSelection rowsFrom(const std::vector<int64_t>& groups, int64_t groupsBefore, int64_t images, at::Device device) {
  RowSelection selection;
  selection.before = groupsBefore * images;
  for (const auto group : groups) {
    for (int64_t image = 0; image < images; ++image) selection.rows.push_back(group * images + image);
  }
  selection.index = toDevice(at::tensor(selection.rows, at::kLong), device);
  return selection;
}

}  // namespace

// Ready to run: what is decided once for a set of branches.
struct BranchEvaluator::Arrangement {
  std::shared_ptr<const Chain> chain;
  std::vector<int64_t> branches;  // evaluated, by index into the plan
  std::vector<SegmentRows> segments;
  std::vector<RowSelection> selections;  // per cut
  std::vector<HookSet> hooks;            // per segment
  Values fixed;                          // inputs of the first segment on the device; none for latents and timestep
};

BranchEvaluator::BranchEvaluator(Model& model, const Plan& plan, int64_t firstImage, int64_t images, Recorder* recorder)
    : model_(model), plan_(plan), images_(images), inputs_(model, plan, firstImage, images), recorder_(recorder) {
  std::set<int64_t> sites, bypassed;
  GraphStructure structure;
  for (const auto& edit : plan.edits) {
    structure.edits.push_back(forImages(edit, plan.latents.size(0), firstImage, images));
    const auto& acted = sitesOfEdit_.emplace_back(findSites(model.flat().sites, edit.path, edit.tap, edit.stream));
    sites.insert(acted.begin(), acted.end());
    if (needsBypass(edit.operation)) bypassed.insert(acted.begin(), acted.end());
  }
  for (const auto& adaptive : plan.adaptiveReuse) {
    measuredSites_.push_back(findSites(model.flat().sites, adaptive.path, TapSide::input, std::nullopt).front());
    sites.insert(measuredSites_.back());
  }
  measured_.resize(measuredSites_.size());
  observed_.resize(measuredSites_.size());
  if (recorder != nullptr) {
    const auto& recording = recorder->recording();
    sites.insert(recording.sites.begin(), recording.sites.end());
    for (const auto site : recording.sites) {
      if (recording.attention && model.flat().sites[site].tap == TapSide::attention) taps_.attended.push_back(site);
    }
  }
  taps_.sites.assign(sites.begin(), sites.end());
  taps_.bypassed.assign(bypassed.begin(), bypassed.end());
  structure.numbers = structureOf(plan, images, measuredSites_, recorder);
  graphs_ = model.evaluationGraphs().find(structure, model.device(), model.graphCapturer());
  const auto before = graphs();
  capturedBefore_ = before.captured;
  replayedBefore_ = before.replayed;
}

BranchEvaluator::~BranchEvaluator() = default;

GraphUse BranchEvaluator::graphs() const {
  GraphUse sum{-capturedBefore_, -replayedBefore_, notCaptured_};
  for (const auto& [branchMask, evaluation] : graphs_->evaluations()) {
    sum.captured += evaluation.captured();
    sum.replayed += evaluation.replayed();
    if (!evaluation.reason().empty()) sum.reason = evaluation.reason();
  }
  return sum;
}

Values BranchEvaluator::inputs(const Arrangement& arrangement, const at::Tensor& latents, double timestep) const {
  const auto branches = static_cast<int64_t>(arrangement.segments[0].branches.size());
  return inputs_.complete(arrangement.fixed, branches, latents, timestep);
}

std::unique_ptr<BranchEvaluator::Arrangement> BranchEvaluator::build(const std::vector<int64_t>& branches,
                                                                     const std::vector<int64_t>& cuts,
                                                                     const Values& example) {
  auto result = std::make_unique<Arrangement>();
  result->branches = branches;
  result->chain = model_.chain(taps_, cuts, example);
  result->segments =
      arrangeRows({plan_.branches, sitesOfEdit_}, branches, cuts, static_cast<int64_t>(model_.flat().sites.size()));
  for (size_t k = 0; k < result->segments.size(); ++k) {
    const auto& rows = result->segments[k];
    if (k > 0) {
      const auto before = static_cast<int64_t>(result->segments[k - 1].branches.size());
      result->selections.push_back(rowsFrom(rows.source, before, images_, model_.device()));
    }
    result->hooks.push_back(hooksOf(rows, branches, result->chain->segments[k].sites));
  }
  result->fixed = inputs_.fixed(result->segments[0].branches);
  return result;
}

// `tapped`: the sites whose taps the segment holds.
HookSet BranchEvaluator::hooksOf(const SegmentRows& rows, const std::vector<int64_t>& branches,
                                 const std::vector<int64_t>& tapped) {
  HookSet hooks;
  for (const auto& [edit, site, group] : rows.edits) {
    hooks.at(site).edits.push_back({&graphs_->edits()[edit], group * images_, images_});
  }
  for (size_t k = 0; k < measuredSites_.size(); ++k) {
    if (!rows.holds(measuredSites_[k])) continue;
    // The rows of the branch that would stand in for the reused one.
    const auto reference = plan_.branches[plan_.adaptiveReuse[k].branch].reference;
    const auto position = std::find(branches.begin(), branches.end(), reference);
    if (position == branches.end()) continue;
    const auto row = rows.group[position - branches.begin()] * images_;
    hooks.at(measuredSites_[k]).observe = [this, k, row](const at::Tensor& hidden) {
      observed_[k] = hidden.narrow(0, row, images_).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    };
  }
  if (recorder_ == nullptr) return hooks;
  const auto& recording = recorder_->recording();
  const auto groups = recordedGroups(rows.group, branches, recording.branches);
  const auto allRows = static_cast<int64_t>(rows.branches.size()) * images_;
  for (const auto site : tapped) {
    const bool isRecorded = std::find(recording.sites.begin(), recording.sites.end(), site) != recording.sites.end();
    if (!isRecorded || groups.empty()) continue;
    hooks.at(site).recordBeforeEdits = recording.beforeEdits;
    hooks.at(site).record = [this, site, groups, allRows](const at::Tensor& hidden, const AttentionInputs* attention) {
      if (recording_) recorder_->record(site, groups, hidden, allRows, attention);
    };
  }
  return hooks;
}

at::Tensor BranchEvaluator::predict(Arrangement& arrangement, const Values& inputs, int64_t step) {
  for (auto& hooks : arrangement.hooks) hooks.step = step;
  const auto results = runChain(*arrangement.chain, inputs, arrangement.selections, arrangement.hooks);
  auto prediction = predictionIn(results.at(0));
  const auto rows = static_cast<int64_t>(arrangement.segments.back().branches.size()) * images_;
  if (prediction.dim() == 0 || prediction.size(0) != rows) {
    throw Error("MODEL_FAILED", "The model gave " + std::to_string(prediction.dim() ? prediction.size(0) : 0) +
                                    " rows for " + std::to_string(rows) + ": its batch is not its first axis.");
  }
  if (!prediction.is_floating_point()) {
    throw Error("MODEL_FAILED", std::string("The model gave numbers of the type ") +
                                    c10::toString(prediction.scalar_type()) + ": expected floating-point ones.");
  }
  if (model_.outputChannels() > 0 && prediction.dim() == 4 && prediction.size(1) > model_.outputChannels()) {
    prediction = prediction.narrow(1, 0, model_.outputChannels());
  }
  return prediction;
}

std::vector<at::Tensor> BranchEvaluator::split(const Arrangement& arrangement, const at::Tensor& prediction,
                                               const at::Tensor& latents) const {
  std::vector<at::Tensor> predictions(plan_.branches.size());
  for (size_t b = 0; b < arrangement.branches.size(); ++b) {
    const auto rowsOfBranch = prediction.narrow(0, arrangement.segments.back().group[b] * images_, images_);
    if (!rowsOfBranch.sizes().equals(latents.sizes())) {
      throw Error("MODEL_FAILED", "The model's prediction does not have the shape of its latents.");
    }
    predictions[arrangement.branches[b]] = rowsOfBranch;
  }
  return predictions;
}

// Of such latents the next ones have to show it.
constexpr const char* kNothingToCompare = "the whole model's result is not finite, so that the cut one is not compared";

// Empty when the cut model gives what the whole one gives. On the CPU in float32 the two agree to the last bit unless a
// matrix product takes another path for another number of rows; 16 bit types round at every operator.
std::string BranchEvaluator::compare(Arrangement& cut, Arrangement& whole, const at::Tensor& latents, double timestep) {
  const double tolerance = model_.dtype() == at::kFloat ? 1e-4 : model_.dtype() == at::kHalf ? 1e-2 : 5e-2;
  const auto evaluated = [&](Arrangement& arrangement) {
    return split(arrangement, predict(arrangement, inputs(arrangement, latents, timestep), 0), latents);
  };
  const auto a = evaluated(cut), b = evaluated(whole);
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].defined()) continue;
    if (!b[i].isfinite().all().item<bool>()) return kNothingToCompare;
    const auto apart = (a[i].to(at::kFloat) - b[i].to(at::kFloat)).abs().max().item<double>();
    difference = std::isnan(apart) ? apart : std::max(difference, apart);  // where either is NaN so is this
    magnitude = std::max(magnitude, b[i].abs().max().item<double>());
  }
  if (difference <= tolerance * magnitude) return "";
  return "the cut model differs from the whole one by " + std::to_string(difference / magnitude) + " (relative)";
}

void BranchEvaluator::report(const std::vector<int64_t>& cuts, const std::string& reason) {
  if (!reason.empty()) {
    partialForward_.reason = reason;
    return;
  }
  partialForward_.shared = true;
  for (const auto site : cuts) {
    auto& known = partialForward_.cuts;
    const auto& path = model_.flat().sites[site].path;
    if (std::find(known.begin(), known.end(), path) == known.end()) known.push_back(path);
  }
}

BranchEvaluator::Arrangement& BranchEvaluator::arrange(const std::vector<uint8_t>& branchMask,
                                                       const at::Tensor& latents, double timestep) {
  auto& slot = arrangements_[branchMask];
  if (slot) return *slot;
  std::vector<int64_t> branches;
  for (size_t b = 0; b < branchMask.size(); ++b) {
    if (branchMask[b]) branches.push_back(static_cast<int64_t>(b));
  }
  const auto example = inputs_.complete(inputs_.fixed({branches[0]}), 1, latents, timestep);
  const auto cuts =
      plan_.partialForward ? findCuts({plan_.branches, sitesOfEdit_}, branches, taps_.sites) : std::vector<int64_t>{};
  std::unique_ptr<Arrangement> arrangement;
  if (!cuts.empty()) {
    // Compared with the uncut model once for every set of cuts a model meets.
    const auto* known = model_.cutFindings.find(cuts);
    const bool isNew = known == nullptr;
    std::string reason = isNew ? "" : *known;
    try {
      if (reason.empty()) arrangement = build(branches, cuts, example);
      if (isNew) reason = compare(*arrangement, *build(branches, {}, example), latents, timestep);
    } catch (const Error&) {
      throw;
    } catch (const std::runtime_error& error) {
      reason = error.what();
    }
    if (reason != kNothingToCompare) model_.cutFindings.put(cuts, reason);
    report(cuts, reason);
    if (!reason.empty()) arrangement = nullptr;
  }
  slot = arrangement ? std::move(arrangement) : build(branches, {}, example);
  return *slot;
}

std::vector<at::Tensor> BranchEvaluator::evaluate(const std::vector<uint8_t>& branchMask, const at::Tensor& latents,
                                                  double timestep, int64_t step) {
  requireNotCancelled();
  const auto deadline = model_.firstEvaluation();
  auto& arrangement = arrange(branchMask, latents, timestep);
  graphs_->prepare(step);
  const auto modelInputs = inputs(arrangement, latents, timestep);
  const bool records = recorder_ != nullptr && recorder_->isActive();
  const auto compute = [&](const Values& values) { return observe(arrangement, values, step, records); };
  const bool mayWait = records && !recorder_->waitsForStep();
  if (mayWait && model_.graphCapturer() != nullptr) {
    notCaptured_ = "whole hidden states are recorded while they are computed";
  }
  Evaluation evaluation;
  if (mayWait) {
    evaluation = compute(modelInputs);
  } else {
    // The arrangement ends with this evaluator, a graph does not.
    std::vector<at::Tensor> reads;
    for (const auto& selection : arrangement.selections) reads.push_back(selection.index);
    evaluation = graphs_->evaluationOf(branchMask, records).run(modelInputs, compute, reads);
  }
  for (size_t k = 0; k < measured_.size(); ++k) {
    // Compared with the next one, which overwrites it where it is replayed.
    if (evaluation.observed[k].defined()) measured_[k] = evaluation.observed[k].clone();
  }
  if (records) recorder_->put(std::move(evaluation.recorded));
  model_.evaluated();
  return split(arrangement, evaluation.prediction, latents);
}

Evaluation BranchEvaluator::observe(Arrangement& arrangement, const Values& inputs, int64_t step, bool records) {
  observed_.assign(measuredSites_.size(), {});
  // Not before: while branches are arranged, the model is run to compare.
  const auto before = std::exchange(recording_, records);
  if (records) recorder_->put({});
  Evaluation evaluation;
  evaluation.prediction = predict(arrangement, inputs, step);
  recording_ = before;
  evaluation.observed = std::exchange(observed_, std::vector<at::Tensor>(measuredSites_.size()));
  if (records) evaluation.recorded = recorder_->recorded();
  return evaluation;
}

std::optional<int64_t> BranchEvaluator::firstNonFiniteSite(int64_t branch, const at::Tensor& latents, double timestep,
                                                           int64_t step) {
  TapSelection everywhere{{}, taps_.bypassed, {}};
  for (size_t site = 0; site < model_.flat().sites.size(); ++site) {
    everywhere.sites.push_back(static_cast<int64_t>(site));
  }
  const auto values = inputs_.complete(inputs_.fixed({branch}), 1, latents, timestep);
  const auto whole = model_.chain(everywhere, {}, values);
  std::optional<int64_t> first;
  HookSet hooks;
  hooks.step = step;
  graphs_->prepare(step);
  for (const auto site : everywhere.sites) {
    hooks.at(site).record = [&first, site](const at::Tensor& hidden, const AttentionInputs*) {
      const bool isKnown = first || !hidden.is_floating_point();
      if (!isKnown && !at::isfinite(hidden).all().item<bool>()) first = site;
    };
  }
  for (const auto edit : plan_.branches[branch].edits) {
    for (const auto site : sitesOfEdit_[edit]) hooks.at(site).edits.push_back({&graphs_->edits()[edit], 0, images_});
  }
  runChain(*whole, values, {}, {hooks});
  return first;
}

bool BranchEvaluator::isEdited(int64_t site, int64_t branch) const {
  const auto& edits = plan_.branches[branch].edits;
  return std::any_of(edits.begin(), edits.end(), [&](int64_t edit) {
    const auto& sites = sitesOfEdit_[edit];
    return std::find(sites.begin(), sites.end(), site) != sites.end();
  });
}

}  // namespace dg
