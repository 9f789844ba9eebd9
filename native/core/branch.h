#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/core/model.h"
#include "native/core/plan.h"
#include "native/core/record.h"

namespace dg {

// How the branches of a step were computed.
struct Sharing {
  bool shared = false;            // some branches shared a prefix
  std::vector<std::string> cuts;  // paths of the sites where the model was cut
  std::string reason;             // why a prefix that could have been shared was not; empty: none
};

// Evaluates the branches of a plan for a group of images. Branches with the same conditioning run as the same rows
// until the first edit that tells them apart.
class BranchEvaluator {
 public:
  // `cancelled` is looked at between the segments of an evaluation: throws ABORT_ERR when it is set. `recorder` may be
  // null.
  BranchEvaluator(Model& model, const Plan& plan, int64_t firstImage, int64_t images,
                  const std::atomic<bool>& cancelled, Recorder* recorder);
  ~BranchEvaluator();

  // D_b for the wanted branches (undefined for the others): float32 [images, C, H, W].
  // `latents` is what the model is given, float32.
  std::vector<at::Tensor> evaluate(const std::vector<uint8_t>& wanted, const at::Tensor& latents, double timestep,
                                   int64_t step);

  // What Plan::adaptive measures, in the last evaluation: hidden states of the reference's rows.
  const std::vector<at::Tensor>& measured() const { return measured_; }

  const Sharing& sharing() const { return sharing_; }

 private:
  struct Arrangement;

  Arrangement& arrange(const std::vector<uint8_t>& wanted, const at::Tensor& latents, double timestep);
  std::unique_ptr<Arrangement> build(const std::vector<int64_t>& branches, const std::vector<int64_t>& cuts,
                                     const Values& example);
  std::vector<int64_t> cutsFor(const std::vector<int64_t>& branches) const;
  Values inputs(const std::vector<int64_t>& states, const at::Tensor& latents, double timestep) const;
  std::vector<at::Tensor> run(Arrangement& arrangement, const at::Tensor& latents, double timestep, int64_t step);
  void addRecords(HookSet& hooks, int64_t site, const std::vector<int64_t>& branches,
                  const std::vector<int64_t>& group);
  std::string compare(Arrangement& cut, Arrangement& whole, const at::Tensor& latents, double timestep);

  Model& model_;
  const Plan& plan_;
  int64_t firstImage_, images_;
  const std::atomic<bool>& cancelled_;
  std::vector<PreparedEdit> edits_;
  std::vector<std::vector<int64_t>> editSites_;  // per edit: the sites it acts on
  std::vector<int64_t> measuredSites_;           // like Plan::adaptive
  std::vector<at::Tensor> measured_;
  Recorder* recorder_;
  bool recording_ = false;  // in this run of the model
  TapSelection taps_;       // sites in order
  std::map<std::vector<uint8_t>, std::unique_ptr<Arrangement>> arrangements_;
  Sharing sharing_;
};

}  // namespace dg
