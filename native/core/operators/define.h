#pragma once

#include <torch/library.h>

namespace dg {

// Adds what this folder computes to the operators of `library`.
void defineOperators(torch::Library& library);

}  // namespace dg
