#include "native/core/archive/audit.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "native/core/archive/operators.h"
#include "native/core/error.h"
#include "native/core/operators/names.h"

namespace dg {
namespace {

using c10::IValue;
using c10::TypeKind;
using torch::jit::Block;
using torch::jit::Function;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;

bool isPlainTensor(const at::Tensor& tensor) {
  return !tensor.defined() ||
         (tensor.layout() == at::kStrided && !tensor.is_meta() && !tensor.is_quantized() && !tensor.is_nested());
}

// Whether a value is what `type` says, without objects when those are none of a module's.
bool fits(const IValue& value, const c10::Type& type, std::unordered_set<const void*>& visited) {
  switch (type.kind()) {
    case TypeKind::TensorType:
      return value.isTensor() && isPlainTensor(value.toTensor());
    case TypeKind::OptionalType:
      return value.isNone() || fits(value, *type.containedType(0), visited);
    case TypeKind::ListType: {
      if (!value.isList()) return false;
      const auto items = value.toListRef();
      return std::all_of(items.begin(), items.end(),
                         [&](const IValue& item) { return fits(item, *type.containedType(0), visited); });
    }
    case TypeKind::TupleType: {
      if (!value.isTuple() || value.toTupleRef().size() != type.containedTypes().size()) return false;
      for (size_t i = 0; i < type.containedTypes().size(); ++i) {
        if (!fits(value.toTupleRef().elements()[i], *type.containedType(i), visited)) return false;
      }
      return true;
    }
    case TypeKind::DictType: {
      if (!value.isGenericDict()) return false;
      for (const auto& entry : value.toGenericDict()) {
        if (!fits(entry.key(), *type.containedType(0), visited) ||
            !fits(entry.value(), *type.containedType(1), visited)) {
          return false;
        }
      }
      return true;
    }
    case TypeKind::ClassType:
    case TypeKind::InterfaceType: {
      if (!value.isObject()) return false;
      const auto& object = value.toObjectRef();
      const auto held = object.type();
      if (type.kind() == TypeKind::ClassType && *held != type) return false;
      if (!visited.insert(&object).second) return true;
      for (size_t i = 0; i < held->numAttributes(); ++i) {
        if (!fits(object.getSlot(i), *held->getAttribute(i), visited)) {
          throw Error("MODEL_UNREADABLE", "its attribute " + held->getAttributeName(i) + " of " + held->str() +
                                              " is no " + held->getAttribute(i)->str());
        }
      }
      return true;
    }
    case TypeKind::IntType:
      return value.isInt();
    case TypeKind::FloatType:
      return value.isDouble();
    case TypeKind::BoolType:
      return value.isBool();
    case TypeKind::ComplexType:
      return value.isComplexDouble();
    case TypeKind::StringType:
      return value.isString();
    case TypeKind::NoneType:
      return value.isNone();
    case TypeKind::DeviceObjType:
      return value.isDevice();
    default:
      return false;
  }
}

// Constants have the types that the compiler gave them.
bool isPlainConstant(const IValue& value) {
  if (value.isTensor()) return isPlainTensor(value.toTensor());
  if (value.isList()) {
    const auto items = value.toListRef();
    return std::all_of(items.begin(), items.end(), isPlainConstant);
  }
  if (value.isTuple()) {
    const auto& items = value.toTupleRef().elements();
    return std::all_of(items.begin(), items.end(), isPlainConstant);
  }
  if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      if (!isPlainConstant(entry.key()) || !isPlainConstant(entry.value())) return false;
    }
    return true;
  }
  return value.isNone() || value.isBool() || value.isInt() || value.isDouble() || value.isComplexDouble() ||
         value.isString() || value.isDevice();
}

template <typename Visit>
void visitNodes(const Block& block, const Visit& visit);

template <typename Visit>
void visitSubgraphs(const Node& node, const Visit& visit) {
  for (const auto* inner : node.blocks()) visitNodes(*inner, visit);
  // What nearly all nodes are: an operator has no attributes, and a constant has its value.
  if (!node.hasAttributes() || node.kind() == prim::Constant) return;
  for (const auto name : node.attributeNames()) {
    if (node.kindOf(name) == torch::jit::AttributeKind::g) visitNodes(*node.g(name)->block(), visit);
    if (node.kindOf(name) != torch::jit::AttributeKind::gs) continue;
    for (const auto& graph : node.gs(name)) visitNodes(*graph->block(), visit);
  }
}

template <typename Visit>
void visitNodes(const Block& block, const Visit& visit) {
  for (const auto* node : block.nodes()) {
    visit(*node);
    visitSubgraphs(*node, visit);
  }
}

// Arguments that libtorch takes for one of an enumeration without looking.
enum class Enumeration { kDtype, kLayout, kDevice, kMemoryFormat, kRoundingMode };

std::optional<Enumeration> enumerationOf(const std::string& argument) {
  if (argument == "dtype") return Enumeration::kDtype;
  if (argument == "layout") return Enumeration::kLayout;
  if (argument == "device") return Enumeration::kDevice;
  if (argument == "memory_format") return Enumeration::kMemoryFormat;
  if (argument == "rounding_mode") return Enumeration::kRoundingMode;
  return std::nullopt;
}

// What is said of an operator, once for all nodes of a program that call it: a program has thousands of these and some
// dozens of operators.
class Operators {
 public:
  struct Verdict {
    bool isAllowed;
    std::vector<std::pair<size_t, Enumeration>> enumerations;  // by the number of the argument
  };

  const Verdict& of(const torch::jit::Operator& op) {
    const auto entry = verdicts_.find(&op);
    if (entry != verdicts_.end()) return entry->second;
    const auto& schema = op.schema();
    Verdict verdict{isAllowedOperator(schema.name(), schema.overload_name()), {}};
    for (size_t i = 0; i < schema.arguments().size(); ++i) {
      if (const auto found = enumerationOf(schema.arguments()[i].name())) verdict.enumerations.emplace_back(i, *found);
    }
    return verdicts_.emplace(&op, std::move(verdict)).first->second;
  }

 private:
  std::unordered_map<const torch::jit::Operator*, Verdict> verdicts_;
};

// A constant's value is one attribute, or none for None; numbers and text need no other look.
bool isPlainConstant(const Node& node) {
  using torch::jit::AttributeKind;
  if (!node.hasAttributes()) return true;
  const auto kind = node.hasAttribute(c10::attr::value) ? node.kindOf(c10::attr::value) : AttributeKind::ival;
  if (kind == AttributeKind::i || kind == AttributeKind::f || kind == AttributeKind::s) return true;
  const auto value = torch::jit::toIValue(node.output());
  return !value || isPlainConstant(*value);
}

// `where`: asked for what is refused.
template <typename Where>
void requireAllowed(const Node& node, Operators& operators, const Where& where) {
  if (node.kind() == prim::Constant) {
    if (isPlainConstant(node)) return;
    refuseOperator("a constant of the kind " + torch::jit::toIValue(node.output())->tagKind(), where());
  }
  if (isAllowedNode(node.kind())) return;
  const auto* op = node.maybeOperator();
  if (op == nullptr) refuseOperator(node.kind().toQualString(), where());
  if (operators.of(*op).isAllowed) return;
  const auto& schema = op->schema();
  refuseOperator(schema.overload_name().empty() ? schema.name() : schema.name() + "." + schema.overload_name(),
                 where());
}

// Functions of the module and whatever they call, each once.
class Functions {
 public:
  explicit Functions(const torch::jit::Module& module) {
    for (const auto* function : module._ivalue()->compilation_unit()->get_functions()) add(function);
  }

  void audit() {
    while (!waiting_.empty()) {
      const auto* function = waiting_.back();
      waiting_.pop_back();
      const auto* graph = torch::jit::tryToGraphFunction(*const_cast<Function*>(function));
      const auto where = [&] { return " (in " + function->qualname().qualifiedName() + ")"; };
      if (graph == nullptr) refuseOperator(function->name(), where());
      const_cast<Function*>(function)->ensure_defined();
      visitNodes(*graph->graph()->block(), [&](const Node& node) {
        requireAllowed(node, operators_, where);
        follow(node);
      });
    }
  }

 private:
  void add(const Function* function) {
    if (function != nullptr && seen_.insert(function).second) waiting_.push_back(function);
  }

  void follow(const Node& node) {
    if (node.kind() == prim::CallFunction) {
      if (const auto type = node.input(0)->type()->cast<c10::FunctionType>()) return add(type->function());
      refuseOperator("a function that is not known", "");
    }
    if (node.kind() != prim::CallMethod) return;
    // A call of an interface's method is one of some class in the file, which has been added with all of it.
    if (const auto type = node.input(0)->type()->cast<c10::ClassType>()) add(type->findMethod(node.s(c10::attr::name)));
  }

  Operators operators_;
  std::unordered_set<const Function*> seen_;
  std::vector<const Function*> waiting_;
};

bool isDtype(int64_t number) {
  switch (static_cast<at::ScalarType>(number)) {
    case at::kByte:
    case at::kChar:
    case at::kShort:
    case at::kInt:
    case at::kLong:
    case at::kHalf:
    case at::kFloat:
    case at::kDouble:
    case at::kComplexHalf:
    case at::kComplexFloat:
    case at::kComplexDouble:
    case at::kBool:
    case at::kBFloat16:
    case at::kFloat8_e5m2:
    case at::kFloat8_e4m3fn:
      return number >= 0 && number < 64;
    default:
      return false;
  }
}

// A number that libtorch takes for an enumeration without looking: a constant that is one of it, or what the operator
// `reader` says of a tensor, through branches.
bool isKnown(const Value* value, const std::function<bool(const IValue&)>& isOne, c10::Symbol reader, int depth = 0) {
  if (const auto constant = torch::jit::toIValue(value)) return constant->isNone() || isOne(*constant);
  const auto* node = value->node();
  if (node->kind() == reader) return true;
  if (depth > 16) return false;
  if (node->kind() == prim::unchecked_cast || node->kind() == prim::unchecked_unwrap_optional) {
    return isKnown(node->input(0), isOne, reader, depth + 1);
  }
  if (node->kind() != prim::If) return false;
  return std::all_of(node->blocks().begin(), node->blocks().end(), [&](const Block* block) {
    return isKnown(block->outputs()[value->offset()], isOne, reader, depth + 1);
  });
}

bool isKnownArgument(const Value* value, Enumeration enumeration) {
  switch (enumeration) {
    case Enumeration::kDtype:
      return isKnown(value, [](const IValue& one) { return one.isInt() && isDtype(one.toInt()); }, prim::dtype);
    case Enumeration::kLayout:
      return isKnown(
          value, [](const IValue& one) { return one.isInt() && one.toInt() == 0; },
          c10::Symbol::fromQualString("prim::layout"));
    case Enumeration::kDevice:
      return isKnown(value, [](const IValue& one) { return one.isDevice(); }, prim::device);
    case Enumeration::kMemoryFormat:
      return isKnown(
          value, [](const IValue& one) { return one.isInt() && one.toInt() >= 0 && one.toInt() < 4; }, prim::dtype);
    case Enumeration::kRoundingMode:
      // What "trunc" does not look at, arithmetic.cc does.
      return isKnown(
          value,
          [](const IValue& one) {
            return one.isString() && (one.toStringRef() == "floor" || one.toStringRef() == "trunc");
          },
          prim::dtype);
  }
  return false;
}

void requireKnownArguments(const Node& node, Operators& operators) {
  const auto* op = node.kind() == prim::Constant ? nullptr : node.maybeOperator();
  if (op == nullptr) return;
  for (const auto& [i, enumeration] : operators.of(*op).enumerations) {
    if (i >= node.inputs().size() || isKnownArgument(node.input(i), enumeration)) continue;
    refuseOperator(op->schema().name(),
                   " with the argument " + op->schema().arguments()[i].name() + " that is unusual or computed");
  }
}

}  // namespace

void auditProgram(const torch::jit::Module& module) { Functions(module).audit(); }

void auditAttributes(const torch::jit::Module& module) {
  std::unordered_set<const void*> visited;
  fits(module._ivalue(), *module.type(), visited);
}

void auditGraph(const Graph& graph) {
  Operators operators;
  const auto own = c10::Symbol::fromQualString("namespaces::" + std::string(kNamespace));
  visitNodes(*graph.block(), [&](const Node& node) {
    const bool isCall =
        node.kind() == prim::CallMethod || node.kind() == prim::CallFunction || node.kind() == prim::fork;
    if (isCall) refuseOperator("something that is not known before it runs", "");
    if (node.kind().ns() != own) requireAllowed(node, operators, [] { return ""; });
    requireKnownArguments(node, operators);
  });
}

}  // namespace dg
