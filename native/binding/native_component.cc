#include "native/binding/native_component.h"

#include <atomic>
#include <exception>
#include <utility>
#include <vector>

#include "native/binding/convert.h"
#include "native/binding/environment.h"
#include "native/binding/run.h"

namespace dg::binding {

Napi::Function NativeComponent::define(Napi::Env env) {
  return DefineClass(
      env, "NativeComponent",
      {InstanceMethod("describe", &NativeComponent::describe), InstanceMethod("run", &NativeComponent::run),
       InstanceMethod("dispose", &NativeComponent::dispose)});
}

// Made by load() alone, which fills in the component afterwards.
NativeComponent::NativeComponent(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeComponent>(info) {}

NativeComponent::~NativeComponent() {
  // Every pending job holds a reference to this object, so nothing runs any more.
  if (worker_) worker_->stop();
}

Napi::Value NativeComponent::load(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  auto options = std::make_shared<Component::Options>(componentOptions(info[0].ToObject()));
  auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
  auto worker = std::make_shared<Worker>(env);
  auto component = std::make_shared<std::shared_ptr<Component>>();
  auto failure = std::make_shared<std::exception_ptr>();
  worker->post(
      [options, component, failure] {
        try {
          *component = Component::load(*options);
        } catch (...) {
          *failure = std::current_exception();
        }
      },
      [worker, component, failure, deferred](Napi::Env settled) {
        const Napi::HandleScope scope(settled);
        if (*failure) {
          try {
            std::rethrow_exception(*failure);
          } catch (const std::exception& cause) {
            deferred->Reject(error(settled, cause).Value());
          }
          return;
        }
        auto object = settled.GetInstanceData<Environment>()->nativeComponent.New({});
        auto* self = Unwrap(object);
        self->component_ = *component;
        self->worker_ = worker;
        self->reportedBytes_ = (*component)->size().bytes;
        Napi::MemoryManagement::AdjustExternalMemory(settled, self->reportedBytes_);
        deferred->Resolve(object);
      },
      std::make_shared<std::atomic<bool>>(false));
  return deferred->Promise();
}

const Component& NativeComponent::component(Napi::Env env) const {
  if (disposed_ || !component_) {
    throw error(env, "DISPOSED", "The component has been disposed: load it again with loadComponent().");
  }
  return *component_;
}

Napi::Value NativeComponent::describe(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& component = this->component(env);
  auto object = Napi::Object::New(env);
  object.Set("device", component.device().str());
  object.Set("dtype", dtypeName(component.dtype()));
  object.Set("parameters", static_cast<double>(component.size().parameters));
  object.Set("bytes", static_cast<double>(component.size().bytes));
  return object;
}

Napi::Value NativeComponent::run(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  component(env);
  auto inputs = tensors(info[0]);
  return startRun(
      env, *this, *worker_, [component = component_, inputs = std::move(inputs)] { return component->run(inputs); },
      [](Napi::Env settled, const std::vector<at::Tensor>& outputs) -> Napi::Value {
        auto list = Napi::Array::New(settled, outputs.size());
        for (size_t i = 0; i < outputs.size(); ++i) list.Set(static_cast<uint32_t>(i), tensor(settled, outputs[i]));
        return list;
      },
      std::make_shared<std::atomic<bool>>(false));
}

Napi::Value NativeComponent::dispose(const Napi::CallbackInfo& info) {
  return startDispose(info.Env(), *this, *worker_, component_, disposed_, reportedBytes_);
}

}  // namespace dg::binding
