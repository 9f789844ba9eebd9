#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "native/binding/delivery.h"
#include "native/binding/environment.h"
#include "native/core/recording/record.h"
#include "native/core/sampling/sampler.h"

namespace dg::binding {

// Takes what a sampling run reports, on the worker's thread, to the functions of JavaScript that want to know, and
// holds the run up while they have not read it.
class SamplingListener {
 public:
  // The call's first callback takes steps, the second records.
  SamplingListener(Environment* environment, Worker::CancelFlag cancelled, bool wantsSteps, bool wantsRecords);

  std::function<void(const Progress&)> onStep(CallId call);  // empty when nobody wants steps
  RecordSink onRecords(CallId call);

  // JavaScript thread: the oldest has been read.
  void stepRead() { steps_.leave(); }
  void recordsRead() { records_.leave(); }

 private:
  // Runs on the JavaScript thread what calls a callback with what make(env) gives.
  void report(CallId call, size_t callback, std::function<Napi::Value(Napi::Env)> make);

  Environment* environment_;  // outlives the run
  Worker::CancelFlag cancelled_;
  bool wantsSteps_, wantsRecords_;
  // One: the run is at most a step ahead of who reads it.
  Delivery steps_{{1, 0}};
  Delivery records_{{64, 64 << 20}};
};

}  // namespace dg::binding
