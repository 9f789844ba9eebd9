#pragma once

#include <torch/script.h>

#include <string>

namespace dg {

// Reads a TorchScript archive onto the CPU, in evaluation mode.
// A TorchScript archive is a program: unless `allowAllOperators`, its source is scanned before anything of it runs
// (an archive may carry code that runs while it is loaded), see audit.h.
// Throws MODEL_UNREADABLE (not an archive, cut short, a checkpoint instead of an export) or OPERATOR_REFUSED.
torch::jit::Module openArchive(const std::string& file, bool allowAllOperators);

}  // namespace dg
