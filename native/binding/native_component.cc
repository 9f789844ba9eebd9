#include "native/binding/native_component.h"

#include <utility>
#include <vector>

#include "native/binding/convert.h"
#include "native/core/model/pictures.h"

namespace dg::binding {

Napi::Function NativeComponent::define(Napi::Env env) {
  return DefineClass(env, "NativeComponent",
                     {method<&NativeComponent::describe>("describe"), method<&NativeComponent::run>("run"),
                      method<&NativeComponent::pictures>("pictures"), method<&NativeComponent::dispose>("dispose")});
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

Napi::Value NativeComponent::pictures(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& component = core(env);
  const auto options = object(info[1], "options");
  const PictureForm form{whole(options, "height", 0), whole(options, "width", 0), number(options, "black", -1),
                         number(options, "white", 1)};
  // As large as pictures that are read may be (lib/image/bounds.ts): what does not fit would end the process.
  constexpr int64_t kMost = 178'956'970;
  if (form.height < 1 || form.width < 1 || form.height > kMost / form.width) {
    throw error(env, "BAD_OPTION", "height, width do not fit: expected whole numbers, 178956970 pixels at most.");
  }
  auto inputs = tensors(info[0]);
  // The engine's own memory, which the worker fills: nothing is copied on the JavaScript thread, nor set to zero, as an
  // ArrayBuffer of Node-API's would be.
  auto memory = Napi::Buffer<uint8_t>::New(env, static_cast<size_t>(form.height * form.width * 3)).ArrayBuffer();
  return start(
      env, memory,
      [&component, inputs = std::move(inputs), form, first = static_cast<uint8_t*>(memory.Data())] {
        const auto outputs = component.run(inputs);
        return outputs.empty() ? Pictures() : toPictures(outputs.front(), form, first);
      },
      [](Napi::Env settled, Call& call, const Pictures& made) -> Napi::Value {
        auto frames = Napi::Array::New(settled);
        if (made.frames > 0) {
          auto first = call.memory.Value().As<Napi::ArrayBuffer>();
          frames.Set(uint32_t{0}, Napi::Uint8Array::New(settled, first.ByteLength(), first, 0));
        }
        for (const auto& frame : made.others) frames.Set(frames.Length(), tensor(settled, frame).Get("data"));
        auto object = Napi::Object::New(settled);
        object.Set("shape", numberList(settled, made.shape));
        object.Set("frames", frames);
        object.Set("overflowed", made.overflowed);
        return object;
      });
}

}  // namespace dg::binding
