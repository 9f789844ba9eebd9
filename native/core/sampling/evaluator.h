#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/core/model/model.h"
#include "native/core/sampling/execution.h"
#include "native/core/sampling/plan.h"
#include "native/core/recording/record.h"
#include "native/core/model/evaluation_graphs.h"

namespace dg {

// Evaluates the branches of a plan for a group of images. Branches with the same conditioning run as the same rows
// until the first edit that tells them apart.
class BranchEvaluator {
 public:
  // `cancelled` is looked at between the segments of an evaluation: throws ABORT_ERR when it is set. `recorder` may be
  // null.
  BranchEvaluator(Model& model, const Plan& plan, int64_t firstImage, int64_t images,
                  const std::atomic<bool>& cancelled, Recorder* recorder);
  ~BranchEvaluator();

  // D_b for the wanted branches (undefined for the others): [images, C, H, W] in the dtype that the model gives.
  // `latents` is what the model is given, float32. The next call may overwrite what this one returned.
  std::vector<at::Tensor> evaluate(const std::vector<uint8_t>& wanted, const at::Tensor& latents, double timestep,
                                   int64_t step);

  // What Plan::adaptiveReuse measures, in the last evaluation: hidden states of the reference's rows.
  const std::vector<at::Tensor>& measured() const { return measured_; }

  const PartialForward& partialForward() const { return partialForward_; }

  // Since the evaluator was made.
  GraphUse graphs() const;

 private:
  struct Arrangement;

  Arrangement& arrange(const std::vector<uint8_t>& wanted, const at::Tensor& latents, double timestep);
  std::unique_ptr<Arrangement> build(const std::vector<int64_t>& branches, const std::vector<int64_t>& cuts,
                                     const Values& example);
  std::vector<int64_t> cutsFor(const std::vector<int64_t>& branches) const;
  Values fixedInputs(const std::vector<int64_t>& states) const;
  Values inputs(const Arrangement& arrangement, const at::Tensor& latents, double timestep) const;
  Values inputs(const Values& fixed, int64_t states, const at::Tensor& latents, double timestep) const;
  at::Tensor predict(Arrangement& arrangement, const Values& inputs, int64_t step, bool interruptible);
  std::vector<at::Tensor> split(const Arrangement& arrangement, const at::Tensor& prediction,
                                const at::Tensor& latents) const;
  void addRecords(HookSet& hooks, int64_t site, const std::vector<int64_t>& branches,
                  const std::vector<int64_t>& group);
  std::string compare(Arrangement& cut, Arrangement& whole, const at::Tensor& latents, double timestep);

  Model& model_;
  const Plan& plan_;
  int64_t firstImage_, images_;
  const std::atomic<bool>& cancelled_;
  std::shared_ptr<RecordedPlan> recorded_;
  int64_t capturedBefore_ = 0, replayedBefore_ = 0;
  std::string notCaptured_;
  std::vector<std::vector<int64_t>> editSites_;  // per edit: the sites it acts on
  std::vector<int64_t> measuredSites_;           // like Plan::adaptiveReuse
  std::vector<at::Tensor> measured_;
  Recorder* recorder_;
  bool recording_ = false;  // in this run of the model
  TapSelection taps_;       // sites in order
  std::map<std::vector<uint8_t>, std::unique_ptr<Arrangement>> arrangements_;
  PartialForward partialForward_;
};

}  // namespace dg
