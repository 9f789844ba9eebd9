#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "native/binding/loaded.h"
#include "native/core/model/model.h"

namespace dg::binding {

// What JavaScript sees of a loaded transformer.
class NativeModel : public Loaded<NativeModel, Model> {
 public:
  static constexpr const char* kind = "model";
  static Napi::Function define(Napi::Env env);

  // [async] load(options): { promise, cancel() }, the promise of a NativeModel. Throws BAD_OPTION, DISPOSED when the
  // process is ending; rejects with MODEL_UNREADABLE, OPERATOR_REFUSED, NOT_A_TRANSFORMER, BUNDLE_INVALID,
  // DEVICE_UNAVAILABLE, PRECISION_UNAVAILABLE, OUT_OF_MEMORY, ABORT_ERR.
  static Napi::Value load(const Napi::CallbackInfo& info);

  using Loaded::Loaded;

 private:
  friend Loaded;
  static Napi::FunctionReference& constructor(Environment& environment) { return environment.nativeModel; }
  static int64_t bytesOf(const Model& model) { return model.bytes(); }
  void onLoaded(const Model& model);

  // [sync] describe(): { device, dtype, parameters, bytes, blocks, sites, fused, quantized }, as the model was loaded.
  // Throws DISPOSED.
  Napi::Value describe(const Napi::CallbackInfo& info);

  // [sync] find({ path, tap?, stream? }): indices of sites. Throws SITE_NOT_FOUND, BAD_OPTION, DISPOSED.
  Napi::Value find(const Napi::CallbackInfo& info);

  // [async] shapes(inputs): { promise, cancel() }, the promise of a shape or null a site. Throws BAD_TENSOR, DISPOSED;
  // rejects with MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR.
  Napi::Value shapes(const Napi::CallbackInfo& info);

  // [async] forward(inputs, hooks): { promise, cancel() }, the promise of { output, captures }. Throws BAD_TENSOR,
  // BAD_OPTION, SITE_NOT_FOUND, DISPOSED; rejects as shapes does, and with what an edit throws.
  Napi::Value forward(const Napi::CallbackInfo& info);

  // [async] sample(plan, onStep?, onRecords?): { promise, cancel(), stepRead(), recordsRead() }, the promise of
  // { latents, execution, evaluations }. The run waits before it reports another step while the last one has not been
  // read, and before more records while too many have not: stepRead() and recordsRead() say that the oldest has. The
  // functions throw nothing; what they throw all the same ends the run. Throws BAD_OPTION, BAD_TENSOR, DISPOSED;
  // rejects with MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, and what an edit throws.
  Napi::Value sample(const Napi::CallbackInfo& info);

  // What never changes, for the JavaScript thread; also for answers that come after the model has been freed.
  std::shared_ptr<const std::vector<Site>> sites_;
  std::map<std::string, int64_t> fused_;
  std::optional<QuantisationReport> quantised_;
  WeightInventory inventory_;
};

}  // namespace dg::binding
