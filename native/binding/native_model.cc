#include "native/binding/native_model.h"

#include <atomic>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "native/binding/convert.h"
#include "native/binding/delivery.h"
#include "native/binding/environment.h"
#include "native/binding/run.h"
#include "native/core/error.h"
#include "native/core/hooks/forward.h"
#include "native/core/sampling/sampler.h"

namespace dg::binding {
namespace {

Napi::Object siteObject(Napi::Env env, const Site& site) {
  auto object = Napi::Object::New(env);
  object.Set("path", site.path);
  object.Set("tap", name(site.tap));
  object.Set("stream", site.stream ? Napi::String::New(env, *site.stream) : env.Null());
  object.Set("element", static_cast<double>(site.element));
  object.Set("block", site.block ? Napi::Number::New(env, static_cast<double>(*site.block)) : env.Null());
  object.Set("className", site.className);
  return object;
}

Napi::Value textOrNull(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text).As<Napi::Value>();
}

Napi::Array fusedList(Napi::Env env, const std::map<std::string, int64_t>& counts) {
  auto fused = Napi::Array::New(env);
  for (const auto& [kind, count] : counts) {
    auto entry = Napi::Object::New(env);
    entry.Set("kind", kind);
    entry.Set("count", static_cast<double>(count));
    fused.Set(fused.Length(), entry);
  }
  return fused;
}

Napi::Object executionObject(Napi::Env env, const Execution& execution) {
  auto cuts = Napi::Array::New(env);
  for (const auto& cut : execution.partialForward.cuts) cuts.Set(cuts.Length(), cut);
  auto partialForward = Napi::Object::New(env);
  partialForward.Set("shared", execution.partialForward.shared);
  partialForward.Set("cuts", cuts);
  partialForward.Set("reason", textOrNull(env, execution.partialForward.reason));
  auto graphs = Napi::Object::New(env);
  graphs.Set("captured", static_cast<double>(execution.graphs.captured));
  graphs.Set("replayed", static_cast<double>(execution.graphs.replayed));
  graphs.Set("reason", textOrNull(env, execution.graphs.reason));
  auto object = Napi::Object::New(env);
  object.Set("partialForward", partialForward);
  object.Set("graphs", graphs);
  object.Set("fused", fusedList(env, execution.fused));
  object.Set("notFused", textOrNull(env, execution.notFused));
  return object;
}

Napi::Object progressObject(Napi::Env env, const Progress& progress) {
  auto object = Napi::Object::New(env);
  object.Set("step", static_cast<double>(progress.step));
  object.Set("steps", static_cast<double>(progress.steps));
  object.Set("image", static_cast<double>(progress.image));
  object.Set("images", static_cast<double>(progress.images));
  object.Set("timestep", progress.timestep);
  if (progress.preview.defined()) object.Set("preview", tensor(env, progress.preview));
  return object;
}

// What the statistics of a site are made of is the reader's to know: it asked for them.
Napi::Object recordsObject(Napi::Env env, const Records& records) {
  std::vector<int32_t> index;
  auto tensors = Napi::Array::New(env);
  for (const auto& entry : records.entries) {
    for (const auto number : {entry.site, entry.branch, entry.tokens, entry.channels, entry.keys}) {
      index.push_back(static_cast<int32_t>(number));
    }
    if (entry.tensor.defined()) tensors.Set(tensors.Length(), tensor(env, entry.tensor));
  }
  auto object = Napi::Object::New(env);
  object.Set("step", static_cast<double>(records.step));
  object.Set("timestep", records.timestep);
  object.Set("image", static_cast<double>(records.image));
  object.Set("images", static_cast<double>(records.images));
  object.Set("index", tensor(env, at::tensor(index, at::kInt)).Get("data"));
  object.Set("words", tensor(env, records.words).Get("data"));
  object.Set("tensors", tensors);
  return object;
}

int64_t bytesOf(const Records& records) {
  auto bytes = static_cast<int64_t>(records.words.nbytes());
  for (const auto& entry : records.entries) {
    if (entry.tensor.defined()) bytes += static_cast<int64_t>(entry.tensor.nbytes());
  }
  return bytes;
}

template <typename Function>
auto guarded(Napi::Env env, Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& cause) {
    throw error(env, cause);
  }
}

}  // namespace

Napi::Function NativeModel::define(Napi::Env env) {
  return DefineClass(
      env, "NativeModel",
      {InstanceMethod("describe", &NativeModel::describe), InstanceMethod("shapes", &NativeModel::shapes),
       InstanceMethod("forward", &NativeModel::forward), InstanceMethod("find", &NativeModel::find),
       InstanceMethod("sample", &NativeModel::sample), InstanceMethod("dispose", &NativeModel::dispose)});
}

// Made by load() alone, which fills in the model afterwards.
NativeModel::NativeModel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeModel>(info) {}

NativeModel::~NativeModel() {
  // Every pending job holds a reference to this object, so nothing runs any more.
  if (worker_) worker_->stop();
}

Napi::Value NativeModel::load(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto options = std::make_shared<LoadOptions>(loadOptions(info[0].ToObject()));
    auto deferred = std::make_shared<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
    auto worker = std::make_shared<Worker>(env);
    auto model = std::make_shared<std::shared_ptr<Model>>();
    auto failure = std::make_shared<std::exception_ptr>();
    worker->post(
        [options, model, failure] {
          try {
            *model = Model::load(*options);
          } catch (...) {
            *failure = std::current_exception();
          }
        },
        [worker, model, failure, deferred](Napi::Env settled) {
          const Napi::HandleScope scope(settled);
          if (*failure) {
            try {
              std::rethrow_exception(*failure);
            } catch (const std::exception& cause) {
              deferred->Reject(error(settled, cause).Value());
            }
            return;
          }
          auto object = settled.GetInstanceData<Environment>()->nativeModel.New({});
          auto* self = Unwrap(object);
          self->model_ = *model;
          self->worker_ = worker;
          self->reportedBytes_ = (*model)->bytes();
          Napi::MemoryManagement::AdjustExternalMemory(settled, self->reportedBytes_);
          deferred->Resolve(object);
        },
        std::make_shared<std::atomic<bool>>(false));
    return deferred->Promise();
  });
}

Model& NativeModel::model(Napi::Env env) const {
  if (disposed_ || !model_) {
    throw error(env, "DISPOSED", "The pipeline has been disposed: load it again with loadPipeline().");
  }
  return *model_;
}

template <typename Work, typename Convert>
Napi::Value NativeModel::run(Napi::Env env, Work work, Convert convert, Worker::CancelFlag cancelled) {
  return startRun(env, *this, *worker_, std::move(work), std::move(convert), std::move(cancelled));
}

Napi::Value NativeModel::describe(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& model = this->model(env);
  auto sites = Napi::Array::New(env);
  for (const auto& site : model.flat().sites) sites.Set(sites.Length(), siteObject(env, site));
  auto object = Napi::Object::New(env);
  object.Set("device", model.device().str());
  object.Set("dtype", dtypeName(model.dtype()));
  object.Set("parameters", static_cast<double>(model.parameters()));
  object.Set("bytes", static_cast<double>(model.bytes()));
  object.Set("blocks", static_cast<double>(model.flat().blocks));
  object.Set("sites", sites);
  object.Set("fused", fusedList(env, model.fusionCounts()));
  return object;
}

Napi::Value NativeModel::shapes(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  model(env);
  return guarded(env, [&] {
    auto inputs = tensors(info[0]);
    auto model = model_;
    return run(
        env, [model, inputs = std::move(inputs)] { return siteShapes(*model, inputs); },
        [](Napi::Env settled, const std::vector<std::optional<std::vector<int64_t>>>& shapes) -> Napi::Value {
          auto list = Napi::Array::New(settled, shapes.size());
          for (size_t site = 0; site < shapes.size(); ++site) {
            const auto index = static_cast<uint32_t>(site);
            list.Set(index, settled.Null());
            if (!shapes[site]) continue;
            auto shape = Napi::Array::New(settled);
            for (const auto size : *shapes[site]) shape.Set(shape.Length(), static_cast<double>(size));
            list.Set(index, shape);
          }
          return list;
        },
        std::make_shared<std::atomic<bool>>(false));
  });
}

Napi::Value NativeModel::forward(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& sites = model(env).flat().sites;
  return guarded(env, [&] {
    auto inputs = tensors(info[0]);
    std::vector<Hook> hooks;
    const auto given = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); ++i) {
      const auto from = given.Get(i).ToObject();
      Hook hook;
      hook.capture = flag(from, "capture", false);
      hook.sites = findSites(sites, text(from, "path"), tapNamed(optionalText(from, "tap").value_or("output")),
                             optionalText(from, "stream"));
      if (!from.Get("edits").IsUndefined()) {
        const auto edits = list(from, "edits");
        for (uint32_t k = 0; k < edits.Length(); ++k) hook.edits.push_back(edit(edits.Get(k).ToObject()));
      }
      hooks.push_back(std::move(hook));
    }
    auto model = model_;
    return run(
        env,
        [model, inputs = std::move(inputs), hooks = std::move(hooks)] {
          return forwardWithHooks(*model, inputs, hooks);
        },
        [model](Napi::Env settled, const Forward& done) -> Napi::Value {
          auto captures = Napi::Array::New(settled);
          for (const auto& [site, value] : done.captures) {
            auto object = siteObject(settled, model->flat().sites[site]);
            object.Set("tensor", tensor(settled, value));
            captures.Set(captures.Length(), object);
          }
          auto object = Napi::Object::New(settled);
          object.Set("output", tensor(settled, done.output));
          object.Set("captures", captures);
          return object;
        },
        std::make_shared<std::atomic<bool>>(false));
  });
}

Napi::Value NativeModel::find(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& sites = model(env).flat().sites;
  return guarded(env, [&]() -> Napi::Value {
    const auto from = info[0].ToObject();
    auto found = Napi::Array::New(env);
    for (const auto site : findSites(sites, text(from, "path"), tapNamed(optionalText(from, "tap").value_or("output")),
                                     optionalText(from, "stream"))) {
      found.Set(found.Length(), static_cast<double>(site));
    }
    return found;
  });
}

Napi::Value NativeModel::sample(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto sites = static_cast<int64_t>(model(env).flat().sites.size());
  return guarded(env, [&] {
    auto plan = std::make_shared<Plan>(binding::plan(info[0].ToObject()));
    if (plan->recording) {
      if (!info[2].IsFunction()) throw error(env, "BAD_OPTION", "A recorded run needs a function that takes records.");
      for (const auto site : plan->recording->sites) {
        if (site < 0 || site >= sites) throw error(env, "BAD_OPTION", "A site to record does not exist.");
      }
    }
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    auto delivery = std::make_shared<Delivery>();
    // What a function of JavaScript threw: ends the run and is what the promise rejects with.
    auto thrown = std::make_shared<Napi::Error>();
    std::shared_ptr<Napi::FunctionReference> onStep;
    if (info[1].IsFunction()) {
      onStep = std::make_shared<Napi::FunctionReference>(Napi::Persistent(info[1].As<Napi::Function>()));
    }
    std::shared_ptr<Napi::FunctionReference> onRecords;
    if (info[2].IsFunction()) {
      onRecords = std::make_shared<Napi::FunctionReference>(Napi::Persistent(info[2].As<Napi::Function>()));
    }
    auto model = model_;
    auto worker = worker_.get();
    // Worker's thread. Calls a function of JavaScript with what make(env) gives, unless the run has been cancelled.
    auto tell = [thrown, cancelled, worker](std::shared_ptr<Napi::FunctionReference> function, auto make) {
      worker->notify([function = std::move(function), make = std::move(make), thrown, cancelled](Napi::Env env) {
        const Napi::HandleScope scope(env);
        if (cancelled->load()) return;
        try {
          function->Call({make(env)});
        } catch (const Napi::Error& failure) {
          *thrown = failure;
          cancelled->store(true);
        }
      });
    };
    auto work = [model, plan, cancelled, delivery, onStep, onRecords, tell] {
      std::function<void(const Progress&)> report;
      if (onStep) {
        report = [onStep, tell](const Progress& progress) {
          tell(onStep, [progress](Napi::Env env) { return progressObject(env, progress); });
        };
      }
      const auto deliver = [onRecords, tell, delivery, cancelled](const Records& records) {
        delivery->enter(bytesOf(records), *cancelled);
        tell(onRecords, [records](Napi::Env env) { return recordsObject(env, records); });
      };
      return dg::sample(*model, *plan, report, *cancelled, deliver);
    };
    auto convert = [onStep, onRecords, thrown](Napi::Env settled, const SampleResult& result) -> Napi::Value {
      if (!thrown->IsEmpty()) throw *thrown;
      auto object = Napi::Object::New(settled);
      object.Set("latents", tensor(settled, result.latents));
      object.Set("execution", executionObject(settled, result.execution));
      object.Set("evaluations", static_cast<double>(result.evaluations));
      return object;
    };
    auto handle = run(env, std::move(work), std::move(convert), cancelled).As<Napi::Object>();
    handle.Set("release", Napi::Function::New(env, [delivery](const Napi::CallbackInfo&) { delivery->leave(); }));
    return handle.As<Napi::Value>();
  });
}

Napi::Value NativeModel::dispose(const Napi::CallbackInfo& info) {
  return startDispose(info.Env(), *this, *worker_, model_, disposed_, reportedBytes_);
}

}  // namespace dg::binding
