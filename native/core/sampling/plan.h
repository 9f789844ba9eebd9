#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "native/core/hooks/edit.h"
#include "native/core/recording/recording.h"

namespace dg {

// What to sample, as plain data. The facade computes it; nothing here knows the name of a guidance method or of a
// scheduler: guidance is branches and weights, a scheduler is a table of coefficients.

struct Branch {
  int64_t conditioning = 0;
  std::vector<int64_t> edits;  // indices into Plan::edits
  int64_t reference = -1;      // the branch whose change stands in for this one's where it is reused
  std::string name{};          // for people, in errors
};

// What is not linear in the branches, see combine.h.
struct Adjustment {
  enum class Kind { project, apg, rescale, zero } kind = Kind::project;
  int64_t branch = 0;                               // the one changed (project, apg)
  int64_t reference = 0;                            // the conditional branch
  double factor = 0;                                // rescale φ
  double eta = 0, normThreshold = 0, momentum = 0;  // apg
};

struct Step {
  double timestep = 0;          // as the model takes it
  double inputScale = 1;        // the model is given inputScale · x
  std::vector<double> weights;  // per branch; a branch with weight 0 is not evaluated in this step
  // Per image of the plan, per branch; empty: every image has `weights`, which else only say what is evaluated.
  std::vector<std::vector<double>> imageWeights;
  std::vector<uint8_t> reuse;  // per branch (or empty): 1 = not evaluated, its difference to Branch::reference
                               // is that of the last step that evaluated it
  std::vector<Adjustment> adjustments;
  double sample = 1;  // x' = sample · x + Σ outputs[k] · D of k steps ago + noise · ε
  std::vector<double> outputs;
  double noise = 0;
  double previewSample = 0, previewOutput = 0;  // x0 = previewSample · x + previewOutput · D
  double keepImage = 0, keepNoise = 0;          // inpainting: what the mask keeps, see Inpainting
};

// After every step x' = mask · x' + (1 − mask) · (keepImage · image + keepNoise · noise). Float32; undefined: not.
struct Inpainting {
  at::Tensor mask;          // broadcasts to the latents of one group of images
  at::Tensor image, noise;  // as the latents
};

// Reuse decided while sampling, by TeaCache's measure (arXiv 2411.19108): the relative L1 change of a hidden state from
// step to step, summed up since the branch was last evaluated, stays below a threshold. The hidden state is seen while
// a step is computed, so the decision for a step takes its change to be that of the step before. The first step and the
// last are always evaluated.
struct AdaptiveReuse {
  int64_t branch = 0;
  std::string path;  // the submodule whose first input is measured: what block 0's AdaLN modulation gives
  double threshold = 0;
};

// The sampler's first state where it is noise alone: scale · gaussian(seed), one seed an image.
struct InitialNoise {
  std::vector<uint64_t> seeds;
  double scale = 1;
};

struct Plan {
  at::Tensor latents;                                  // float32 [images, C, H, W], the sampler's first state
  std::optional<InitialNoise> noise;                   // drawn into `latents` before the first step
  std::vector<uint64_t> seeds;                         // per image; needed where a step has noise
  std::vector<std::vector<at::Tensor>> conditionings;  // [conditioning][input that is neither latent nor timestep]
  std::vector<Edit> edits;
  std::vector<Branch> branches;
  std::vector<Step> steps;
  std::vector<AdaptiveReuse> adaptiveReuse;
  std::optional<Recording> recording;
  Inpainting inpainting;
  bool partialForward = true;
  int64_t batchSize = 1;  // images per evaluation
  bool preview = false;
};

}  // namespace dg
