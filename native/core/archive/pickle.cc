#include "native/core/archive/pickle.h"

#include <c10/util/safe_numerics.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "native/core/archive/refuse.h"

namespace dg {
namespace {

constexpr uint32_t kMostDepth = 128;           // of values within values
constexpr uint64_t kMostWeight = 100'000'000;  // of a value written out, with what it shares counted each time
constexpr size_t kMostDimensions = 64;
constexpr size_t kMostValues = 2'000'000;
constexpr size_t kMostTypeDepth = 32;
constexpr size_t kMostTypeBytes = 1 << 16;

enum class Kind { none, boolean, integer, real, text, tuple, list, dict, global, storage, tensor, object, other };

struct Pickled {
  Kind kind = Kind::none;
  int64_t integer = 0;  // integer; bytes of a storage, and of one of its elements:
  int64_t itemBytes = 0;
  std::string text;  // text; a global's "module name"
  std::vector<const Pickled*> items;
  uint32_t depth = 1;
  uint64_t weight = 1;
  bool used = false;  // part of another value: a list or a dictionary changes no more, so nothing can contain itself
};

// torch.XStorage -> bytes of an element.
int64_t itemBytesOf(const std::string& storage, bool quantised) {
  static const std::array<std::pair<const char*, int64_t>, 22> plain{{
      {"ByteStorage", 1},
      {"CharStorage", 1},
      {"BoolStorage", 1},
      {"ShortStorage", 2},
      {"HalfStorage", 2},
      {"BFloat16Storage", 2},
      {"IntStorage", 4},
      {"FloatStorage", 4},
      {"LongStorage", 8},
      {"DoubleStorage", 8},
      {"ComplexHalfStorage", 4},
      {"ComplexFloatStorage", 8},
      {"ComplexDoubleStorage", 16},
      {"Float8_e5m2Storage", 1},
      {"Float8_e4m3fnStorage", 1},
      {"UInt16Storage", 2},
      {"UInt32Storage", 4},
      {"UInt64Storage", 8},
      {"Float8_e5m2fnuzStorage", 1},
      {"Float8_e4m3fnuzStorage", 1},
      {"QInt8Storage", -1},
      {"QUInt8Storage", -1},
  }};
  for (const auto& [name, bytes] : plain) {
    if (storage == name && (bytes > 0 || quantised)) return std::abs(bytes);
  }
  return 0;
}

bool isClass(const std::string& global) { return global.rfind("__torch__", 0) == 0; }
bool isCustomClass(const std::string& global) { return global.rfind("__torch__.torch.classes", 0) == 0; }

// Where memory of a saved tensor may have been; it is loaded into the CPU's.
bool isDevice(const std::string& text) {
  for (const char* known : {"cpu", "cuda", "mps", "xpu", "hpu"}) {
    const size_t length = std::strlen(known);
    if (text.compare(0, length, known) != 0) continue;
    if (text.size() == length) return true;
    return text[length] == ':' && text.size() > length + 1 && text.size() < length + 5 &&
           std::all_of(
               text.begin() + static_cast<int64_t>(length) + 1, text.end(),
               [](char c) { return c >= '0' && c <= '9'; });
  }
  return false;
}

class Reader {
 public:
  Reader(std::string_view bytes, const PickleRules& rules) : bytes_(bytes), rules_(rules) {}

  void run() {
    while (step()) {
    }
    if (stack_.size() != 1 || !marks_.empty()) refuse("a pickle in it is damaged");
  }

 private:
  // --- Bytes --------------------------------------------------------------------------------------------------------
  uint64_t number(size_t count) {
    const auto from = take(count);
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(from[i]);
    return value;
  }

  std::string_view take(size_t count) {
    if (count > bytes_.size() - at_) refuse("a pickle in it is cut short");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }

  std::string line() {
    const auto end = bytes_.find('\n', at_);
    if (end == std::string_view::npos || end - at_ > 4096) refuse("a pickle in it is damaged");
    auto text = take(end + 1 - at_);
    text.remove_suffix(1);
    return std::string(text);
  }

  // --- Stack --------------------------------------------------------------------------------------------------------
  Pickled* make(Kind kind) {
    if (values_.size() == kMostValues) refuse("its values are too many");
    values_.emplace_back().kind = kind;
    return &values_.back();
  }

  void push(Pickled* value) { stack_.push_back(value); }

  Pickled* pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("a pickle in it is damaged");
    Pickled* value = stack_.back();
    stack_.pop_back();
    return value;
  }

  Pickled* top() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("a pickle in it is damaged");
    return stack_.back();
  }

  std::vector<Pickled*> popToMark() {
    if (marks_.empty()) refuse("a pickle in it is damaged");
    const auto from = stack_.begin() + static_cast<int64_t>(marks_.back());
    marks_.pop_back();
    std::vector<Pickled*> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    return items;
  }

  static void put(Pickled* owner, Pickled* item) {
    if (item == owner) refuse("a value in it contains itself");
    item->used = true;
    owner->items.push_back(item);
    owner->depth = std::max(owner->depth, item->depth + 1);
    owner->weight += item->weight;
    if (owner->depth > kMostDepth) refuse("its values are nested too deeply");
    if (owner->weight > kMostWeight) refuse("its values are too large");
  }

  void pushTuple(const std::vector<Pickled*>& items) {
    Pickled* tuple = make(Kind::tuple);
    for (Pickled* item : items) put(tuple, item);
    push(tuple);
  }

  static void requireOpen(const Pickled* owner, Kind kind) {
    if (owner->kind != kind || owner->used) refuse("a pickle in it is damaged");
  }

  void append(const std::vector<Pickled*>& items) {
    Pickled* list = top();
    requireOpen(list, Kind::list);
    for (Pickled* item : items) put(list, item);
  }

  void setItems(const std::vector<Pickled*>& items) {
    Pickled* dict = top();
    requireOpen(dict, Kind::dict);
    if (items.size() % 2 != 0) refuse("a pickle in it is damaged");
    for (size_t i = 0; i < items.size(); ++i) {
      const auto kind = items[i]->kind;
      const bool isKey = kind == Kind::text || kind == Kind::integer || kind == Kind::real || kind == Kind::boolean ||
                         kind == Kind::other;
      if (i % 2 == 0 && !isKey) refuse("a dictionary in it has a key of a kind that torch.jit.save does not write");
      put(dict, items[i]);
    }
  }

  void remember(uint64_t place) {
    // The places are counted up; libtorch makes room for as many as the number says.
    if (place > memo_.size()) refuse("a pickle in it is damaged");
    if (place == memo_.size()) memo_.push_back(nullptr);
    memo_[place] = top();
  }

  void recall(uint64_t place) {
    if (place >= memo_.size()) refuse("a pickle in it is damaged");
    push(memo_[place]);
  }

  // --- Opcodes ------------------------------------------------------------------------------------------------------
  bool step() {
    switch (take(1)[0]) {
      case '\x80':
        if (number(1) != 2) refuse("a pickle in it is of another version");
        return true;
      case 'N':
        push(make(Kind::none));
        return true;
      case '\x88':
      case '\x89':
        push(make(Kind::boolean));
        return true;
      case 'K':
        return pushInteger(static_cast<int64_t>(number(1)));
      case 'M':
        return pushInteger(static_cast<int64_t>(number(2)));
      case 'J':
        return pushInteger(static_cast<int32_t>(number(4)));
      case '\x8a':
        if (number(1) != 8) refuse("a pickle in it is damaged");
        return pushInteger(static_cast<int64_t>(number(8)));
      case 'G':
        take(8);
        push(make(Kind::real));
        return true;
      case 'X': {
        Pickled* text = make(Kind::text);
        text->text = std::string(take(number(4)));
        push(text);
        return true;
      }
      case ')':
        pushTuple({});
        return true;
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case 't':
        pushTuple(popToMark());
        return true;
      case '\x85':
      case '\x86':
      case '\x87':
        return popTuple(static_cast<size_t>(static_cast<unsigned char>(bytes_[at_ - 1]) - 0x84));
      case ']':
        push(make(Kind::list));
        return true;
      case 'e':
        append(popToMark());
        return true;
      case 'a':
        append({pop()});
        return true;
      case '}':
        push(make(Kind::dict));
        return true;
      case 'u':
        setItems(popToMark());
        return true;
      case 's': {
        Pickled* value = pop();
        setItems({pop(), value});
        return true;
      }
      case 'q':
        remember(number(1));
        return true;
      case 'r':
        remember(number(4));
        return true;
      case 'h':
        recall(number(1));
        return true;
      case 'j':
        recall(number(4));
        return true;
      case 'c':
        return pushGlobal();
      case '\x81': {  // NEWOBJ: the class is called with nothing; BUILD gives it its attributes
        const Pickled* nothing = pop();
        if (nothing->kind != Kind::tuple || !nothing->items.empty()) refuse("a pickle in it is damaged");
        if (top()->kind != Kind::global || !isClass(top()->text)) refuse("a pickle in it is damaged");
        return true;
      }
      case 'b':
        return build();
      case 'R':
        return reduce();
      case 'Q':
        return loadStorage();
      case '.':
        return false;
      default:
        refuse("a pickle in it has an instruction that torch.jit.save does not write");
    }
  }

  bool pushInteger(int64_t number) {
    Pickled* value = make(Kind::integer);
    value->integer = number;
    push(value);
    return true;
  }

  bool popTuple(size_t count) {
    std::vector<Pickled*> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    pushTuple(items);
    return true;
  }

  bool pushGlobal() {
    const auto module = line();
    const auto name = line();
    // libtorch's own reader puts a number in the place of a dtype.
    Pickled* value = make(Kind::global);
    value->text = isClass(module) ? module + "." + name : module + " " + name;
    if (isClass(value->text)) {
      if (isCustomClass(value->text) && !rules_.allowAllClasses) {
        throw Error("OPERATOR_REFUSED", "The model has an object of the custom class " + value->text +
                                            ", whose code runs while the file is read.");
      }
      if (!rules_.allowObjects) refuse("its constants have an object among them");
    }
    push(value);
    return true;
  }

  bool build() {
    Pickled* state = pop();
    const Pickled* type = pop();
    if (type->kind != Kind::global || !isClass(type->text)) refuse("a pickle in it is damaged");
    if (state->kind != Kind::dict && !rules_.allowAllClasses) {
      refuse("an object in it is not described by its attributes");
    }
    Pickled* object = make(Kind::object);
    put(object, state);
    push(object);
    return true;
  }

  bool reduce() {
    const Pickled* arguments = pop();
    const Pickled* function = pop();
    if (function->kind != Kind::global || arguments->kind != Kind::tuple) refuse("a pickle in it is damaged");
    const auto& name = function->text;
    const auto& items = arguments->items;
    Pickled* result = make(Kind::other);
    if (name == "torch._utils _rebuild_tensor_v2" ||
        (name == "torch._utils _rebuild_qtensor" && rules_.allowAllClasses)) {
      requireWithinStorage(items);
      result->kind = Kind::tensor;
    } else if (name == "torch.jit._pickle restore_type_tag") {
      if (items.size() != 2 || items[1]->kind != Kind::text) refuse("a pickle in it is damaged");
      requirePlainType(items[1]->text);
    } else if (name == "torch device") {
      if (items.size() != 1 || items[0]->kind != Kind::text || !isDevice(items[0]->text)) {
        refuse("it names a device that is none");
      }
    } else if (name == "torch.jit._pickle build_intlist" || name == "torch.jit._pickle build_doublelist" ||
               name == "torch.jit._pickle build_boollist" || name == "torch.jit._pickle build_tensorlist") {
      requireListOf(name, items);
    } else if (name == "collections OrderedDict" ? !items.empty() : name != "builtins complex" || items.size() != 2) {
      if (!rules_.allowAllClasses) refuse("a pickle in it calls " + name + ", which torch.jit.save does not write");
    }
    for (const Pickled* item : items) put(result, const_cast<Pickled*>(item));
    push(result);
    return true;
  }

  static void requireListOf(const std::string& function, const std::vector<const Pickled*>& items) {
    const auto kind = function.find("build_intlist") != std::string::npos      ? Kind::integer
                      : function.find("build_doublelist") != std::string::npos ? Kind::real
                      : function.find("build_boollist") != std::string::npos   ? Kind::boolean
                                                                               : Kind::tensor;
    if (items.size() != 1 || items[0]->kind != Kind::list) refuse("a pickle in it is damaged");
    for (const Pickled* item : items[0]->items) {
      if (item->kind != kind) refuse("a list in it has an item of another kind");
    }
  }

  // A type as text, which libtorch parses.
  static void requirePlainType(const std::string& text) {
    size_t depth = 0;
    bool fits = text.size() <= kMostTypeBytes;
    for (const char c : text) {
      fits = fits && (std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_., []", c) != nullptr);
      depth += c == '[' ? 1 : 0;
      fits = fits && depth <= kMostTypeDepth;
      depth -= c == ']' && depth > 0 ? 1 : 0;
    }
    if (!fits) refuse("a type in it is not one that torch.jit.save writes");
  }

  // ("storage", torch.FloatStorage, key, device, elements)
  bool loadStorage() {
    const Pickled* id = pop();
    if (id->kind != Kind::tuple || id->items.size() != 5) refuse("a pickle in it is damaged");
    const auto& part = id->items;
    if (part[0]->kind != Kind::text || part[0]->text != "storage" || part[1]->kind != Kind::global ||
        part[2]->kind != Kind::text || part[3]->kind != Kind::text || part[4]->kind != Kind::integer) {
      refuse("a pickle in it is damaged");
    }
    const auto type = part[1]->text.rfind("torch ", 0) == 0 ? part[1]->text.substr(6) : "";
    Pickled* storage = make(Kind::storage);
    storage->itemBytes = itemBytesOf(type, rules_.allowAllClasses);
    if (storage->itemBytes == 0) refuse("a tensor in it has the type " + part[1]->text + ", which is not supported");
    if (!isDevice(part[3]->text)) refuse("a tensor in it is on the device " + part[3]->text.substr(0, 40));
    const int64_t elements = part[4]->integer;
    const auto& key = part[2]->text;
    const auto bytes = rules_.storageBytes(key);
    if (elements < 0 || c10::mul_overflows(elements, storage->itemBytes, &storage->integer)) {
      refuse("a tensor in it has an impossible size");
    }
    // Of no elements libtorch reads nothing.
    if (elements > 0 && !bytes) refuse("the record with the numbers of a tensor is missing: " + key.substr(0, 40));
    if (elements > 0 && *bytes != static_cast<uint64_t>(storage->integer)) {
      refuse("the record of the tensor " + key.substr(0, 40) + " has " + std::to_string(*bytes) + " bytes, and " +
             std::to_string(storage->integer) + " would fit its size");
    }
    push(storage);
    return true;
  }

  // (storage, offset, sizes, strides, requires_grad, hooks)
  static void requireWithinStorage(const std::vector<const Pickled*>& items) {
    if (items.size() < 6 || items[0]->kind != Kind::storage || items[1]->kind != Kind::integer ||
        items[2]->kind != Kind::tuple || items[3]->kind != Kind::tuple ||
        items[2]->items.size() != items[3]->items.size()) {
      refuse("a tensor in it is described in a way that torch.jit.save does not use");
    }
    const auto& sizes = items[2]->items;
    const auto& strides = items[3]->items;
    if (sizes.size() > kMostDimensions) refuse("a tensor in it has too many axes");
    const int64_t elements = items[0]->integer / items[0]->itemBytes;
    int64_t last = items[1]->integer, count = 1;
    bool fits = last >= 0;
    bool isEmpty = false;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      const int64_t size = sizes[axis]->integer, stride = strides[axis]->integer;
      int64_t reach = 0;
      fits = fits && sizes[axis]->kind == Kind::integer && strides[axis]->kind == Kind::integer && size >= 0 &&
             stride >= 0;
      fits = fits && !c10::mul_overflows(size > 0 ? size - 1 : 0, stride, &reach) &&
             !c10::add_overflows(last, reach, &last) && !c10::mul_overflows(count, std::max<int64_t>(size, 1), &count);
      isEmpty = isEmpty || size == 0;
    }
    // Expanded views are larger than their storage; what is made of them is as large as they say.
    fits = fits && (isEmpty ? items[1]->integer <= elements : last < elements) &&
           count <= std::max<int64_t>(elements, 1) * 4096;
    if (!fits) refuse("a tensor in it reaches beyond its numbers");
  }

  std::string_view bytes_;
  const PickleRules& rules_;
  size_t at_ = 0;
  std::vector<Pickled*> stack_;
  std::vector<size_t> marks_;
  std::vector<Pickled*> memo_;
  std::deque<Pickled> values_;
};

}  // namespace

void auditPickle(std::string_view pickle, const PickleRules& rules) { Reader(pickle, rules).run(); }

}  // namespace dg
