#include <ATen/Functions.h>

#include "native/binding/convert.h"
#include "native/binding/plan_check.h"

namespace dg::binding {
namespace {

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
  result.branch = whole(from, "branch", 0);
  result.reference = whole(from, "reference", 0);
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
  if (!isAbsent(from.Get("imageWeights"))) {
    result.imageWeights = mapList<std::vector<double>>(list(from, "imageWeights"),
                                                       [](const Napi::Value& value) { return numbers(value); });
  }
  for (const auto reused : optionalNumbers(from, "reuse")) result.reuse.push_back(reused != 0);
  if (!isAbsent(from.Get("adjustments"))) {
    result.adjustments = mapList<Adjustment>(
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
  result.conditioning = whole(from, "conditioning", 0);
  result.edits = integers(from.Get("edits"));
  result.reference = whole(from, "reference", -1);
  result.name = optionalText(from, "name").value_or("");
  return result;
}

// Seeds of 64 bits.
uint64_t seed(const Napi::Value& value) {
  bool lossless = false;
  const auto bits = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) throw error(value.Env(), "BAD_OPTION", "A seed of the noise is no bigint from 0n to 2n ** 64n - 1n.");
  return bits;
}

Recording recording(const Napi::Object& from) {
  Recording result;
  result.sites = integers(from.Get("sites"));
  result.branches = integers(from.Get("branches"));
  result.steps = optionalIntegers(from, "steps").value_or(std::vector<int64_t>{});
  result.statistics.channels = flag(from, "channels", false);
  result.statistics.percentiles = optionalNumbers(from, "percentiles");
  result.statistics.tokens = flag(from, "tokens", false);
  result.statistics.top = whole(from, "top", 0);
  result.attention = flag(from, "attention", false);
  if (const auto dtype = optionalText(from, "tensors")) result.tensors = dtypeNamed(from.Env(), *dtype);
  result.beforeEdits = flag(from, "beforeEdits", false);
  return result;
}

}  // namespace

Plan plan(const Napi::Value& value) {
  const auto from = object(value, "plan");
  Plan result;
  if (const auto noise = from.Get("noise"); isAbsent(noise)) {
    result.latents = tensor(from.Get("latents"));
  } else {
    // The memory alone; it is drawn where the plan runs.
    const auto fields = object(noise, "noise");
    result.noise = {mapList<uint64_t>(list(fields, "seeds"), seed), number(fields, "scale", 1)};
    auto shape = integers(fields.Get("shape"));
    shape.insert(shape.begin(), static_cast<int64_t>(result.noise->seeds.size()));
    countOf(from.Env(), shape);
    result.latents = at::empty(shape, at::TensorOptions(at::kFloat));
  }
  result.conditionings = mapList<std::vector<at::Tensor>>(list(from, "conditionings"), tensors);
  for (const auto seed : optionalIntegers(from, "seeds").value_or(std::vector<int64_t>{})) {
    result.seeds.push_back(static_cast<uint64_t>(seed));
  }
  result.edits =
      mapList<Edit>(list(from, "edits"), [](const Napi::Value& value) { return edit(object(value, "edits[]")); });
  result.branches = mapList<Branch>(list(from, "branches"),
                                    [](const Napi::Value& value) { return branch(object(value, "branches[]")); });
  result.steps =
      mapList<Step>(list(from, "steps"), [](const Napi::Value& value) { return step(object(value, "steps[]")); });
  if (!isAbsent(from.Get("adaptiveReuse"))) {
    result.adaptiveReuse = mapList<AdaptiveReuse>(list(from, "adaptiveReuse"), [](const Napi::Value& value) {
      const auto fields = object(value, "adaptiveReuse[]");
      return AdaptiveReuse{whole(fields, "branch", 0), text(fields, "path"), number(fields, "threshold", 0)};
    });
  }
  if (!isAbsent(from.Get("recording"))) result.recording = recording(object(from.Get("recording"), "recording"));
  if (const auto inpaint = from.Get("inpainting"); !isAbsent(inpaint)) {
    const auto fields = object(inpaint, "inpainting");
    result.inpainting = {tensor(fields.Get("mask")), tensor(fields.Get("image")), tensor(fields.Get("noise"))};
  }
  result.partialForward = flag(from, "partialForward", true);
  result.batchSize = whole(from, "batchSize", 1);
  result.preview = flag(from, "preview", false);
  requireConsistent(from.Env(), result);
  return result;
}

}  // namespace dg::binding
