#include "native/binding/convert.h"

namespace dg::binding {

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
