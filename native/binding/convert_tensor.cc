#include <ATen/Functions.h>

#include <array>
#include <cstring>
#include <numeric>

#include "native/binding/convert.h"

namespace dg::binding {
namespace {

struct DtypeRow {
  const char* name;
  at::ScalarType dtype;
  napi_typedarray_type array;
};

constexpr std::array<DtypeRow, 8> dtypes{{{"float32", at::kFloat, napi_float32_array},
                                          {"float16", at::kHalf, napi_uint16_array},
                                          {"bfloat16", at::kBFloat16, napi_uint16_array},
                                          {"float64", at::kDouble, napi_float64_array},
                                          {"int64", at::kLong, napi_bigint64_array},
                                          {"int32", at::kInt, napi_int32_array},
                                          {"uint8", at::kByte, napi_uint8_array},
                                          {"bool", at::kBool, napi_uint8_array}}};

const DtypeRow& row(Napi::Env env, const std::string& name) {
  for (const auto& entry : dtypes) {
    if (name == entry.name) return entry;
  }
  throw error(env, "BAD_TENSOR",
              "dtype is '" + name + "': expected float32, float16, bfloat16, float64, int64, int32, uint8 or bool.");
}

const DtypeRow* row(at::ScalarType dtype) {
  for (const auto& entry : dtypes) {
    if (dtype == entry.dtype) return &entry;
  }
  return nullptr;
}

Napi::Value typedArray(Napi::Env env, const DtypeRow& kind, const Napi::ArrayBuffer& buffer, size_t length) {
  napi_value result;
  const auto status = napi_create_typedarray(env, kind.array, length, buffer, 0, &result);
  if (status != napi_ok) throw error(env, "BAD_TENSOR", "A typed array could not be made.");
  return {env, result};
}

}  // namespace

at::ScalarType dtypeNamed(Napi::Env env, const std::string& name) { return row(env, name).dtype; }

std::string dtypeName(at::ScalarType dtype) {
  const auto* known = row(dtype);
  return known != nullptr ? known->name : c10::toString(dtype);
}

// Of elements in a shape. No array has more than an engine can number.
size_t countOf(Napi::Env env, const std::vector<int64_t>& shape) {
  constexpr int64_t kMost = int64_t{1} << 53;
  bool isEmpty = false;
  for (const auto size : shape) {
    if (size < 0) throw error(env, "BAD_TENSOR", "A tensor's shape has a negative size.");
    isEmpty = isEmpty || size == 0;
  }
  if (isEmpty) return 0;
  int64_t count = 1;
  for (const auto size : shape) {
    if (size > kMost / count)
      throw error(env, "BAD_TENSOR", "A tensor's shape asks for more values than there can be.");
    count *= size;
  }
  return static_cast<size_t>(count);
}

at::Tensor tensor(const Napi::Value& value) {
  const auto env = value.Env();
  if (!value.IsObject()) throw error(env, "BAD_TENSOR", "A tensor must be { data, shape, dtype }.");
  const auto object = value.As<Napi::Object>();
  const auto& kind = row(env, text(object, "dtype"));
  const auto shape = integers(object.Get("shape"));
  const auto data = object.Get("data");
  if (!data.IsTypedArray()) throw error(env, "BAD_TENSOR", "A tensor's data must be a typed array.");
  // As the engine sees it, whatever its object says of itself; a detached array has no elements. A type that Node-API
  // has no name for (Float16Array) leaves it as it is: none that a dtype has.
  auto type = napi_int8_array;
  size_t length = 0;
  void* source = nullptr;
  if (napi_get_typedarray_info(env, data, &type, &length, &source, nullptr, nullptr) != napi_ok) {
    throw error(env, "BAD_TENSOR", "A tensor's data can not be read.");
  }
  if (type != kind.array) {
    throw error(env, "BAD_TENSOR", "A tensor of dtype " + std::string(kind.name) + " has data of another type.");
  }
  if (countOf(env, shape) != length) {
    throw error(env, "BAD_TENSOR",
                "A tensor's shape asks for " + std::to_string(countOf(env, shape)) + " values, its data has " +
                    std::to_string(length) + ".");
  }
  auto result = at::empty(shape, at::TensorOptions(kind.dtype));
  if (length > 0) std::memcpy(result.data_ptr(), source, result.nbytes());
  return result;
}

Napi::Object tensor(Napi::Env env, const at::Tensor& value) {
  auto contiguous = value.to(at::kCPU).contiguous();
  const auto* kind = row(contiguous.scalar_type());
  if (kind == nullptr) {
    contiguous = contiguous.to(at::kFloat);
    kind = row(at::kFloat);
  }
  // Copied, not lent: Electron refuses buffers that V8 does not own.
  auto buffer = Napi::ArrayBuffer::New(env, contiguous.nbytes());
  if (contiguous.numel() > 0) std::memcpy(buffer.Data(), contiguous.data_ptr(), contiguous.nbytes());
  auto shape = Napi::Array::New(env, contiguous.dim());
  for (int64_t i = 0; i < contiguous.dim(); ++i) {
    shape.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(contiguous.size(i))));
  }
  auto object = Napi::Object::New(env);
  object.Set("data", typedArray(env, *kind, buffer, contiguous.numel()));
  object.Set("shape", shape);
  object.Set("dtype", kind->name);
  return object;
}

std::vector<at::Tensor> tensors(const Napi::Value& value) {
  if (!value.IsArray()) throw error(value.Env(), "BAD_TENSOR", "Expected an array of tensors.");
  return mapList<at::Tensor>(value.As<Napi::Array>(), [](const Napi::Value& item) { return tensor(item); });
}

}  // namespace dg::binding
