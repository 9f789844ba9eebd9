#include "native/binding/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <optional>

#include "native/binding/call.h"
#include "native/binding/convert.h"
#include "native/core/device/memory.h"
#include "native/core/operators/product_way.h"
#include "native/cuda/devices.h"
#include "native/cuda/operators.h"

namespace dg::binding {
namespace {

template <typename Work, typename Convert>
Napi::Value onOwnThread(Napi::Env env, Work work, Convert convert) {
  const auto environment = Environment::of(env);
  auto [id, call] = environment->open(env);
  const auto worker = environment->startWorker();
  runCall(environment, id, *worker, std::make_shared<std::atomic<bool>>(false), std::move(work), std::move(convert));
  worker->finish();
  return call.promise.Promise();
}

Napi::Value act(const Napi::CallbackInfo& call, void (*action)(at::Device)) {
  return onOwnThread(
      call.Env(),
      [action, device = device(call[0])] {
        action(device);
        return nullptr;
      },
      [](Napi::Env env, std::nullptr_t) -> Napi::Value { return env.Undefined(); });
}

}  // namespace

Napi::Value info(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  auto object = Napi::Object::New(env);
  object.Set("libtorch", TORCH_VERSION);
  object.Set("cudaLinked", cudaStatus().linked);
  const auto kernels = dg::cuda::architectures();
  object.Set("kernels", kernels.empty() ? env.Null() : Napi::String::New(env, kernels));
  object.Set("cpuCapability", at::get_cpu_capability());
  auto products = Napi::Object::New(env);
  products.Set("float32", dg::name(dg::productWay(at::kFloat)));
  products.Set("bfloat16", dg::name(dg::productWay(at::kBFloat16)));
  object.Set("products", products);
  object.Set("threads", at::get_num_threads());
  return object;
}

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

Napi::Value memory(const Napi::CallbackInfo& call) {
  return onOwnThread(
      call.Env(), [device = device(call[0])] { return memoryStatistics(device); },
      [](Napi::Env env, const std::optional<MemoryStatistics>& statistics) -> Napi::Value {
        if (!statistics) return env.Null();
        auto object = Napi::Object::New(env);
        object.Set("allocated", static_cast<double>(statistics->allocated));
        object.Set("reserved", static_cast<double>(statistics->reserved));
        object.Set("peakAllocated", static_cast<double>(statistics->peakAllocated));
        object.Set("peakReserved", static_cast<double>(statistics->peakReserved));
        object.Set("free", static_cast<double>(statistics->free));
        object.Set("total", static_cast<double>(statistics->total));
        return object;
      });
}

Napi::Value emptyCache(const Napi::CallbackInfo& call) { return act(call, dg::emptyCache); }

Napi::Value resetPeakMemory(const Napi::CallbackInfo& call) { return act(call, dg::resetPeakMemory); }

}  // namespace dg::binding
