#pragma once

#include <napi.h>

namespace dg::binding {

// [async] storeQuantised(options, out): { promise, cancel() }, the promise of a list of { path, inputs, outputs,
// channels, scales, columns, smoothing? }. `options` as load's; its `quantise` says how. Throws BAD_OPTION; rejects
// with what load rejects with.
Napi::Value storeQuantised(const Napi::CallbackInfo& call);

}  // namespace dg::binding
