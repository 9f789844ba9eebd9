#include "native/core/graph/audit.h"

#include <array>
#include <regex>

#include "native/core/error.h"
#include "native/core/hooks/tap.h"

namespace dg {
namespace {

constexpr std::array allowedNamespaces{"aten", "prim", kNamespace};

// Operators of the allowed namespaces that touch files, the terminal, other processes or process-wide state.
constexpr std::array refusedOperators{
    "aten::from_file",  "aten::save",         "aten::load",     "aten::manual_seed", "aten::set_grad_enabled",
    "aten::warn",       "prim::Print",        "prim::PythonOp", "prim::rpc_async",   "prim::rpc_sync",
    "prim::rpc_remote", "prim::CreateObject", "prim::SetAttr",
};

[[noreturn]] void refuse(const std::string& name, const std::string& where) {
  throw Error("OPERATOR_REFUSED",
              "The model calls " + name + where +
                  ", which a transformer does not need: only operators of aten and prim without access to files, the "
                  "terminal or process-wide state are run. Export the model without it, or pass allowAllOperators: "
                  "true if you trust the file.");
}

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  for (const char* known : names) {
    if (name == known) return true;
  }
  return false;
}

void check(const torch::jit::Node& node) {
  const auto kind = node.kind();
  const std::string name = kind.toQualString();
  if (!contains(allowedNamespaces, kind.ns().toUnqualString()) || contains(refusedOperators, name)) refuse(name, "");
  for (const auto* block : node.blocks()) {
    for (const auto* inner : block->nodes()) check(*inner);
  }
}

}  // namespace

void auditSource(std::string_view source, const std::string& record) {
  // TorchScript prints aten operators as torch.name(…), all others as ops.namespace.name(…).
  static const std::regex suspect(
      R"(\btorch\.(from_file|save|load)\s*\(|\bops\.(\w+)\.(\w+)|\bdef\s+(__setstate__)\b)");
  const std::string where = " (in " + record + ")";
  for (std::cregex_iterator match(source.data(), source.data() + source.size(), suspect), end; match != end; ++match) {
    const auto& group = *match;
    if (group[1].matched) refuse("aten::" + group[1].str(), where);
    if (group[4].matched) refuse("__setstate__, code that runs while the file is read", where);
    const std::string name = group[2].str() + "::" + group[3].str();
    if (!contains(allowedNamespaces, group[2].str()) || contains(refusedOperators, name)) refuse(name, where);
  }
}

void auditGraph(const torch::jit::Graph& graph) {
  for (const auto* node : graph.nodes()) check(*node);
}

}  // namespace dg
