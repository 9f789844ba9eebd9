#include <cmath>

#include "native/binding/convert.h"
#include "native/core/error.h"
#include "native/core/device/memory.h"

namespace dg::binding {
namespace {

Napi::Object object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) throw error(value.Env(), "BAD_OPTION", std::string(what) + " must be an object.");
  return value.As<Napi::Object>();
}

bool isAbsent(const Napi::Value& value) { return value.IsUndefined() || value.IsNull(); }

std::optional<std::vector<int64_t>> optionalIntegers(const Napi::Object& from, const char* key) {
  const auto value = from.Get(key);
  if (isAbsent(value)) return std::nullopt;
  return integers(value);
}

std::vector<double> optionalNumbers(const Napi::Object& from, const char* key) {
  const auto value = from.Get(key);
  return isAbsent(value) ? std::vector<double>{} : numbers(value);
}

template <typename Item, typename Convert>
std::vector<Item> each(const Napi::Array& array, Convert convert) {
  std::vector<Item> result;
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(convert(array.Get(i)));
  return result;
}

at::Device device(const Napi::Object& options) {
  try {
    at::Device result(text(options, "device"));
    if (result.is_cuda() && !result.has_index()) result.set_index(0);
    return result;
  } catch (const c10::Error&) {
    throw error(options.Env(), "BAD_OPTION", "device must be 'cpu' or 'cuda:N'.");
  }
}

Adjustment adjustment(const Napi::Object& from) {
  Adjustment result;
  const auto kind = text(from, "kind");
  if (kind == "project") {
    result.kind = Adjustment::Kind::project;
  } else if (kind == "apg") {
    result.kind = Adjustment::Kind::apg;
  } else if (kind == "rescale") {
    result.kind = Adjustment::Kind::rescale;
  } else if (kind == "zero") {
    result.kind = Adjustment::Kind::zero;
  } else {
    throw error(from.Env(), "BAD_OPTION",
                "The adjustment '" + kind + "' is unknown: expected project, apg, rescale or zero.");
  }
  result.branch = static_cast<int64_t>(number(from, "branch", 0));
  result.reference = static_cast<int64_t>(number(from, "reference", 0));
  result.factor = number(from, "factor", 0);
  result.eta = number(from, "eta", 0);
  result.normThreshold = number(from, "normThreshold", 0);
  result.momentum = number(from, "momentum", 0);
  return result;
}

Step step(const Napi::Object& from) {
  Step result;
  result.timestep = number(from, "timestep", 0);
  result.inputScale = number(from, "inputScale", 1);
  result.weights = numbers(from.Get("weights"));
  for (const auto reused : optionalNumbers(from, "reuse")) result.reuse.push_back(reused != 0);
  if (!isAbsent(from.Get("adjustments"))) {
    result.adjustments = each<Adjustment>(
        list(from, "adjustments"), [](const Napi::Value& value) { return adjustment(object(value, "adjustments[]")); });
  }
  result.sample = number(from, "sample", 1);
  result.outputs = numbers(from.Get("outputs"));
  result.noise = number(from, "noise", 0);
  const auto preview = optionalNumbers(from, "preview");
  if (preview.size() == 2) {
    result.previewSample = preview[0];
    result.previewOutput = preview[1];
  }
  const auto keep = optionalNumbers(from, "keep");
  if (keep.size() == 2) {
    result.keepImage = keep[0];
    result.keepNoise = keep[1];
  }
  return result;
}

Branch branch(const Napi::Object& from) {
  Branch result;
  result.conditioning = static_cast<int64_t>(number(from, "conditioning", 0));
  result.edits = integers(from.Get("edits"));
  result.reference = static_cast<int64_t>(number(from, "reference", -1));
  return result;
}

Recording recording(const Napi::Object& from) {
  Recording result;
  result.sites = integers(from.Get("sites"));
  result.branches = integers(from.Get("branches"));
  result.steps = optionalIntegers(from, "steps").value_or(std::vector<int64_t>{});
  result.statistics.channels = flag(from, "channels", false);
  result.statistics.percentiles = optionalNumbers(from, "percentiles");
  result.statistics.tokens = flag(from, "tokens", false);
  result.statistics.top = static_cast<int64_t>(number(from, "top", 0));
  result.attention = flag(from, "attention", false);
  if (const auto dtype = optionalText(from, "tensors")) result.tensors = dtypeNamed(from.Env(), *dtype);
  result.beforeEdits = flag(from, "beforeEdits", false);
  return result;
}

// Indices and lengths that the core takes for granted.
void check(Napi::Env env, const Plan& plan) {
  const auto fail = [&](const std::string& what) {
    return error(env, "BAD_OPTION", "The plan is inconsistent: " + what);
  };
  const auto branches = static_cast<int64_t>(plan.branches.size());
  if (plan.latents.dim() < 2 || plan.latents.scalar_type() != at::kFloat)
    throw fail("latents are not float32 [images, …].");
  if (plan.inpainting.mask.defined()) {
    const auto& [mask, image, noise] = plan.inpainting;
    if (image.sizes() != plan.latents.sizes() || noise.sizes() != plan.latents.sizes() || mask.size(0) != 1)
      throw fail("the image or the noise of inpainting has another shape than the latents.");
  }
  const bool isSeeded = static_cast<int64_t>(plan.seeds.size()) == plan.latents.size(0);
  if (!plan.seeds.empty() && !isSeeded) throw fail("there is not one seed an image.");
  if (plan.batchSize < 1) throw fail("batchSize is below 1.");
  if (branches == 0) throw fail("there is no branch.");
  for (const auto& each : plan.branches) {
    if (each.conditioning < 0 || each.conditioning >= static_cast<int64_t>(plan.conditionings.size())) {
      throw fail("a branch names a conditioning that does not exist.");
    }
    if (each.reference >= branches) throw fail("a branch names a reference that does not exist.");
    for (const auto edit : each.edits) {
      if (edit < 0 || edit >= static_cast<int64_t>(plan.edits.size()))
        throw fail("a branch names an edit that does not exist.");
    }
  }
  for (const auto& each : plan.adaptiveReuse) {
    if (each.branch < 0 || each.branch >= branches || plan.branches[each.branch].reference < 0) {
      throw fail("adaptive reuse names a branch without a reference.");
    }
  }
  if (plan.recording) {
    for (const auto branch : plan.recording->branches) {
      if (branch < 0 || branch >= branches) throw fail("a branch to record does not exist.");
    }
    for (const auto percentile : plan.recording->statistics.percentiles) {
      if (!(percentile >= 0 && percentile <= 100)) throw fail("a percentile is not from 0 to 100.");
    }
  }
  for (const auto& step : plan.steps) {
    if (static_cast<int64_t>(step.weights.size()) != branches) throw fail("a step has not one weight a branch.");
    if (!step.reuse.empty() && static_cast<int64_t>(step.reuse.size()) != branches)
      throw fail("a step's reuse has not one entry a branch.");
    if (step.noise != 0 && !isSeeded) throw fail("a step has noise, and there are no seeds.");
    bool evaluated = false;
    for (const auto weight : step.weights) {
      if (!std::isfinite(weight)) throw fail("a weight is not finite.");
      evaluated = evaluated || weight != 0;
    }
    if (!evaluated) throw fail("a step has no branch with a weight.");
    for (const auto& each : step.adjustments) {
      if (each.branch < 0 || each.branch >= branches || each.reference < 0 || each.reference >= branches) {
        throw fail("an adjustment names a branch that does not exist.");
      }
    }
  }
}

}  // namespace

Napi::Error error(Napi::Env env, const std::string& code, const std::string& message) {
  auto result = Napi::Error::New(env, message);
  result.Value().Set("code", code);
  return result;
}

Napi::Error error(Napi::Env env, const std::exception& cause) {
  if (const auto* known = dynamic_cast<const dg::Error*>(&cause)) return error(env, known->code, known->what());
  if (isOutOfMemory(cause)) {
    return error(env, "OUT_OF_MEMORY", std::string("There is not enough memory: ") + cause.what());
  }
  if (const auto* torch = dynamic_cast<const c10::Error*>(&cause)) {
    return error(env, "MODEL_FAILED", torch->what_without_backtrace());
  }
  return error(env, "MODEL_FAILED", cause.what());
}

std::string text(const Napi::Object& object, const char* key) {
  const auto value = object.Get(key);
  if (!value.IsString()) throw error(object.Env(), "BAD_OPTION", std::string(key) + " must be a string.");
  return value.As<Napi::String>().Utf8Value();
}

std::optional<std::string> optionalText(const Napi::Object& object, const char* key) {
  if (isAbsent(object.Get(key))) return std::nullopt;
  return text(object, key);
}

double number(const Napi::Object& object, const char* key, double fallback) {
  const auto value = object.Get(key);
  if (isAbsent(value)) return fallback;
  if (!value.IsNumber()) throw error(object.Env(), "BAD_OPTION", std::string(key) + " must be a number.");
  return value.As<Napi::Number>().DoubleValue();
}

bool flag(const Napi::Object& object, const char* key, bool fallback) {
  const auto value = object.Get(key);
  return isAbsent(value) ? fallback : value.ToBoolean().Value();
}

std::vector<double> numbers(const Napi::Value& value) {
  if (!value.IsArray()) throw error(value.Env(), "BAD_OPTION", "Expected an array of numbers.");
  return each<double>(value.As<Napi::Array>(), [](const Napi::Value& item) {
    if (item.IsBoolean()) return item.As<Napi::Boolean>().Value() ? 1.0 : 0.0;
    if (!item.IsNumber()) throw error(item.Env(), "BAD_OPTION", "Expected an array of numbers.");
    return item.As<Napi::Number>().DoubleValue();
  });
}

std::vector<int64_t> integers(const Napi::Value& value) {
  std::vector<int64_t> result;
  for (const auto each : numbers(value)) {
    if (!(std::floor(each) == each) || std::abs(each) > 9007199254740991.0) {
      throw error(value.Env(), "BAD_OPTION", "Expected whole numbers.");
    }
    result.push_back(static_cast<int64_t>(each));
  }
  return result;
}

Napi::Array list(const Napi::Object& object, const char* key) {
  const auto value = object.Get(key);
  if (!value.IsArray()) throw error(object.Env(), "BAD_OPTION", std::string(key) + " must be an array.");
  return value.As<Napi::Array>();
}

LoadOptions loadOptions(const Napi::Object& options) {
  LoadOptions result;
  const auto env = options.Env();
  result.file = text(options, "file");
  result.device = device(options);
  result.dtype = dtypeNamed(env, text(options, "dtype"));
  result.inputs = each<ModelInput>(list(options, "inputs"), [env](const Napi::Value& value) {
    const auto from = object(value, "inputs[]");
    ModelInput input;
    input.name = text(from, "name");
    input.role = text(from, "role");
    const auto dtype = text(from, "dtype");
    if (dtype != "float") input.dtype = dtypeNamed(env, dtype);
    input.batched = flag(from, "batched", true);
    return input;
  });
  result.blocks = each<BlockPattern>(list(options, "blocks"), [](const Napi::Value& value) {
    const auto from = object(value, "blocks[]");
    const auto streams = each<std::string>(list(from, "streams"),
                                           [](const Napi::Value& stream) { return stream.ToString().Utf8Value(); });
    return BlockPattern{text(from, "path"), streams};
  });
  result.outputChannels = static_cast<int64_t>(number(options, "outputChannels", 0));
  result.allowAllOperators = flag(options, "allowAllOperators", false);
  result.identity = optionalText(options, "identity").value_or("");
  if (!isAbsent(options.Get("fuse"))) {
    result.fuse =
        each<std::string>(list(options, "fuse"), [](const Napi::Value& kind) { return kind.ToString().Utf8Value(); });
  }
  return result;
}

Component::Options componentOptions(const Napi::Object& options) {
  Component::Options result;
  result.file = text(options, "file");
  result.device = device(options);
  result.dtype = dtypeNamed(options.Env(), text(options, "dtype"));
  result.allowAllOperators = flag(options, "allowAllOperators", false);
  result.identity = optionalText(options, "identity").value_or("");
  return result;
}

Edit edit(const Napi::Object& from) {
  Edit result;
  result.path = text(from, "path");
  result.tap = tapNamed(optionalText(from, "tap").value_or("output"));
  result.stream = optionalText(from, "stream");
  result.operation = operationNamed(text(from, "operation"));
  // The queries are what a blur of the attention acts on.
  if (result.operation == Operation::blur && result.tap == Tap::attention) result.tap = Tap::query;
  result.channels = optionalIntegers(from, "channels");
  result.tokens = optionalIntegers(from, "tokens");
  result.lastTokens = static_cast<int64_t>(number(from, "lastTokens", 0));
  result.retention = optionalNumbers(from, "retention");
  result.scale = optionalNumbers(from, "scale");
  result.shift = optionalNumbers(from, "shift");
  if (!isAbsent(from.Get("source"))) result.source = tensor(from.Get("source"));
  result.reference = optionalIntegers(from, "reference").value_or(std::vector<int64_t>{});
  result.sigma = number(from, "sigma", 0);
  if (const auto grid = optionalIntegers(from, "grid"); grid && grid->size() == 2) {
    result.grid = std::pair{grid->at(0), grid->at(1)};
  }
  result.seed = static_cast<uint64_t>(number(from, "seed", 0));
  return result;
}

Plan plan(const Napi::Object& from) {
  Plan result;
  result.latents = tensor(from.Get("latents"));
  result.conditionings = each<std::vector<at::Tensor>>(list(from, "conditionings"), tensors);
  for (const auto seed : optionalIntegers(from, "seeds").value_or(std::vector<int64_t>{})) {
    result.seeds.push_back(static_cast<uint64_t>(seed));
  }
  result.edits =
      each<Edit>(list(from, "edits"), [](const Napi::Value& value) { return edit(object(value, "edits[]")); });
  result.branches = each<Branch>(list(from, "branches"),
                                 [](const Napi::Value& value) { return branch(object(value, "branches[]")); });
  result.steps =
      each<Step>(list(from, "steps"), [](const Napi::Value& value) { return step(object(value, "steps[]")); });
  if (!isAbsent(from.Get("adaptiveReuse"))) {
    result.adaptiveReuse = each<AdaptiveReuse>(list(from, "adaptiveReuse"), [](const Napi::Value& value) {
      const auto given = object(value, "adaptiveReuse[]");
      return AdaptiveReuse{static_cast<int64_t>(number(given, "branch", 0)), text(given, "path"),
                           number(given, "threshold", 0)};
    });
  }
  if (!isAbsent(from.Get("recording"))) result.recording = recording(object(from.Get("recording"), "recording"));
  if (const auto inpaint = from.Get("inpainting"); !isAbsent(inpaint)) {
    const auto given = object(inpaint, "inpainting");
    result.inpainting = {tensor(given.Get("mask")), tensor(given.Get("image")), tensor(given.Get("noise"))};
  }
  result.partialForward = flag(from, "partialForward", true);
  result.batchSize = static_cast<int64_t>(number(from, "batchSize", 1));
  result.preview = flag(from, "preview", false);
  check(from.Env(), result);
  return result;
}

}  // namespace dg::binding
