#pragma once

#include <napi.h>

#include <memory>

#include "native/binding/worker.h"
#include "native/core/model/model.h"

namespace dg::binding {

// What JavaScript sees of a loaded model. Every call that computes runs on the model's own thread and gives
// { promise, cancel() }; the promise settles after the thread has unwound.
class NativeModel : public Napi::ObjectWrap<NativeModel> {
 public:
  static Napi::Function define(Napi::Env env);
  // load(options): promise of a NativeModel
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit NativeModel(const Napi::CallbackInfo& info);
  ~NativeModel() override;

 private:
  Napi::Value describe(const Napi::CallbackInfo& info);  // sync
  Napi::Value shapes(const Napi::CallbackInfo& info);    // (inputs): run
  Napi::Value forward(const Napi::CallbackInfo& info);   // (inputs, hooks): run
  Napi::Value find(const Napi::CallbackInfo& info);      // (path, tap, stream): indices of sites; sync
  Napi::Value sample(const Napi::CallbackInfo& info);    // (plan, onStep?, onRecords?): run, with release()
  Napi::Value dispose(const Napi::CallbackInfo& info);   // promise; cancels what runs

  // Runs work() on the worker and gives { promise, cancel }; convert(env, result) makes the promise's value.
  template <typename Work, typename Convert>
  Napi::Value run(Napi::Env env, Work work, Convert convert, Worker::CancelFlag cancelled);
  Model& model(Napi::Env env) const;  // throws DISPOSED

  std::shared_ptr<Model> model_;
  std::shared_ptr<Worker> worker_;
  int64_t reportedBytes_ = 0;
  bool disposed_ = false;
};

}  // namespace dg::binding
