#include "native/core/device/own_stream.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace dg {
namespace {

// As many as libtorch's pool has of CUDA's.
constexpr int kPool = 32;

struct Taken {
  std::mutex mutex;
  std::vector<c10::Stream> streams;  // one that is shared as often as it is shared
};

// Threads may end after what is static.
Taken& taken() {
  static auto* all = new Taken;
  return *all;
}

c10::Stream take(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  auto& [mutex, streams] = taken();
  const std::lock_guard lock(mutex);
  auto stream = guard.getStreamFromGlobalPool(device);
  for (int i = 1; i < kPool && std::find(streams.begin(), streams.end(), stream) != streams.end(); ++i) {
    stream = guard.getStreamFromGlobalPool(device);
  }
  streams.push_back(stream);
  return stream;
}

}  // namespace

OwnStream::OwnStream(at::Device device) : stream_(take(device)) {}

OwnStream::~OwnStream() {
  auto& [mutex, streams] = taken();
  const std::lock_guard lock(mutex);
  streams.erase(std::find(streams.begin(), streams.end(), stream_));
}

}  // namespace dg
