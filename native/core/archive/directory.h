#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "native/core/archive/file.h"

namespace dg {

// One record of a TorchScript archive, as the zip directory describes it.
struct Record {
  std::string name;  // without the archive's own folder: "data.pkl", "data/0", "code/__torch__.py"
  uint64_t size = 0;
  uint64_t begin = 0;  // of its bytes in the file
  bool deflated = false;
};

// Reads the zip directory by itself, since the reader in libtorch believes what it says: it finds names whatever their
// case, the last of two equal names, and memory as large as declared. Everything is refused that torch.jit.save does
// not write: other names, names that differ in case alone, compressed tensors, records that overlap or do not lie in
// the file, more records or larger programs than any model has. Throws MODEL_UNREADABLE.
std::vector<Record> readDirectory(const ArchiveFile& file);

}  // namespace dg
