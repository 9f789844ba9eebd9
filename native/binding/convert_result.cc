#include "native/binding/convert.h"

namespace dg::binding {
namespace {

Napi::Value textOrNull(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text).As<Napi::Value>();
}

Napi::Value offloadObject(Napi::Env env, const std::optional<OffloadReport>& report) {
  if (!report) return env.Null();
  auto object = Napi::Object::New(env);
  object.Set("blocks", static_cast<double>(report->blocks));
  object.Set("bytes", static_cast<double>(report->bytes));
  object.Set("resident", static_cast<double>(report->resident));
  object.Set("brought", static_cast<double>(report->brought));
  return object;
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
  object.Set("quantized", quantisedObject(env, execution.quantised));
  object.Set("offload", offloadObject(env, execution.offload));
  return object;
}

}  // namespace

Napi::Array numberList(Napi::Env env, const std::vector<int64_t>& numbers) {
  auto list = Napi::Array::New(env, numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) list.Set(static_cast<uint32_t>(i), static_cast<double>(numbers[i]));
  return list;
}

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

Napi::Object quantisedLayer(Napi::Env env, const QuantisedLayer& layer) {
  auto object = Napi::Object::New(env);
  object.Set("path", layer.path);
  object.Set("inputs", static_cast<double>(layer.inputs));
  object.Set("outputs", static_cast<double>(layer.outputs));
  object.Set("channels", numberList(env, layer.channels));
  object.Set("smoothed", layer.isSmoothed);
  return object;
}

Napi::Value quantisedObject(Napi::Env env, const std::optional<QuantisationReport>& report) {
  if (!report) return env.Null();
  auto layers = Napi::Array::New(env);
  for (const auto& layer : report->layers) {
    layers.Set(layers.Length(), quantisedLayer(env, layer));
  }
  auto paths = Napi::Array::New(env);
  for (const auto& path : report->kept) paths.Set(paths.Length(), path);
  auto object = Napi::Object::New(env);
  object.Set("weights", name(report->format));
  object.Set("activations", name(report->scope));
  object.Set("product", name(report->product));
  object.Set("layers", layers);
  object.Set("kept", paths);
  return object;
}

Napi::Object inventoryObject(Napi::Env env, const WeightInventory& inventory) {
  auto blocks = Napi::Array::New(env, inventory.blocks.size());
  for (size_t i = 0; i < inventory.blocks.size(); ++i) {
    auto block = Napi::Object::New(env);
    block.Set("linear", static_cast<double>(inventory.blocks[i].linear));
    block.Set("outputs", static_cast<double>(inventory.blocks[i].outputs));
    block.Set("others", static_cast<double>(inventory.blocks[i].others));
    blocks.Set(static_cast<uint32_t>(i), block);
  }
  auto object = Napi::Object::New(env);
  object.Set("blocks", blocks);
  object.Set("others", static_cast<double>(inventory.others));
  object.Set("integerBytes", static_cast<double>(inventory.integerBytes));
  return object;
}

Napi::Object resultObject(Napi::Env env, const SampleResult& result) {
  auto object = Napi::Object::New(env);
  object.Set("latents", tensor(env, result.latents));
  object.Set("execution", executionObject(env, result.execution));
  object.Set("evaluations", static_cast<double>(result.evaluations));
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

}  // namespace dg::binding
