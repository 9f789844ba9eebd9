#include "native/core/sampling/evaluator.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "native/core/device/device.h"
#include "native/core/error.h"

namespace dg {
namespace {

void requireRunning(const std::atomic<bool>& cancelled) {
  if (cancelled.load()) throw Error("ABORT_ERR", "The run was aborted.");
}

// What is transplanted may have a row for every image of the plan: those of this group.
Edit forImages(Edit edit, int64_t all, int64_t first, int64_t images) {
  const bool perImage = edit.source.defined() && edit.source.dim() > 0 && edit.source.size(0) == all && all > 1;
  if (perImage) edit.source = edit.source.narrow(0, first, images);
  return edit;
}

// Groups branches that are computed by the same rows: same conditioning, same edits at the sites up to `untilSite`
// (exclusive). Gives for each branch the position of its group's first member.
std::vector<int64_t> groupBranches(const Plan& plan, const std::vector<std::vector<int64_t>>& editSites,
                                   const std::vector<int64_t>& branches, int64_t untilSite) {
  std::map<std::pair<int64_t, std::vector<int64_t>>, int64_t> groups;
  std::vector<int64_t> group;
  for (const auto branch : branches) {
    std::vector<int64_t> seen;
    for (const auto edit : plan.branches[branch].edits) {
      const auto& sites = editSites[edit];
      const bool acts = std::any_of(sites.begin(), sites.end(), [&](int64_t site) { return site < untilSite; });
      if (acts) seen.push_back(edit);
    }
    group.push_back(groups.emplace(std::pair{plan.branches[branch].conditioning, seen}, groups.size()).first->second);
  }
  return group;
}

int64_t countGroups(const std::vector<int64_t>& group) {
  return group.empty() ? 0 : *std::max_element(group.begin(), group.end()) + 1;
}

}  // namespace

// What is decided once for a set of branches: where to cut, which rows carry which branch, which edits act on them.
struct BranchEvaluator::Arrangement {
  const Chain* chain = nullptr;
  std::vector<int64_t> branches;  // evaluated, by index into the plan
  std::vector<int64_t> cuts;
  std::vector<std::vector<int64_t>> states;  // per segment: a branch for each group of rows
  std::vector<RowSelection> selections;      // per cut
  std::vector<HookSet> hooks;                // per segment
  std::vector<int64_t> stateOf;              // per branch: its group of rows in the last segment
  Values fixed;                              // inputs of the first segment on the device; none for latents and timestep
  bool observed = false;                     // some hook looks at hidden states
};

BranchEvaluator::BranchEvaluator(Model& model, const Plan& plan, int64_t firstImage, int64_t images,
                                 const std::atomic<bool>& cancelled, Recorder* recorder)
    : model_(model), plan_(plan), firstImage_(firstImage), images_(images), cancelled_(cancelled), recorder_(recorder) {
  std::set<int64_t> sites, bypassed;
  std::vector<Edit> edits;
  for (const auto& edit : plan.edits) {
    edits.push_back(forImages(edit, plan.latents.size(0), firstImage, images));
    editSites_.push_back(findSites(model.flat().sites, edit.path, edit.tap, edit.stream));
    sites.insert(editSites_.back().begin(), editSites_.back().end());
    if (needsBypass(edit.operation)) {
      bypassed.insert(editSites_.back().begin(), editSites_.back().end());
    }
  }
  for (const auto& adaptive : plan.adaptiveReuse) {
    measuredSites_.push_back(findSites(model.flat().sites, adaptive.path, Tap::input, std::nullopt).front());
    sites.insert(measuredSites_.back());
  }
  measured_.resize(measuredSites_.size());
  if (recorder != nullptr) {
    const auto& recording = recorder->recording();
    sites.insert(recording.sites.begin(), recording.sites.end());
    for (const auto site : recording.sites) {
      if (recording.attention && model.flat().sites[site].tap == Tap::attention) taps_.attended.push_back(site);
    }
  }
  taps_.sites.assign(sites.begin(), sites.end());
  taps_.bypassed.assign(bypassed.begin(), bypassed.end());
  recorded_ = model.recordedPlans().find(plan, edits, images, model.device(), model.workRecorder());
  const auto before = graphs();
  capturedBefore_ = before.captured;
  replayedBefore_ = before.replayed;
}

BranchEvaluator::~BranchEvaluator() = default;

std::vector<int64_t> BranchEvaluator::cutsFor(const std::vector<int64_t>& branches) const {
  std::vector<int64_t> cuts;
  int64_t groups = countGroups(groupBranches(plan_, editSites_, branches, 0));
  for (const auto site : taps_.sites) {
    const auto after = countGroups(groupBranches(plan_, editSites_, branches, site + 1));
    if (after > groups) cuts.push_back(site);
    groups = after;
  }
  return cuts;
}

GraphUse BranchEvaluator::graphs() const {
  GraphUse sum{-capturedBefore_, -replayedBefore_, notCaptured_};
  for (const auto& [wanted, replay] : recorded_->replays()) {
    sum.captured += replay.recordings();
    sum.replayed += replay.replays();
    if (!replay.reason().empty()) sum.reason = replay.reason();
  }
  return sum;
}

// What is the same in every step goes to the device once.
Values BranchEvaluator::fixedInputs(const std::vector<int64_t>& states) const {
  Values values;
  const auto& inputs = model_.inputs();
  size_t conditioningInput = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    if (index == model_.latentInput() || index == model_.timestepInput()) {
      values.emplace_back();
      continue;
    }
    std::vector<at::Tensor> parts;
    for (const auto branch : states) {
      const auto& given = plan_.conditionings[plan_.branches[branch].conditioning].at(conditioningInput);
      if (!inputs[i].batched) {
        parts.assign(1, given);
        break;
      }
      auto sizes = given.sizes().vec();
      sizes[0] = images_;
      parts.push_back(given.size(0) == 1 ? given.expand(sizes) : given.narrow(0, firstImage_, images_));
    }
    values.emplace_back(model_.adapt(parts.size() == 1 ? parts[0].contiguous() : at::cat(parts), index));
    ++conditioningInput;
  }
  return values;
}

Values BranchEvaluator::inputs(const Values& fixed, int64_t states, const at::Tensor& latents, double timestep) const {
  auto values = fixed;
  const auto adapted = model_.adapt(latents, model_.latentInput());
  values[model_.latentInput()] = states == 1 ? adapted : at::cat(std::vector<at::Tensor>(states, adapted));
  // Made on the device: nothing is copied there.
  const auto time = at::full({states * images_}, timestep, at::TensorOptions(at::kFloat).device(model_.device()));
  values[model_.timestepInput()] = model_.adapt(time, model_.timestepInput());
  return values;
}

Values BranchEvaluator::inputs(const Arrangement& arrangement, const at::Tensor& latents, double timestep) const {
  return inputs(arrangement.fixed, static_cast<int64_t>(arrangement.states[0].size()), latents, timestep);
}

std::unique_ptr<BranchEvaluator::Arrangement> BranchEvaluator::build(const std::vector<int64_t>& branches,
                                                                     const std::vector<int64_t>& cuts,
                                                                     const Values& example) {
  auto result = std::make_unique<Arrangement>();
  result->branches = branches;
  result->cuts = cuts;
  result->chain = &model_.chain(taps_, cuts, example);
  std::vector<int64_t> previous;
  for (size_t segment = 0; segment <= cuts.size(); ++segment) {
    const bool isLast = segment == cuts.size();
    // Rows of a segment: groups told apart by the edits of all sites before the next cut.
    const auto until = isLast ? static_cast<int64_t>(model_.flat().sites.size()) : cuts[segment];
    const auto group = groupBranches(plan_, editSites_, branches, until);
    const auto groups = countGroups(group);
    std::vector<int64_t> states(groups, -1);
    HookSet hooks;
    RowSelection selection;
    for (size_t b = 0; b < branches.size(); ++b) {
      if (states[group[b]] >= 0) continue;
      states[group[b]] = branches[b];
      for (int64_t image = 0; segment > 0 && image < images_; ++image) {
        selection.rows.push_back(previous[b] * images_ + image);
      }
      for (const auto edit : plan_.branches[branches[b]].edits) {
        for (const auto site : editSites_[edit]) {
          const bool here = site < until && (segment == 0 || site >= cuts[segment - 1]);
          if (here) hooks.at(site).edits.push_back({&recorded_->edits()[edit], group[b] * images_, images_});
        }
      }
    }
    for (size_t k = 0; k < measuredSites_.size(); ++k) {
      const auto site = measuredSites_[k];
      if (site >= until || (segment > 0 && site < cuts[segment - 1])) continue;
      // The rows of the branch that would stand in for the reused one.
      const auto reference = plan_.branches[plan_.adaptiveReuse[k].branch].reference;
      const auto found = std::find(branches.begin(), branches.end(), reference);
      if (found == branches.end()) continue;
      const auto row = group[found - branches.begin()] * images_;
      result->observed = true;
      hooks.at(site).observe = [this, k, row](const at::Tensor& hidden) {
        measured_[k] = hidden.narrow(0, row, images_).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
      };
    }
    if (recorder_ != nullptr) {
      const auto& wanted = recorder_->recording().sites;
      for (const auto site : result->chain->segments[segment].sites) {
        if (std::find(wanted.begin(), wanted.end(), site) != wanted.end()) addRecords(hooks, site, branches, group);
      }
    }
    if (segment > 0) {
      selection.before = static_cast<int64_t>(result->states.back().size()) * images_;
      selection.index = toDevice(at::tensor(selection.rows, at::kLong), model_.device());
      result->selections.push_back(std::move(selection));
    }
    result->states.push_back(states);
    result->hooks.push_back(std::move(hooks));
    previous = group;
  }
  result->stateOf = previous;
  result->fixed = fixedInputs(result->states[0]);
  return result;
}

// Branches in one group have the same hidden state up to the next cut, and with it at every site of the segment.
void BranchEvaluator::addRecords(HookSet& hooks, int64_t site, const std::vector<int64_t>& branches,
                                 const std::vector<int64_t>& group) {
  std::map<int64_t, std::vector<int64_t>> wanted;  // by group
  for (const auto branch : recorder_->recording().branches) {
    const auto found = std::find(branches.begin(), branches.end(), branch);
    if (found != branches.end()) wanted[group[found - branches.begin()]].push_back(branch);
  }
  if (wanted.empty()) return;
  const auto allRows = countGroups(group) * images_;
  hooks.at(site).recordBeforeEdits = recorder_->recording().beforeEdits;
  hooks.at(site).record = [this, site, wanted, allRows](const at::Tensor& hidden, const AttentionInputs* attention) {
    if (!recording_) return;
    for (const auto& [rows, same] : wanted) recorder_->record(site, same, hidden, allRows, rows * images_, attention);
  };
}

at::Tensor BranchEvaluator::predict(Arrangement& arrangement, const Values& inputs, int64_t step, bool interruptible) {
  const auto& chain = *arrangement.chain;
  std::unordered_map<int64_t, c10::IValue> live;
  for (size_t i = 0; i < inputs.size(); ++i) live[i] = inputs[i];
  Values results;
  for (size_t k = 0; k < chain.segments.size(); ++k) {
    if (interruptible) requireRunning(cancelled_);
    const auto& segment = chain.segments[k];
    if (k > 0) {
      std::unordered_map<int64_t, c10::IValue> gathered;
      const auto& selection = arrangement.selections[k - 1];
      for (const auto id : chain.crossing[k - 1]) {
        gathered[id] = selection.isIdentity() ? live.at(id) : gatherRows(live.at(id), chain.rules.at(id), selection);
      }
      live = std::move(gathered);
    }
    Values arguments;
    for (const auto id : segment.inputs) arguments.push_back(live.at(id));
    if (k + 1 == chain.segments.size()) live.clear();
    arrangement.hooks[k].step = step;
    results = segment.program.run(std::move(arguments), &arrangement.hooks[k]);
    if (k + 1 == chain.segments.size()) break;
    for (size_t i = 0; i < results.size(); ++i) live[segment.outputs[i]] = std::move(results[i]);
  }
  auto prediction = predictionIn(results.at(0));
  const auto rows = static_cast<int64_t>(arrangement.states.back().size()) * images_;
  if (prediction.dim() == 0 || prediction.size(0) != rows) {
    throw Error("MODEL_FAILED", "The model gave " + std::to_string(prediction.dim() ? prediction.size(0) : 0) +
                                    " rows for " + std::to_string(rows) + ": its batch is not its first axis.");
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
    const auto rowsOfBranch = prediction.narrow(0, arrangement.stateOf[b] * images_, images_);
    if (!rowsOfBranch.sizes().equals(latents.sizes())) {
      throw Error("MODEL_FAILED", "The model's prediction does not have the shape of its latents.");
    }
    predictions[arrangement.branches[b]] = rowsOfBranch;
  }
  return predictions;
}

// Empty when the cut model gives what the whole one gives. On the CPU in float32 the two agree to the last bit unless a
// matrix product takes another path for another number of rows; 16 bit types round at every operator.
std::string BranchEvaluator::compare(Arrangement& cut, Arrangement& whole, const at::Tensor& latents, double timestep) {
  const double tolerance = model_.dtype() == at::kFloat ? 1e-4 : model_.dtype() == at::kHalf ? 1e-2 : 5e-2;
  const auto evaluated = [&](Arrangement& arrangement) {
    return split(arrangement, predict(arrangement, inputs(arrangement, latents, timestep), 0, true), latents);
  };
  const auto a = evaluated(cut), b = evaluated(whole);
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!a[i].defined()) continue;
    difference = std::max(difference, (a[i].to(at::kFloat) - b[i].to(at::kFloat)).abs().max().item<double>());
    magnitude = std::max(magnitude, b[i].abs().max().item<double>());
  }
  if (!(difference > tolerance * magnitude)) return "";
  return "the cut model differs from the whole one by " + std::to_string(difference / magnitude) + " (relative)";
}

BranchEvaluator::Arrangement& BranchEvaluator::arrange(const std::vector<uint8_t>& wanted, const at::Tensor& latents,
                                                       double timestep) {
  auto& slot = arrangements_[wanted];
  if (slot) return *slot;
  std::vector<int64_t> branches;
  for (size_t b = 0; b < wanted.size(); ++b) {
    if (wanted[b]) branches.push_back(static_cast<int64_t>(b));
  }
  const auto example = inputs(fixedInputs({branches[0]}), 1, latents, timestep);
  const auto cuts = plan_.partialForward ? cutsFor(branches) : std::vector<int64_t>{};
  if (!cuts.empty()) {
    // Compared with the uncut model once for every set of cuts a model meets.
    const bool isNew = !model_.cutFindings.count(cuts);
    std::string reason = isNew ? "" : model_.cutFindings[cuts];
    try {
      if (reason.empty()) slot = build(branches, cuts, example);
      if (isNew) reason = compare(*slot, *build(branches, {}, example), latents, timestep);
    } catch (const Error&) {
      throw;
    } catch (const std::runtime_error& error) {
      reason = error.what();
    }
    model_.cutFindings[cuts] = reason;
    partialForward_.shared = partialForward_.shared || reason.empty();
    if (!reason.empty()) partialForward_.reason = reason;
    for (const auto site : cuts) {
      const auto& path = model_.flat().sites[site].path;
      const bool known = std::find(partialForward_.cuts.begin(), partialForward_.cuts.end(), path) != partialForward_.cuts.end();
      if (reason.empty() && !known) partialForward_.cuts.push_back(path);
    }
    if (!reason.empty()) slot = nullptr;
  }
  if (!slot) slot = build(branches, {}, example);
  return *slot;
}

std::vector<at::Tensor> BranchEvaluator::evaluate(const std::vector<uint8_t>& wanted, const at::Tensor& latents,
                                                  double timestep, int64_t step) {
  auto& arrangement = arrange(wanted, latents, timestep);
  recorded_->prepare(step);
  const auto given = inputs(arrangement, latents, timestep);
  requireRunning(cancelled_);
  auto* workRecorder = model_.workRecorder();
  if (workRecorder == nullptr || recorder_ != nullptr || arrangement.observed) {
    if (workRecorder != nullptr) notCaptured_ = "hidden states are looked at while they are computed";
    // Not before: while branches are arranged, the model is run to compare.
    recording_ = recorder_ != nullptr && recorder_->isActive();
    const auto prediction = predict(arrangement, given, step, true);
    recording_ = false;
    return split(arrangement, prediction, latents);
  }
  // The arrangement ends with this evaluator, a recording does not.
  std::vector<at::Tensor> reads;
  for (const auto& selection : arrangement.selections) reads.push_back(selection.index);
  auto& replay = recorded_->replayOf(wanted);
  const auto prediction =
      replay.run(given, [&](const Values& values) { return predict(arrangement, values, step, false); }, reads);
  return split(arrangement, prediction, latents);
}

}  // namespace dg
