#include "native/core/archive/operators.h"

#include <sstream>
#include <unordered_set>

#include "native/core/error.h"

namespace dg {
namespace {

// What a line of operators.inc means: names alone have one overload, without a name; after a colon stand the overloads
// of the name before it, "-" for the one without a name. Names without a namespace are aten's.
//
// What is on it computes tensors, numbers, lists and text from others and has no other effect, checks its arguments,
// and fills what it gives. So there are none that reach beyond their tensors (as_strided, set_, unfold_backward,
// _reshape_alias, max_pool2d_with_indices_backward, segment_reduce, native_group_norm), crash when they are given
// nonsense (reflection_pad3d, to.prim_dtype: test/native/operators_test.cc found them), leave memory as they found it
// (empty, new_empty, resize_, grid_sampler with a mode that is none), draw random numbers, or touch files and settings.
#include "native/core/archive/operators.inc"

// The language itself. prim::CreateObject, Print, PythonOp and the rpc family are not in it.
constexpr const char* kNodes =
    "prim::Constant prim::GetAttr prim::SetAttr prim::CallMethod prim::CallFunction prim::If prim::Loop prim::fork "
    "prim::TupleConstruct prim::TupleSlice prim::ListConstruct prim::ListUnpack prim::DictConstruct prim::isinstance";

struct Allowed {
  std::unordered_set<std::string> operators, names;
  std::unordered_set<c10::Symbol> nodes;
  std::vector<std::string> inOrder;
};

const Allowed& allowed() {
  static const Allowed* table = [] {
    auto* sets = new Allowed;
    std::istringstream lines(kList);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#') continue;
      std::istringstream words(line);
      std::string name, word;
      const bool hasOverloads = line.find(": ") != std::string::npos;
      while (words >> word) {
        const bool isName = !hasOverloads || name.empty();
        if (isName) {
          if (hasOverloads) word.pop_back();
          name = word.rfind("prim::", 0) == 0 ? word : "aten::" + word;
          sets->names.insert(name);
          if (hasOverloads) continue;
        }
        const auto full = isName || word == "-" ? name : name + "." + word;
        sets->operators.insert(full);
        sets->inOrder.push_back(full);
      }
    }
    std::istringstream nodes(kNodes);
    for (std::string word; nodes >> word;) sets->nodes.insert(c10::Symbol::fromQualString(word));
    return sets;
  }();
  return *table;
}

}  // namespace

bool isAllowedOperator(std::string_view name, std::string_view overload) {
  std::string full(name);
  if (!overload.empty()) full.append(".").append(overload);
  return allowed().operators.count(full) != 0;
}

bool isAllowedName(const std::string& name) { return allowed().names.count(name) != 0; }

bool isAllowedNode(c10::Symbol kind) { return allowed().nodes.count(kind) != 0; }

std::vector<std::string> allowedOperators() { return allowed().inOrder; }

void refuseOperator(const std::string& name, const std::string& where) {
  throw Error("OPERATOR_REFUSED",
              "The model calls " + name + where +
                  ", which is not on the closed list of operators that a model file may use "
                  "(docs/operators.md). Export the model without it, or pass allowAllOperators: true "
                  "if you trust whoever made the file.");
}

}  // namespace dg
