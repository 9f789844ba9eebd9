#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "native/core/model/model.h"
#include "native/core/recording/record.h"
#include "native/core/sampling/arrangement.h"
#include "native/core/sampling/branch_inputs.h"
#include "native/core/sampling/execution.h"
#include "native/core/sampling/plan.h"

namespace dg {

// Runs the model for the branches of a plan and a group of images, arranged as arrangement.h says.
class BranchEvaluator {
 public:
  // `recorder` may be null.
  BranchEvaluator(Model& model, const Plan& plan, int64_t firstImage, int64_t images, Recorder* recorder);
  ~BranchEvaluator();

  // D_b for the wanted branches (undefined for the others): [images, C, H, W] in the dtype that the model gives.
  // `latents` is what the model is given, float32. The next call may overwrite what this one returned. Throws ABORT_ERR
  // (cancellation.h).
  std::vector<at::Tensor> evaluate(const std::vector<uint8_t>& branchMask, const at::Tensor& latents, double timestep,
                                   int64_t step);

  // What Plan::adaptiveReuse measures, in the last evaluation: hidden states of the reference's rows.
  const std::vector<at::Tensor>& measured() const { return measured_; }

  // For an error: where values of `branch` first are not finite in a run on these latents; none where all are finite.
  std::optional<int64_t> firstNonFiniteSite(int64_t branch, const at::Tensor& latents, double timestep, int64_t step);
  bool isEdited(int64_t site, int64_t branch) const;

  const PartialForward& partialForward() const { return partialForward_; }

  // Since the evaluator was made.
  GraphUse graphs() const;

 private:
  struct Arrangement;

  Arrangement& arrange(const std::vector<uint8_t>& branchMask, const at::Tensor& latents, double timestep);
  std::unique_ptr<Arrangement> build(const std::vector<int64_t>& branches, const std::vector<int64_t>& cuts,
                                     const Values& example);
  HookSet hooksOf(const SegmentRows& rows, const std::vector<int64_t>& branches, const std::vector<int64_t>& tapped);
  Values inputs(const Arrangement& arrangement, const at::Tensor& latents, double timestep) const;
  at::Tensor predict(Arrangement& arrangement, const Values& inputs, int64_t step);
  // The same with what is seen meanwhile.
  Evaluation observe(Arrangement& arrangement, const Values& inputs, int64_t step, bool records);
  std::vector<at::Tensor> split(const Arrangement& arrangement, const at::Tensor& prediction,
                                const at::Tensor& latents) const;
  std::string compare(Arrangement& cut, Arrangement& whole, const at::Tensor& latents, double timestep);
  void report(const std::vector<int64_t>& cuts, const std::string& reason);

  Model& model_;
  const Plan& plan_;
  int64_t images_;
  BranchInputs inputs_;
  std::shared_ptr<EvaluationGraphs> graphs_;
  int64_t capturedBefore_ = 0, replayedBefore_ = 0;
  std::string notCaptured_;
  std::vector<std::vector<int64_t>> sitesOfEdit_;
  std::vector<int64_t> measuredSites_;           // like Plan::adaptiveReuse
  std::vector<at::Tensor> measured_, observed_;  // the latter in the evaluation that is going on
  Recorder* recorder_;
  bool recording_ = false;  // in this run of the model
  TapSelection taps_;       // sites in order
  std::map<std::vector<uint8_t>, std::unique_ptr<Arrangement>> arrangements_;
  PartialForward partialForward_;
};

}  // namespace dg
