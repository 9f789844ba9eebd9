#include "native/binding/native_model.h"

#include <optional>
#include <utility>

#include "native/binding/convert.h"
#include "native/binding/sampling.h"
#include "native/core/model/forward.h"
#include "native/core/sampling/noise.h"

namespace dg::binding {
namespace {

std::vector<int64_t> sitesNamed(const std::vector<Site>& sites, const Napi::Object& place) {
  return findSites(sites, text(place, "path"), tapSideNamed(optionalText(place, "tap").value_or("output")),
                   optionalText(place, "stream"));
}

std::vector<Hook> hooksIn(const Napi::Value& value, const std::vector<Site>& sites) {
  return mapList<Hook>(list(value, "hooks"), [&](const Napi::Value& item) {
    const auto from = object(item, "hooks[]");
    Hook hook;
    hook.capture = flag(from, "capture", false);
    hook.sites = sitesNamed(sites, from);
    if (!isAbsent(from.Get("edits"))) {
      hook.edits = mapList<Edit>(list(from, "edits"),
                                 [](const Napi::Value& option) { return edit(object(option, "hooks[].edits[]")); });
    }
    return hook;
  });
}

}  // namespace

Napi::Function NativeModel::define(Napi::Env env) {
  return DefineClass(env, "NativeModel",
                     {method<&NativeModel::describe>("describe"), method<&NativeModel::find>("find"),
                      method<&NativeModel::shapes>("shapes"), method<&NativeModel::forward>("forward"),
                      method<&NativeModel::sample>("sample"), method<&NativeModel::dispose>("dispose")});
}

Napi::Value NativeModel::load(const Napi::CallbackInfo& info) {
  return startLoad(info.Env(), [options = loadOptions(info[0])] { return Model::load(options); });
}

void NativeModel::onLoaded(const Model& model) {
  sites_ = std::make_shared<const std::vector<Site>>(model.flat().sites);
  fused_ = model.fusionCounts();
  quantised_ = model.quantised();
  inventory_ = model.inventory();
}

Napi::Value NativeModel::describe(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto& model = core(env);
  auto sites = Napi::Array::New(env);
  for (const auto& site : *sites_) sites.Set(sites.Length(), siteObject(env, site));
  auto object = Napi::Object::New(env);
  object.Set("device", model.device().str());
  object.Set("dtype", dtypeName(model.dtype()));
  object.Set("parameters", static_cast<double>(model.parameters()));
  object.Set("bytes", static_cast<double>(model.bytes()));
  object.Set("blocks", static_cast<double>(model.flat().blocks));
  object.Set("sites", sites);
  object.Set("fused", fusedList(env, fused_));
  object.Set("quantized", quantisedObject(env, quantised_));
  object.Set("weights", inventoryObject(env, inventory_));
  return object;
}

Napi::Value NativeModel::find(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  core(env);
  auto sites = Napi::Array::New(env);
  for (const auto site : sitesNamed(*sites_, object(info[0], "place"))) {
    sites.Set(sites.Length(), static_cast<double>(site));
  }
  return sites;
}

Napi::Value NativeModel::shapes(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  auto& model = core(env);
  return start(
      env, [&model, inputs = tensors(info[0])] { return siteShapes(model, inputs); },
      [](Napi::Env settled, const std::vector<std::optional<std::vector<int64_t>>>& shapes) -> Napi::Value {
        auto list = Napi::Array::New(settled, shapes.size());
        for (size_t site = 0; site < shapes.size(); ++site) {
          const auto index = static_cast<uint32_t>(site);
          list.Set(index, shapes[site] ? numberList(settled, *shapes[site]).As<Napi::Value>() : settled.Null());
        }
        return list;
      });
}

Napi::Value NativeModel::forward(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  auto& model = core(env);
  return start(
      env,
      [&model, inputs = tensors(info[0]), hooks = hooksIn(info[1], *sites_)] {
        return forwardWithHooks(model, inputs, hooks);
      },
      [sites = sites_](Napi::Env settled, const Forward& done) -> Napi::Value {
        auto captures = Napi::Array::New(settled);
        for (const auto& [site, value] : done.captures) {
          auto object = siteObject(settled, sites->at(site));
          object.Set("tensor", tensor(settled, value));
          captures.Set(captures.Length(), object);
        }
        auto object = Napi::Object::New(settled);
        object.Set("output", tensor(settled, done.output));
        object.Set("captures", captures);
        return object;
      });
}

Napi::Value NativeModel::sample(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  auto& model = core(env);
  const auto plan = std::make_shared<Plan>(binding::plan(info[0]));
  if (plan->recording) {
    if (!info[2].IsFunction()) throw error(env, "BAD_OPTION", "A recorded run needs a function that takes records.");
    for (const auto site : plan->recording->sites) {
      const bool exists = site >= 0 && site < static_cast<int64_t>(sites_->size());
      if (!exists) throw error(env, "BAD_OPTION", "A site to record does not exist.");
    }
  }
  std::vector<Napi::FunctionReference> callbacks;
  for (const auto argument : {info[1], info[2]}) {
    callbacks.push_back(argument.IsFunction() ? Napi::Persistent(argument.As<Napi::Function>())
                                              : Napi::FunctionReference());
  }
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  const auto listener = std::make_shared<SamplingListener>(Environment::of(env).get(), cancelled, info[1].IsFunction(),
                                                           info[2].IsFunction());
  auto handle = start(
      env, cancelled, std::move(callbacks),
      [&](CallId call) {
        return [&model, plan, cancelled, listener, call] {
          drawInitialNoise(*plan);
          return dg::sample(model, *plan, listener->onStep(call), *cancelled, listener->onRecords(call));
        };
      },
      [](Napi::Env settled, const SampleResult& result) -> Napi::Value { return resultObject(settled, result); });
  handle.Set("stepRead", Napi::Function::New(env, [listener](const Napi::CallbackInfo&) { listener->stepRead(); }));
  handle.Set("recordsRead",
             Napi::Function::New(env, [listener](const Napi::CallbackInfo&) { listener->recordsRead(); }));
  return handle;
}

}  // namespace dg::binding
