#include "native/binding/store.h"

#include <string>
#include <utility>
#include <vector>

#include "native/binding/call.h"
#include "native/binding/convert.h"

namespace dg::binding {

Napi::Value storeQuantised(const Napi::CallbackInfo& call) {
  const auto env = call.Env();
  auto options = loadOptions(call[0]);
  if (!options.quantise) throw error(env, "BAD_OPTION", "quantise is missing: expected how.");
  const auto out = text(call[1], "out");
  const auto environment = Environment::of(env);
  auto [id, opened] = environment->open(env);
  const auto worker = environment->startWorker();
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  auto handle = callHandle(env, opened.promise.Promise(), cancelled);
  runCall(
      environment, id, *worker, cancelled,
      [options = std::move(options), out] { return dg::storeQuantised(options, out); },
      [](Napi::Env settled, const std::vector<StoredLayer>& stored) -> Napi::Value {
        auto layers = Napi::Array::New(settled, stored.size());
        for (uint32_t i = 0; i < stored.size(); ++i) {
          auto entry = quantisedLayer(settled, stored[i].layer);
          entry.Set("scales", tensor(settled, stored[i].parts.scales));
          if (!stored[i].layer.channels.empty()) entry.Set("columns", tensor(settled, stored[i].parts.columns));
          if (stored[i].parts.smoothing.defined()) entry.Set("smoothing", tensor(settled, stored[i].parts.smoothing));
          layers.Set(i, entry);
        }
        return layers;
      });
  worker->finish();
  return handle;
}

}  // namespace dg::binding
