#include <cmath>

#include "native/binding/convert.h"

namespace dg::binding {
namespace {

// Beyond it a number of JavaScript's is not exact any more.
constexpr double kLargestWhole = 9007199254740991.0;

Napi::Error refused(Napi::Env env, const std::string& what, const std::string& expected) {
  return error(env, "BAD_OPTION", what + " is of another kind: expected " + expected + ".");
}

}  // namespace

bool isAbsent(const Napi::Value& value) { return value.IsUndefined() || value.IsNull(); }

Napi::Object object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) throw refused(value.Env(), what, "an object");
  return value.As<Napi::Object>();
}

Napi::Array list(const Napi::Value& value, const char* what) {
  if (!value.IsArray()) throw refused(value.Env(), what, "an array");
  return value.As<Napi::Array>();
}

Napi::Array list(const Napi::Object& object, const char* key) { return list(object.Get(key), key); }

std::string text(const Napi::Value& value, const char* what) {
  if (!value.IsString()) throw refused(value.Env(), what, "a string");
  return value.As<Napi::String>().Utf8Value();
}

std::string text(const Napi::Object& object, const char* key) { return text(object.Get(key), key); }

std::optional<std::string> optionalText(const Napi::Object& object, const char* key) {
  if (isAbsent(object.Get(key))) return std::nullopt;
  return text(object, key);
}

std::vector<std::string> texts(const Napi::Object& object, const char* key) {
  return mapList<std::string>(list(object, key), [key](const Napi::Value& item) { return text(item, key); });
}

double number(const Napi::Object& object, const char* key, double fallback) {
  const auto value = object.Get(key);
  if (isAbsent(value)) return fallback;
  if (!value.IsNumber()) throw refused(object.Env(), key, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t whole(const Napi::Object& object, const char* key, int64_t fallback) {
  const auto value = number(object, key, static_cast<double>(fallback));
  if (!(std::floor(value) == value) || std::abs(value) > kLargestWhole) {
    throw refused(object.Env(), key, "a whole number");
  }
  return static_cast<int64_t>(value);
}

bool flag(const Napi::Object& object, const char* key, bool fallback) {
  const auto value = object.Get(key);
  return isAbsent(value) ? fallback : value.ToBoolean().Value();
}

std::vector<double> numbers(const Napi::Value& value) {
  return mapList<double>(list(value, "a list"), [](const Napi::Value& item) {
    if (item.IsBoolean()) return item.As<Napi::Boolean>().Value() ? 1.0 : 0.0;
    if (!item.IsNumber()) throw refused(item.Env(), "an item of a list", "a number");
    return item.As<Napi::Number>().DoubleValue();
  });
}

std::vector<double> optionalNumbers(const Napi::Object& object, const char* key) {
  const auto value = object.Get(key);
  return isAbsent(value) ? std::vector<double>{} : numbers(value);
}

std::vector<int64_t> integers(const Napi::Value& value) {
  std::vector<int64_t> result;
  for (const auto number : numbers(value)) {
    if (!(std::floor(number) == number) || std::abs(number) > kLargestWhole) {
      throw refused(value.Env(), "an item of a list", "a whole number");
    }
    result.push_back(static_cast<int64_t>(number));
  }
  return result;
}

std::optional<std::vector<int64_t>> optionalIntegers(const Napi::Object& object, const char* key) {
  const auto value = object.Get(key);
  if (isAbsent(value)) return std::nullopt;
  return integers(value);
}

at::Device device(const Napi::Value& value) {
  try {
    at::Device result(text(value, "device"));
    if (result.is_cuda() && !result.has_index()) result.set_index(0);
    if (result.is_cuda() || result.is_cpu()) return result;
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception&) {
    // libtorch does not know it either.
  }
  throw refused(value.Env(), "device", "'cpu' or 'cuda:N'");
}

}  // namespace dg::binding
