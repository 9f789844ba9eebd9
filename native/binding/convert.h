#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "native/binding/errors.h"
#include "native/core/graph/site.h"
#include "native/core/model/component.h"
#include "native/core/model/model.h"
#include "native/core/sampling/plan.h"
#include "native/core/sampling/sampler.h"

// JavaScript values to the core's plain data and back. Everything is copied, so nothing a worker reads can change under
// it. All functions throw Napi::Error with a code: BAD_OPTION or BAD_TENSOR. JavaScript thread only.
namespace dg::binding {

// convert_value.cc. `what` and `key` are named in the error.
bool isAbsent(const Napi::Value& value);  // undefined or null
Napi::Object object(const Napi::Value& value, const char* what);
Napi::Array list(const Napi::Value& value, const char* what);
Napi::Array list(const Napi::Object& object, const char* key);
std::string text(const Napi::Value& value, const char* what);
std::string text(const Napi::Object& object, const char* key);
std::optional<std::string> optionalText(const Napi::Object& object, const char* key);
std::vector<std::string> texts(const Napi::Object& object, const char* key);
double number(const Napi::Object& object, const char* key, double fallback);
int64_t whole(const Napi::Object& object, const char* key, int64_t fallback);
bool flag(const Napi::Object& object, const char* key, bool fallback);
std::vector<double> numbers(const Napi::Value& value);
std::vector<double> optionalNumbers(const Napi::Object& object, const char* key);
std::vector<int64_t> integers(const Napi::Value& value);
std::optional<std::vector<int64_t>> optionalIntegers(const Napi::Object& object, const char* key);
at::Device device(const Napi::Value& value);

template <typename Item, typename Convert>
std::vector<Item> mapList(const Napi::Array& array, Convert convert) {
  std::vector<Item> result;
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(convert(array.Get(i)));
  return result;
}

// convert_tensor.cc: { data: TypedArray, shape: number[], dtype: string }
at::ScalarType dtypeNamed(Napi::Env env, const std::string& name);
std::string dtypeName(at::ScalarType dtype);
size_t countOf(Napi::Env env, const std::vector<int64_t>& shape);  // elements; refuses more than there can be
at::Tensor tensor(const Napi::Value& value);
Napi::Object tensor(Napi::Env env, const at::Tensor& value);
std::vector<at::Tensor> tensors(const Napi::Value& value);

// convert_options.cc, convert_edit.cc, convert_plan.cc: as lib/native/ describes them.
Quantisation quantisation(const Napi::Object& object);
LoadOptions loadOptions(const Napi::Value& value);
Component::Options componentOptions(const Napi::Value& value);
Edit edit(const Napi::Object& object);
Plan plan(const Napi::Value& value);

// convert_result.cc, likewise.
Napi::Array numberList(Napi::Env env, const std::vector<int64_t>& numbers);
Napi::Object siteObject(Napi::Env env, const Site& site);
Napi::Array fusedList(Napi::Env env, const std::map<std::string, int64_t>& counts);
Napi::Object quantisedLayer(Napi::Env env, const QuantisedLayer& layer);
Napi::Object inventoryObject(Napi::Env env, const WeightInventory& inventory);
Napi::Value quantisedObject(Napi::Env env, const std::optional<QuantisationReport>& report);
Napi::Object resultObject(Napi::Env env, const SampleResult& result);
Napi::Object progressObject(Napi::Env env, const Progress& progress);
Napi::Object recordsObject(Napi::Env env, const Records& records);

}  // namespace dg::binding
