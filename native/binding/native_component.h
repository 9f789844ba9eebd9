#pragma once

#include <napi.h>

#include <memory>

#include "native/binding/worker.h"
#include "native/core/model/component.h"

namespace dg::binding {

// What JavaScript sees of a component. It runs on a thread of its own, as a model does.
class NativeComponent : public Napi::ObjectWrap<NativeComponent> {
 public:
  static Napi::Function define(Napi::Env env);
  // loadComponent({ file, device, dtype, allowAllOperators, identity }): promise of a NativeComponent
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit NativeComponent(const Napi::CallbackInfo& info);
  ~NativeComponent() override;

 private:
  Napi::Value describe(const Napi::CallbackInfo& info);  // sync: { device, dtype, parameters, bytes }
  Napi::Value run(const Napi::CallbackInfo& info);       // (inputs): run of a list of tensors
  Napi::Value dispose(const Napi::CallbackInfo& info);   // promise; cancels what waits

  const Component& component(Napi::Env env) const;  // throws DISPOSED

  std::shared_ptr<Component> component_;
  std::shared_ptr<Worker> worker_;
  int64_t reportedBytes_ = 0;
  bool disposed_ = false;
};

}  // namespace dg::binding
