#include "native/core/graph/archive.h"

#include <caffe2/serialize/inline_container.h>

#include <string>

#include "native/core/graph/audit.h"
#include "native/core/error.h"

namespace dg {
namespace {

using caffe2::serialize::PyTorchStreamReader;

std::string firstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

Error unreadable(const std::string& file, const std::string& reason) {
  return Error("MODEL_UNREADABLE", file + " can not be read as a TorchScript archive: " + reason +
                                       ". Expected a file written by torch.jit.save (or module.save()), complete.");
}

bool isSource(const std::string& record) {
  return record.rfind("code/", 0) == 0 && record.size() > 3 && record.compare(record.size() - 3, 3, ".py") == 0;
}

void scan(const std::string& file, bool allowAllOperators) {
  PyTorchStreamReader reader(file);
  if (!reader.hasRecord("constants.pkl")) {
    throw unreadable(file, reader.hasRecord("data.pkl") ? "it is a checkpoint of torch.save (weights without a program)"
                                                        : "it holds no TorchScript program");
  }
  if (allowAllOperators) return;
  for (const auto& record : reader.getAllRecords()) {
    if (!isSource(record)) continue;
    auto [bytes, size] = reader.getRecord(record);
    auditSource(std::string_view(static_cast<const char*>(bytes.get()), size), record);
  }
}

}  // namespace

torch::jit::Module openArchive(const std::string& file, bool allowAllOperators) {
  try {
    scan(file, allowAllOperators);
    auto module = torch::jit::load(file, c10::kCPU, /*load_debug_files=*/false);
    module.eval();
    return module;
  } catch (const c10::Error& error) {
    throw unreadable(file, firstLine(error.what_without_backtrace()));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw unreadable(file, firstLine(error.what()));
  }
}

}  // namespace dg
