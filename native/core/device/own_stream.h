#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

namespace dg {

// A stream of a device that is nobody else's while this lives. libtorch deals the few of its pool in turn, whoever has
// them: of two that have the same one, the work of one would be caught in what the other captures as a graph. Where all
// of them are taken it is shared.
class OwnStream {
 public:
  explicit OwnStream(at::Device device);
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  const c10::Stream& operator*() const { return stream_; }

 private:
  c10::Stream stream_;
};

}  // namespace dg
