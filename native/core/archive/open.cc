#include "native/core/archive/open.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/core/archive/arithmetic.h"
#include "native/core/archive/audit.h"
#include "native/core/archive/directory.h"
#include "native/core/archive/file.h"
#include "native/core/archive/pickle.h"
#include "native/core/archive/refuse.h"
#include "native/core/archive/source.h"
#include "native/core/device/memory.h"
#include "native/core/error.h"

namespace dg {
namespace {

using caffe2::serialize::PyTorchStreamReader;

std::string firstLine(const std::string& text) {
  const auto begin = std::min(text.find_first_not_of('\n'), text.size());
  return text.substr(begin, text.find('\n', begin) - begin);
}

Error damaged(const std::string& file, const std::string& reason) {
  return Error("MODEL_UNREADABLE",
               file + " can not be read as a TorchScript archive: " + (reason.empty() ? "it is damaged" : reason) +
                   ". Expected a file written by torch.jit.save (or module.save()), complete.");
}

bool isSource(const std::string& name) {
  return name.rfind("code/", 0) == 0 && name.compare(name.size() - 3, 3, ".py") == 0;
}

// Everything that can be said before libtorch parses anything.
void auditRecords(const std::shared_ptr<ArchiveFile>& file, bool allowAllOperators) {
  const auto records = readDirectory(*file);
  std::unordered_map<std::string, uint64_t> sizes;
  for (const auto& record : records) sizes.emplace(record.name, record.size);
  if (sizes.count("constants.pkl") == 0) {
    refuse(sizes.count("data.pkl") != 0 ? "it is a checkpoint of torch.save (weights without a program)"
                                        : "it holds no TorchScript program");
  }
  if (sizes.count("data.pkl") == 0) refuse("it has no data.pkl");
  PyTorchStreamReader reader(file);
  const auto textOf = [&](const std::string& name) {
    auto [bytes, size] = reader.getRecord(name);
    return std::string(static_cast<const char*>(bytes.get()), size);
  };
  for (const std::string folder : {"data", "constants"}) {
    PickleRules rules;
    rules.storageBytes = [&](const std::string& key) -> std::optional<uint64_t> {
      const auto entry = sizes.find(folder + "/" + key);
      return entry == sizes.end() ? std::nullopt : std::optional(entry->second);
    };
    rules.allowObjects = folder == "data";
    rules.allowAllClasses = allowAllOperators;
    auditPickle(textOf(folder + ".pkl"), rules);
  }
  SourceAudit source(allowAllOperators);
  for (const auto& record : records) {
    if (isSource(record.name)) source.read(record.name, textOf(record.name));
  }
  source.finish();
}

}  // namespace

torch::jit::Module openArchive(const std::string& path, bool allowAllOperators, const std::string& identity) {
  guardArithmetic();
  const auto file = std::make_shared<ArchiveFile>(path, identity);
  try {
    auditRecords(file, allowAllOperators);
    auto module = torch::jit::load(file, c10::kCPU, /*load_debug_files=*/false);
    file->requireUnchanged();
    if (!allowAllOperators) {
      auditAttributes(module);
      auditProgram(module);
    }
    module.eval();
    return module;
  } catch (const c10::Error& error) {
    if (isOutOfMemory(error)) throw Error("OUT_OF_MEMORY", path + " does not fit into the memory.");
    throw damaged(path, firstLine(error.what_without_backtrace()));
  } catch (const Error& error) {
    // Reasons are said without the file; that it is none any more is said with it.
    if (error.code == "MODEL_UNREADABLE" && std::string(error.what()).rfind(path, 0) != 0) {
      throw damaged(path, error.what());
    }
    throw;
  } catch (const std::bad_alloc&) {
    throw Error("OUT_OF_MEMORY", path + " does not fit into the memory.");
  } catch (const std::exception& error) {
    throw damaged(path, firstLine(error.what()));
  }
}

}  // namespace dg
