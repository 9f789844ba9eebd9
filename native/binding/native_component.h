#pragma once

#include <napi.h>

#include "native/binding/loaded.h"
#include "native/core/model/component.h"

namespace dg::binding {

// What JavaScript sees of a component.
class NativeComponent : public Loaded<NativeComponent, Component> {
 public:
  static constexpr const char* kind = "component";
  static Napi::Function define(Napi::Env env);

  // [async] loadComponent({ file, device, dtype, allowAllOperators, identity }): { promise, cancel() }, the promise of
  // a NativeComponent. Throws BAD_OPTION, DISPOSED when the process is ending; rejects with MODEL_UNREADABLE,
  // OPERATOR_REFUSED, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, ABORT_ERR.
  static Napi::Value load(const Napi::CallbackInfo& info);

  using Loaded::Loaded;

 private:
  friend Loaded;
  static Napi::FunctionReference& constructor(Environment& environment) { return environment.nativeComponent; }
  static int64_t bytesOf(const Component& component) { return component.size().bytes; }
  void onLoaded(const Component&) {}

  // [sync] describe(): { device, dtype, parameters, bytes }. Throws DISPOSED.
  Napi::Value describe(const Napi::CallbackInfo& info);

  // [async] run(inputs): { promise, cancel() }, the promise of a list of tensors. Throws BAD_TENSOR, DISPOSED; rejects
  // with BAD_TENSOR, MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR.
  Napi::Value run(const Napi::CallbackInfo& info);

  // [async] pictures(inputs, { height, width, black, white }): { promise, cancel() }, the promise of { shape, frames,
  // overflowed }: its first result, [1, 3, height, width] or [1, 3, frames, height, width], as bytes. No frames where
  // that has another shape. Throws BAD_OPTION, BAD_TENSOR, DISPOSED; rejects as run() does.
  Napi::Value pictures(const Napi::CallbackInfo& info);
};

}  // namespace dg::binding
