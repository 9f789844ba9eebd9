#pragma once

#include <torch/script.h>

#include <string>

namespace dg {

// Reads a TorchScript archive onto the CPU, in evaluation mode. A TorchScript archive is a program, so before libtorch
// sees it, its directory, pickles and source are checked (directory.h, pickle.h, source.h): for what would crash or
// exhaust the reader always, and unless `allowAllOperators` for everything that could run while it is read. What was
// compiled is audited before it is given away (audit.h).
// `identity`: of the file whose checksum was compared (file.h), empty when there was none.
// Throws MODEL_UNREADABLE (not an archive, cut short, damaged, a checkpoint instead of an export) or OPERATOR_REFUSED.
torch::jit::Module openArchive(const std::string& file, bool allowAllOperators, const std::string& identity = "");

}  // namespace dg
