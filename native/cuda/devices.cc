#include "native/cuda/devices.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

namespace dg {
namespace {

// The stub that stands in for a missing libtorch_cuda throws here.
bool isLinked() {
  try {
    return at::detail::getCUDAHooks().versionCUDART() > 0;
  } catch (const std::exception&) {
    return false;
  }
}

std::string whyNoDevice() {
#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
  try {
    c10::cuda::device_count_ensure_non_zero();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
#endif
  return "No NVIDIA driver or no NVIDIA device was found.";
}

CudaDevice describe(size_t index) {
#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
  const auto* properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  return {properties->name, static_cast<int64_t>(properties->totalGlobalMem)};
#else
  return {"CUDA device " + std::to_string(index), 0};
#endif
}

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
int capabilityOf(at::Device device) {
  const auto* properties = at::cuda::getDeviceProperties(device.index());
  return 10 * properties->major + properties->minor;
}
#endif

}  // namespace

CapabilityReader capabilityReader() {
#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
  return capabilityOf;
#else
  return nullptr;
#endif
}

CudaStatus cudaStatus() {
  CudaStatus status;
  try {
    status.linked = isLinked();
    if (!status.linked) {
      status.reason = "This libtorch was built without CUDA.";
      return status;
    }
    const auto count = at::getNumGPUs();
    for (size_t index = 0; index < count; ++index) status.devices.push_back(describe(index));
    if (count == 0) status.reason = whyNoDevice();
  } catch (const std::exception& error) {
    status.reason = error.what();
  }
  return status;
}

}  // namespace dg
