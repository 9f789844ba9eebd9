#pragma once

#include <torch/library.h>

namespace dg {

// The tap: our forward hook. torch::jit::Module has none (PyTorch issues 25888, 29037, 86818), so an operator is put
// into the graph at every hooked site:
//   detail_guidance::tap(Tensor(a) x, int site, Tensor? bypass=None) -> Tensor(a)
// It looks up what is active at its site on this thread (hook_set.h) and does nothing, captures, or edits. The alias in
// its schema is what lets an idle tap return its input. Behind an attention whose inputs are recorded it is
//   detail_guidance::attention_tap(Tensor(a) x, int site, Tensor? bypass, Tensor query, Tensor key, Tensor? mask,
//                                  bool causal, float? scale) -> Tensor(a)

// Adds both to `library`.
void defineTaps(torch::Library& library);

}  // namespace dg
