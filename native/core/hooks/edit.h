#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/core/graph/site.h"

namespace dg {

// What is done to the chosen channels and tokens of a hidden state z, for the rows of one branch.
enum class Operation {
  retain,      // z := ρ_t · z (ρ = 0 zeroes; Gan et al., arXiv 2510.11538; ρ_t: arXiv 2607.02968)
  mean,        // z := mean of z over all tokens, per channel
  affine,      // z := γ · z + β
  transplant,  // z := the values captured in another run
  skip,        // z := what the module was given (skip layer guidance)
  shuffle,     // the chosen tokens change places (token perturbation guidance; keeps every norm)
  identity,    // attention output := its values (perturbed attention guidance)
  blur,        // Gaussian blur over the token grid (smoothed energy guidance when put on the queries)
  match,       // the chosen channels move by as much (‖Δz‖₂ per token) as z_ref := ρ_t · z_ref would: the control
};

Operation operationNamed(const std::string& name);  // throws BAD_OPTION

// Whether what takes the hidden state's place is another value of the model: what the module was given.
inline bool needsBypass(Operation operation) {
  return operation == Operation::skip || operation == Operation::identity;
}

// One disruption, as the plan gives it: plain data.
struct Edit {
  std::string path;
  TapSide tap = TapSide::output;
  std::optional<std::string> stream;
  Operation operation = Operation::retain;
  std::optional<std::vector<int64_t>> channels;  // none: all
  std::optional<std::vector<int64_t>> tokens;    // none: all
  int64_t lastTokens = 0;                        // the edit sees the last so many tokens alone (the image's behind the
                                                 // text's in joint attention); 0: all
  std::vector<double> retention;                 // ρ_t, one per step (or one for all)
  std::vector<double> scale;                     // γ, one per chosen channel
  std::vector<double> shift;                     // β
  at::Tensor source;                             // transplant: [1 or rows, tokens, channels]
  std::vector<int64_t> reference;                // match
  double sigma = 0;                              // blur, in tokens; infinity: the mean
  std::optional<std::pair<int64_t, int64_t>> grid;  // blur: rows and columns of the tokens
  uint64_t seed = 0;                                // shuffle
};

// Whether two edits do the same work on other numbers: channels, tokens, retention, scales and sources may differ, but
// not how many there are.
bool haveSameStructure(const Edit& a, const Edit& b);

// Throws CHANNEL_OUT_OF_RANGE, TOKEN_OUT_OF_RANGE where the edit names what a hidden state of so many channels and
// tokens does not have.
void requireInRange(const Edit& edit, int64_t channels, int64_t tokens);

}  // namespace dg
