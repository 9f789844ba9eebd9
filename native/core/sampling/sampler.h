#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "native/core/model/model.h"
#include "native/core/recording/record.h"
#include "native/core/sampling/execution.h"
#include "native/core/sampling/noise.h"
#include "native/core/sampling/plan.h"

namespace dg {

struct Progress {
  int64_t step = 0;  // steps done, 1 … steps
  int64_t steps = 0;
  int64_t image = 0;   // first image of this group
  int64_t images = 0;  // in this group
  double timestep = 0;
  at::Tensor preview;  // x0 as predicted at this step, float32 on the CPU; undefined unless asked for
};

struct SampleResult {
  at::Tensor latents;  // float32 [images, C, H, W], on the CPU
  Execution execution;
  int64_t evaluations = 0;  // branch evaluations of one image, summed
};

// Runs the plan: groups of batchSize images one after the other, each through all steps. The sampler's state and the
// guidance sum are float32. Throws ABORT_ERR within one operator of `cancelled` being set; MODEL_FAILED with
// step, branch and first site where a prediction is not finite, unless the run is recorded: then the records say it.
SampleResult sample(Model& model, const Plan& plan, const std::function<void(const Progress&)>& onStep,
                    const std::atomic<bool>& cancelled, const RecordSink& onRecords = nullptr);

}  // namespace dg
