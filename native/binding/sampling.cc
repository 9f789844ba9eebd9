#include "native/binding/sampling.h"

#include <utility>

#include "native/binding/convert.h"

namespace dg::binding {
namespace {

int64_t bytesOf(const Records& records) {
  auto bytes = static_cast<int64_t>(records.words.nbytes());
  for (const auto& entry : records.entries) {
    if (entry.tensor.defined()) bytes += static_cast<int64_t>(entry.tensor.nbytes());
  }
  return bytes;
}

}  // namespace

SamplingListener::SamplingListener(Environment* environment, Worker::CancelFlag cancelled, bool wantsSteps,
                                   bool wantsRecords)
    : environment_(environment),
      cancelled_(std::move(cancelled)),
      wantsSteps_(wantsSteps),
      wantsRecords_(wantsRecords) {}

void SamplingListener::report(CallId call, size_t callback, std::function<Napi::Value(Napi::Env)> make) {
  environment_->tell(call, [callback, make = std::move(make), cancelled = cancelled_](Napi::Env env, Call& told) {
    if (cancelled->load()) return;
    try {
      told.callbacks[callback].Call({make(env)});
    } catch (const Napi::Error& thrown) {
      told.thrown = thrown;
      cancelled->store(true);
    }
  });
}

std::function<void(const Progress&)> SamplingListener::onStep(CallId call) {
  if (!wantsSteps_) return nullptr;
  return [this, call](const Progress& progress) {
    steps_.enter(0, *cancelled_);
    report(call, 0, [progress](Napi::Env env) -> Napi::Value { return progressObject(env, progress); });
  };
}

RecordSink SamplingListener::onRecords(CallId call) {
  if (!wantsRecords_) return nullptr;
  return [this, call](const Records& records) {
    records_.enter(bytesOf(records), *cancelled_);
    report(call, 1, [records](Napi::Env env) -> Napi::Value { return recordsObject(env, records); });
  };
}

}  // namespace dg::binding
