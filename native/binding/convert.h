#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "native/core/model/component.h"
#include "native/core/model/model.h"
#include "native/core/sampling/plan.h"

// JavaScript values to the core's plain data and back. Everything is copied, so nothing the worker reads can change
// under it. All functions throw Napi::Error with a code: BAD_OPTION or BAD_TENSOR. JavaScript thread only.
namespace dg::binding {

Napi::Error error(Napi::Env env, const std::string& code, const std::string& message);
// Any C++ exception as a JavaScript error with a code (MODEL_FAILED for those of libtorch).
Napi::Error error(Napi::Env env, const std::exception& cause);

at::ScalarType dtypeNamed(Napi::Env env, const std::string& name);
std::string dtypeName(at::ScalarType dtype);

// { data: TypedArray, shape: number[], dtype: string }
at::Tensor tensor(const Napi::Value& value);
Napi::Object tensor(Napi::Env env, const at::Tensor& value);
std::vector<at::Tensor> tensors(const Napi::Value& value);

std::string text(const Napi::Object& object, const char* key);
std::optional<std::string> optionalText(const Napi::Object& object, const char* key);
double number(const Napi::Object& object, const char* key, double fallback);
bool flag(const Napi::Object& object, const char* key, bool fallback);
std::vector<int64_t> integers(const Napi::Value& value);
std::vector<double> numbers(const Napi::Value& value);
Napi::Array list(const Napi::Object& object, const char* key);

LoadOptions loadOptions(const Napi::Object& options);
Component::Options componentOptions(const Napi::Object& options);
Edit edit(const Napi::Object& object);
Plan plan(const Napi::Object& object);

}  // namespace dg::binding
