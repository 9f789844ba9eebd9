#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "native/core/device/own_stream.h"

namespace dg {

// Weights of one block, as many as a program reads before it comes to another block. They wait in host memory and are
// brought to the device together.
struct WaitingWeights {
  std::vector<at::Tensor> host;
  std::weak_ptr<WaitingWeights> next;  // what is read after them: brought while they are computed with
};

// In bytes.
struct OffloadUse {
  int64_t resident = 0;  // the most weights that were on the device at the same time
  int64_t brought = 0;   // copied there, all together
};

int64_t bytesOf(const std::vector<at::Tensor>& tensors);

// Brings the weights of blocks to the device in turn: those that are computed with and those that come next, two at any
// time. On a device with streams the copies have one of their own, which the computation's waits for by events; the
// host waits for nothing. On the CPU, which stands in for such a device in tests, the copies are made just the same.
// Used by one thread.
class BlockOffload {
 public:
  explicit BlockOffload(at::Device device) : device_(device) {}
  ~BlockOffload();
  BlockOffload(const BlockOffload&) = delete;
  BlockOffload& operator=(const BlockOffload&) = delete;

  // The weights on the device, in their order, for what the current stream is asked from now on. Those that were
  // brought before the last ones are let go of, and those that come next are sent for. What follows what is learned
  // where nobody has said it; a wrong guess costs a copy. A tensor that is still held elsewhere stays as it is.
  const std::vector<at::Tensor>& bring(const std::shared_ptr<WaitingWeights>& weights);

  const OffloadUse& use() const { return use_; }

  // Lets go of what is on the device.
  void clear();

 private:
  struct Slot {
    std::shared_ptr<WaitingWeights> weights;
    std::vector<at::Tensor> brought;
    std::optional<c10::Event> arrived;
  };

  void send(Slot& slot, const std::shared_ptr<WaitingWeights>& weights);
  void letGo(Slot& slot);
  bool hasStreams() const { return !device_.is_cpu() && !device_.is_meta(); }
  c10::Stream currentStream() const;
  void followCurrentStream();

  at::Device device_;
  std::optional<OwnStream> copies_;
  std::array<Slot, 2> slots_;
  size_t current_ = 0;
  int64_t resident_ = 0;
  OffloadUse use_;
};

}  // namespace dg
