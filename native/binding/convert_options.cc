#include "native/binding/convert.h"

namespace dg::binding {

Quantisation quantisation(const Napi::Object& from) {
  Quantisation result;
  if (text(from, "weights") == name(WeightFormat::float8)) result.format = WeightFormat::float8;
  for (const auto scope : {ActivationScope::picture, ActivationScope::none}) {
    if (text(from, "activations") == name(scope)) result.scope = scope;
  }
  result.channels = integers(from.Get("channels"));
  result.stream = text(from, "stream");
  result.keep = texts(from, "keep");
  const auto optionalTensor = [](const Napi::Object& layer, const char* key) {
    return isAbsent(layer.Get(key)) ? at::Tensor() : tensor(layer.Get(key));
  };
  for (const auto& entry : mapList<Napi::Object>(
           list(from, "layers"), [](const Napi::Value& value) { return object(value, "quantise.layers[]"); })) {
    result.layers[text(entry, "path")] = {integers(entry.Get("channels")), optionalTensor(entry, "smoothing"),
                                          optionalTensor(entry, "maxima")};
  }
  for (const auto& entry : mapList<Napi::Object>(
           list(from, "stored"), [](const Napi::Value& value) { return object(value, "quantise.stored[]"); })) {
    const auto channels = integers(entry.Get("channels"));
    const auto scales = tensor(entry.Get("scales")), columns = optionalTensor(entry, "columns");
    result.stored[text(entry, "path")] = {{},
                                          scales,
                                          at::tensor(at::ArrayRef<int64_t>(channels), at::kLong),
                                          columns.defined() ? columns : at::empty({0, scales.numel()}),
                                          optionalTensor(entry, "smoothing")};
  }
  return result;
}

LoadOptions loadOptions(const Napi::Value& value) {
  const auto options = object(value, "options");
  LoadOptions result;
  const auto env = options.Env();
  result.file = text(options, "file");
  result.device = device(options.Get("device"));
  result.dtype = dtypeNamed(env, text(options, "dtype"));
  result.inputs = mapList<ModelInput>(list(options, "inputs"), [env](const Napi::Value& value) {
    const auto from = object(value, "inputs[]");
    ModelInput input;
    input.name = text(from, "name");
    input.role = text(from, "role");
    const auto dtype = text(from, "dtype");
    if (dtype != "float") input.dtype = dtypeNamed(env, dtype);
    input.batched = flag(from, "batched", true);
    return input;
  });
  result.blocks = mapList<BlockPattern>(list(options, "blocks"), [](const Napi::Value& value) {
    const auto from = object(value, "blocks[]");
    return BlockPattern{text(from, "path"), texts(from, "streams")};
  });
  result.outputChannels = whole(options, "outputChannels", 0);
  result.allowAllOperators = flag(options, "allowAllOperators", false);
  result.firstEvaluationLimit = number(options, "firstEvaluationLimit", result.firstEvaluationLimit);
  result.identity = optionalText(options, "identity").value_or("");
  if (!isAbsent(options.Get("fuse"))) result.fuse = texts(options, "fuse");
  if (!isAbsent(options.Get("quantise"))) result.quantise = quantisation(object(options.Get("quantise"), "quantise"));
  result.offloadBlocks = optionalText(options, "offload") == "blocks";
  return result;
}

Component::Options componentOptions(const Napi::Value& value) {
  const auto options = object(value, "options");
  Component::Options result;
  result.file = text(options, "file");
  result.device = device(options.Get("device"));
  result.dtype = dtypeNamed(options.Env(), text(options, "dtype"));
  result.allowAllOperators = flag(options, "allowAllOperators", false);
  result.firstEvaluationLimit = number(options, "firstEvaluationLimit", result.firstEvaluationLimit);
  result.identity = optionalText(options, "identity").value_or("");
  return result;
}

}  // namespace dg::binding
