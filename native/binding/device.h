#pragma once

#include <napi.h>

namespace dg::binding {

// [sync] info(): { libtorch, cudaLinked, kernels, cpuCapability, threads }
Napi::Value info(const Napi::CallbackInfo& call);

// [sync] cuda(): { available, devices: [{ name, memory }], reason }
Napi::Value cuda(const Napi::CallbackInfo& call);

// What follows may have to wait for the device, or for a thread that captures a graph on it, so it runs on a thread of
// its own: the promise of its result. All throw BAD_OPTION, DISPOSED; they reject with MODEL_FAILED when the device has
// failed.

// [async] memory(device): { allocated, reserved, peakAllocated, peakReserved, free, total } in bytes; null for the CPU
Napi::Value memory(const Napi::CallbackInfo& call);

// [async] emptyCache(device)
Napi::Value emptyCache(const Napi::CallbackInfo& call);

// [async] resetPeakMemory(device)
Napi::Value resetPeakMemory(const Napi::CallbackInfo& call);

}  // namespace dg::binding
