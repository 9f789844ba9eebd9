#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <napi.h>
#include <torch/version.h>

#include "native/binding/convert.h"
#include "native/binding/environment.h"
#include "native/binding/native_component.h"
#include "native/binding/native_model.h"
#include "native/core/device/memory.h"
#include "native/core/sampling/sampler.h"
#include "native/cuda/devices.h"
#include "native/cuda/install.h"
#include "native/cuda/operators.h"

namespace dg::binding {
namespace {

Napi::Value info(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  auto object = Napi::Object::New(env);
  object.Set("libtorch", TORCH_VERSION);
  object.Set("cudaLinked", cudaStatus().linked);
  const auto kernels = dg::cuda::architectures();
  object.Set("kernels", kernels.empty() ? env.Null() : Napi::String::New(env, kernels));
  object.Set("cpuCapability", at::get_cpu_capability());
  object.Set("threads", at::get_num_threads());
  return object;
}

// cuda(): { available, devices: [{ name, memory }], reason }
Napi::Value cuda(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  const auto status = cudaStatus();
  auto devices = Napi::Array::New(env);
  for (const auto& device : status.devices) {
    auto entry = Napi::Object::New(env);
    entry.Set("name", device.name);
    entry.Set("memory", static_cast<double>(device.memory));
    devices.Set(devices.Length(), entry);
  }
  auto object = Napi::Object::New(env);
  object.Set("available", !status.devices.empty());
  object.Set("devices", devices);
  object.Set("reason", status.reason.empty() ? env.Null() : Napi::String::New(env, status.reason));
  return object;
}

at::Device deviceNamed(const Napi::Value& value) {
  try {
    auto device = at::Device(value.ToString().Utf8Value());
    if (!device.is_cpu() && !device.has_index()) device.set_index(0);
    return device;
  } catch (const c10::Error&) {
    throw error(value.Env(), "BAD_OPTION", "device must be 'cpu' or 'cuda:N'.");
  }
}

// memory(device): { allocated, reserved, peakAllocated, peakReserved, free, total } in bytes, or null for the CPU
Napi::Value memory(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  try {
    const auto found = memoryStatistics(deviceNamed(call[0]));
    if (!found) return env.Null();
    auto object = Napi::Object::New(env);
    object.Set("allocated", static_cast<double>(found->allocated));
    object.Set("reserved", static_cast<double>(found->reserved));
    object.Set("peakAllocated", static_cast<double>(found->peakAllocated));
    object.Set("peakReserved", static_cast<double>(found->peakReserved));
    object.Set("free", static_cast<double>(found->free));
    object.Set("total", static_cast<double>(found->total));
    return object;
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& cause) {
    throw error(env, cause);
  }
}

// emptyCache(device), resetPeakMemory(device)
template <void (*action)(at::Device)>
Napi::Value onDevice(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  try {
    action(deviceNamed(call[0]));
    return env.Undefined();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& cause) {
    throw error(env, cause);
  }
}

// gaussian(seed: bigint, shape: number[]): tensor
Napi::Value gaussian(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  try {
    bool lossless = true;
    const auto seed = call[0].As<Napi::BigInt>().Uint64Value(&lossless);
    return tensor(env, dg::gaussian(seed, integers(call[1])));
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& cause) {
    throw error(env, cause);
  }
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  dg::cuda::install();
  auto* environment = new Environment;
  environment->nativeModel = Napi::Persistent(NativeModel::define(env));
  environment->nativeComponent = Napi::Persistent(NativeComponent::define(env));
  env.SetInstanceData(environment);  // deleted with the environment
  exports.Set("info", Napi::Function::New(env, info));
  exports.Set("cuda", Napi::Function::New(env, cuda));
  exports.Set("memory", Napi::Function::New(env, memory));
  exports.Set("emptyCache", Napi::Function::New(env, onDevice<emptyCache>));
  exports.Set("resetPeakMemory", Napi::Function::New(env, onDevice<resetPeakMemory>));
  exports.Set("gaussian", Napi::Function::New(env, gaussian));
  exports.Set("load", Napi::Function::New(env, NativeModel::load));
  exports.Set("loadComponent", Napi::Function::New(env, NativeComponent::load));
  return exports;
}

}  // namespace
}  // namespace dg::binding

static Napi::Object initialiseAddon(Napi::Env env, Napi::Object exports) {
  return dg::binding::initialise(env, exports);
}

NODE_API_MODULE(detail_guidance, initialiseAddon)
