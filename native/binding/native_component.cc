#include "native/binding/native_component.h"

#include <utility>
#include <vector>

#include "native/binding/convert.h"

namespace dg::binding {

Napi::Function NativeComponent::define(Napi::Env env) {
  return DefineClass(env, "NativeComponent",
                     {method<&NativeComponent::describe>("describe"), method<&NativeComponent::run>("run"),
                      method<&NativeComponent::dispose>("dispose")});
}

Napi::Value NativeComponent::load(const Napi::CallbackInfo& info) {
  return startLoad(info.Env(), [options = componentOptions(info[0])] { return Component::load(options); });
}

Napi::Value NativeComponent::describe(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& component = core(env);
  auto object = Napi::Object::New(env);
  object.Set("device", component.device().str());
  object.Set("dtype", dtypeName(component.dtype()));
  object.Set("parameters", static_cast<double>(component.size().parameters));
  object.Set("bytes", static_cast<double>(component.size().bytes));
  return object;
}

Napi::Value NativeComponent::run(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& component = core(env);
  return start(
      env, [&component, inputs = tensors(info[0])] { return component.run(inputs); },
      [](Napi::Env settled, const std::vector<at::Tensor>& outputs) -> Napi::Value {
        auto list = Napi::Array::New(settled, outputs.size());
        for (size_t i = 0; i < outputs.size(); ++i) list.Set(static_cast<uint32_t>(i), tensor(settled, outputs[i]));
        return list;
      });
}

}  // namespace dg::binding
