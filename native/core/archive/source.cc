#include "native/core/archive/source.h"

#include <torch/csrc/jit/frontend/lexer.h>
#include <torch/csrc/jit/frontend/source_range.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "native/core/archive/operators.h"
#include "native/core/archive/refuse.h"

namespace dg {
namespace {

using torch::jit::Lexer;
using torch::jit::Token;

constexpr size_t kMostNested = 256;       // tokens of a statement within each other
constexpr size_t kMostIndented = 64;      // blocks within blocks
constexpr size_t kMostBranches = 256;     // elif, each within the one before
constexpr size_t kMostBlankLines = 1000;  // in a row: the lexer calls itself for each
constexpr size_t kMostChained = 512;      // classes and functions that need each other

[[noreturn]] void refuseProgram(const std::string& record, const std::string& reason) {
  refuse("its program (" + record + ") " + reason);
}

void requirePlainText(const std::string& record, std::string_view source) {
  size_t blank = 0;
  bool isBlank = true;
  for (const char c : source) {
    if (static_cast<unsigned char>(c) >= 0x80 || c == '\0') refuseProgram(record, "has characters that are not ASCII");
    if (c == '\n') {
      blank = isBlank ? blank + 1 : 0;
      if (blank > kMostBlankLines) refuseProgram(record, "has too many empty lines");
      isBlank = true;
    } else if (c == '#') {
      // A comment is as good as nothing; one behind a statement ends no row.
      continue;
    } else if (isBlank && c != ' ' && c != '\t' && c != '\\' && c != '\r' && c != '\f' && c != '\v') {
      isBlank = false;
    }
  }
}

// How deeply the parser will go: what is open, and what stands in a row in each open bracket since its last comma. A
// row of additions makes as deep a tree as brackets do.
class Depth {
 public:
  explicit Depth(const std::string& record) : record_(record) {}

  void see(int kind) {
    switch (kind) {
      case torch::jit::TK_NEWLINE:
        clear();
        return;
      case torch::jit::TK_INDENT:
        clear();
        if (++indented_ > kMostIndented) refuseProgram(record_, "has too many blocks within blocks");
        return;
      case torch::jit::TK_DEDENT:
        clear();
        indented_ -= indented_ > 0 ? 1 : 0;
        return;
      case torch::jit::TK_ELIF:
        if (++branches_ > kMostBranches) refuseProgram(record_, "has too many branches");
        break;
      case ',':
        total_ -= rows_.back();
        rows_.back() = 0;
        return;
      case ')':
      case ']':
      case '}':
        if (rows_.size() > 1) {
          total_ -= rows_.back();
          rows_.pop_back();
        }
        break;
      default:
        break;
    }
    ++rows_.back();
    if (++total_ > kMostNested) refuseProgram(record_, "is nested too deeply");
    if (kind == '(' || kind == '[' || kind == '{') rows_.push_back(0);
  }

  size_t brackets() const { return rows_.size() - 1; }
  size_t indented() const { return indented_; }

 private:
  void clear() {
    rows_.assign(1, 0);
    total_ = 0;
  }

  const std::string& record_;
  std::vector<size_t> rows_{0};
  size_t total_ = 0, indented_ = 0, branches_ = 0;
};

bool isImmutable(const c10::Argument& argument) {
  switch (argument.type()->kind()) {
    case c10::TypeKind::TensorType:
    case c10::TypeKind::ListType:
    case c10::TypeKind::DictType:
    case c10::TypeKind::ClassType:
      return false;
    default:
      return true;
  }
}

// The compiler computes what has constants alone: operators of numbers and text.
bool runsWhileRead(const std::string& name) {
  for (const auto& candidate : torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(name))) {
    const auto& schema = candidate->schema();
    if (std::all_of(schema.arguments().begin(), schema.arguments().end(), isImmutable) &&
        std::all_of(schema.returns().begin(), schema.returns().end(), isImmutable)) {
      return true;
    }
  }
  return false;
}

// In a default value and in the body of a class: literals, names of types, lists of them.
bool isPlainToken(int kind) {
  switch (kind) {
    case torch::jit::TK_NUMBER:
    case torch::jit::TK_STRINGLITERAL:
    case torch::jit::TK_TRUE:
    case torch::jit::TK_FALSE:
    case torch::jit::TK_NONE:
    case torch::jit::TK_NONE_TYPE:
    case torch::jit::TK_IDENT:
    case torch::jit::TK_NEWLINE:
    case torch::jit::TK_DOTS:
    case torch::jit::TK_PASS:
      return true;
    default:
      return kind > 0 && kind < 256 &&
             std::string_view("[]{}(),:.-=").find(static_cast<char>(kind)) != std::string_view::npos;
  }
}

}  // namespace

void SourceAudit::read(const std::string& record, std::string_view source) {
  requirePlainText(record, source);
  // "code/__torch__/a/b.py" -> "__torch__.a.b."
  std::string prefix = record.substr(5, record.size() - 8) + ".";
  std::replace(prefix.begin(), prefix.end(), '/', '.');
  const std::string where = " (in " + record + ")";
  Lexer lexer(std::make_shared<torch::jit::Source>(std::string(source), record, 1));
  Depth depth(record);
  std::vector<std::string> dotted;  // the name that is being read, by its parts
  bool inClass = false, inSignature = false, inDefault = false;
  for (int before = torch::jit::TK_NEWLINE;;) {
    const Token token = lexer.next();
    const int kind = token.kind, after = lexer.cur().kind;
    if (kind == torch::jit::TK_EOF) break;
    depth.see(kind);
    if (kind == torch::jit::TK_CLASS_DEF || kind == torch::jit::TK_DEF) {
      if (after != torch::jit::TK_IDENT) refuseProgram(record, "can not be parsed");
      if (depth.indented() == 0) {
        definitions_.emplace_back(prefix + lexer.cur().text(), std::vector<std::string>{});
        inClass = kind == torch::jit::TK_CLASS_DEF;
      }
      inSignature = kind == torch::jit::TK_DEF;
      inDefault = false;
    }
    inDefault = inSignature &&
                ((inDefault && !(kind == ',' && depth.brackets() == 1)) || (kind == '=' && depth.brackets() == 1)) &&
                depth.brackets() > 0;
    if (inSignature && depth.brackets() == 0 && kind == ':') inSignature = false;
    const bool inClassBody = inClass && depth.indented() == 1 && !inSignature && kind != torch::jit::TK_DEF &&
                             kind != torch::jit::TK_INDENT && kind != torch::jit::TK_DEDENT;
    const bool isName = kind == torch::jit::TK_IDENT;
    if (isName && before != '.') dotted.clear();
    if (isName) dotted.push_back(token.text());
    if (!allowAllOperators_) {
      const bool isCall = kind == '(' && (before == torch::jit::TK_IDENT || before == ')' || before == ']');
      const bool isAnnotation = isCall && dotted.size() == 1 && dotted[0] == "annotate";
      if ((inDefault || inClassBody) && (!isPlainToken(kind) || (isCall && !isAnnotation))) {
        refuseOperator("something for a default value or a constant of a class",
                       ", code that runs while the file is read" + where);
      }
      if (isName) requireAllowed(dotted, before == '.', after, record);
    }
    if (isName && after != '.' && dotted[0] == "__torch__" && !definitions_.empty()) {
      std::string name = dotted[0];
      for (size_t i = 1; i < dotted.size(); ++i) name += "." + dotted[i];
      definitions_.back().second.push_back(std::move(name));
    }
    before = kind;
  }
}

// The last part of a dotted name. Names of the file itself ("__torch__.module.Class") are no operators.
void SourceAudit::requireAllowed(const std::vector<std::string>& dotted, bool isPart, int after,
                                 const std::string& record) {
  // Asked for every name of the file, so that text is made for what is refused alone.
  const std::string_view name = dotted.back(), first = dotted[0];
  const auto where = [&] { return " (in " + record + ")"; };
  if (name == "__setstate__" || name == "__getstate__") {
    refuseOperator(dotted.back() + ", code that runs while the file is read", where());
  }
  if (!isPart && name == "Enum") refuseOperator("an Enum", where());
  if (first == "__torch__" && isPart) {
    if (dotted.size() == 3 && dotted[1] == "torch" && name == "classes") refuseOperator("a custom class", where());
    if (after != '(') return;
  }
  if (first == "ops" && dotted.size() < 3) {
    // ops.namespace.operator, and nothing shorter that could be given another name.
    if (after != '.') refuseOperator("a namespace of operators", where());
    return;
  }
  if (first == "ops" && dotted.size() == 3) {
    const auto full = dotted[1] + "::" + dotted[2];
    if (!isAllowedName(full) && !isAllowedNode(c10::Symbol::fromQualString(full))) refuseOperator(full, where());
    return;
  }
  if (isPart || after == '(') requireAllowedName(dotted.back(), record);
}

// A name that is called or stands behind a dot, whatever it belongs to: a method of text is called like a module's.
void SourceAudit::requireAllowedName(const std::string& name, const std::string& record) {
  auto entry = names_.find(name);
  if (entry == names_.end()) {
    const std::string full = "aten::" + name;
    entry = names_.emplace(name, isAllowedName(full) || !runsWhileRead(full)).first;
  }
  if (!entry->second) refuseOperator("aten::" + name, " (in " + record + ")");
}

void SourceAudit::finish() const {
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < definitions_.size(); ++i) places.emplace(definitions_[i].first, i);
  std::vector<std::vector<size_t>> needs(definitions_.size()), neededBy(definitions_.size());
  for (size_t i = 0; i < definitions_.size(); ++i) {
    std::unordered_set<size_t> visited{i};
    for (const auto& name : definitions_[i].second) {
      // "__torch__.a.F.b": what is named may stand behind the class.
      for (size_t end = name.size(); end != std::string::npos && end > 0; end = name.rfind('.', end - 1)) {
        const auto place = places.find(name.substr(0, end));
        if (place == places.end()) continue;
        if (visited.insert(place->second).second) {
          needs[i].push_back(place->second);
          neededBy[place->second].push_back(i);
        }
        break;
      }
    }
  }
  // Taken away layer by layer from both ends; what is left goes in circles, or lies between them.
  std::vector<bool> gone(definitions_.size(), false);
  size_t chained = 0;
  for (const auto& [out, in] : {std::pair{&needs, &neededBy}, std::pair{&neededBy, &needs}}) {
    std::vector<size_t> left(definitions_.size(), 0), layer;
    for (size_t i = 0; i < definitions_.size(); ++i) {
      if (gone[i]) continue;
      for (const size_t other : (*out)[i]) left[i] += gone[other] ? 0 : 1;
      if (left[i] == 0) layer.push_back(i);
    }
    for (; !layer.empty(); ++chained) {
      std::vector<size_t> next;
      for (const size_t i : layer) gone[i] = true;
      for (const size_t i : layer) {
        for (const size_t other : (*in)[i]) {
          if (!gone[other] && --left[other] == 0) next.push_back(other);
        }
      }
      layer = std::move(next);
    }
  }
  chained += static_cast<size_t>(std::count(gone.begin(), gone.end(), false));
  if (chained > kMostChained) {
    refuse("its program has " + std::to_string(chained) + " classes and functions that need each other in a row, and " +
           std::to_string(kMostChained) + " are read at most");
  }
}

}  // namespace dg
