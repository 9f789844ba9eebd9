#include <napi.h>

#include "native/binding/convert.h"
#include "native/binding/device.h"
#include "native/binding/environment.h"
#include "native/binding/native_component.h"
#include "native/binding/native_model.h"
#include "native/binding/store.h"
#include "native/core/archive/confinement.h"
#include "native/core/sampling/sampler.h"
#include "native/cuda/install.h"

namespace dg::binding {
namespace {

// [sync] gaussian(seed: bigint, shape: number[]): tensor. Throws BAD_OPTION, BAD_TENSOR, OUT_OF_MEMORY.
Napi::Value gaussian(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  if (!call[0].IsBigInt()) throw error(env, "BAD_OPTION", "seed is of another kind: expected a bigint.");
  bool lossless = true;
  const auto seed = call[0].As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) throw error(env, "BAD_OPTION", "seed does not fit: expected 0n to 2n ** 64n - 1n.");
  const auto shape = integers(call[1]);
  countOf(env, shape);
  return tensor(env, dg::gaussian(seed, shape));
}

// [sync] confine(memoryBytes: number): { memory, files, network, programs }, each whether it was taken away. Throws
// BAD_OPTION.
Napi::Value confine(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  // With less the engine itself would end the process at its next allocation.
  constexpr double kLeast = 1 << 28, kMost = 9007199254740991.0;
  const auto memoryBytes = call[0].IsNumber() ? call[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(memoryBytes >= kLeast && memoryBytes <= kMost)) {
    throw error(env, "BAD_OPTION", "memoryBytes does not fit: expected a number from 2 ** 28.");
  }
  const auto confinement = dg::confine(static_cast<int64_t>(memoryBytes));
  auto object = Napi::Object::New(env);
  object.Set("memory", confinement.memory);
  object.Set("files", confinement.files);
  object.Set("network", confinement.network);
  object.Set("programs", confinement.programs);
  return object;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  dg::cuda::install();
  Environment::install(env);
  const auto environment = Environment::of(env);
  environment->nativeModel = Napi::Persistent(NativeModel::define(env));
  environment->nativeComponent = Napi::Persistent(NativeComponent::define(env));
  exports.Set("info", Napi::Function::New(env, entry<info>));
  exports.Set("cuda", Napi::Function::New(env, entry<cuda>));
  exports.Set("memory", Napi::Function::New(env, entry<memory>));
  exports.Set("emptyCache", Napi::Function::New(env, entry<emptyCache>));
  exports.Set("resetPeakMemory", Napi::Function::New(env, entry<resetPeakMemory>));
  exports.Set("gaussian", Napi::Function::New(env, entry<gaussian>));
  exports.Set("confine", Napi::Function::New(env, entry<confine>));
  exports.Set("load", Napi::Function::New(env, entry<NativeModel::load>));
  exports.Set("storeQuantised", Napi::Function::New(env, entry<storeQuantised>));
  exports.Set("loadComponent", Napi::Function::New(env, entry<NativeComponent::load>));
  return exports;
}

}  // namespace
}  // namespace dg::binding

static Napi::Object initialiseAddon(Napi::Env env, Napi::Object exports) {
  return dg::binding::initialise(env, exports);
}

NODE_API_MODULE(detail_guidance, initialiseAddon)
