#pragma once

#include <c10/core/Device.h>
#include <c10/util/Exception.h>

#include <string>

namespace dg {

// What libtorch said while the program of a file was prepared for a device: throws OUT_OF_MEMORY or MODEL_UNREADABLE.
[[noreturn]] void refusePreparation(const std::string& file, at::Device device, const c10::Error& error);

}  // namespace dg
