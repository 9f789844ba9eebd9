#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <mutex>

namespace dg {

// Work that a device was asked for once and can be asked for again at the price of a single call. It reads and writes
// the memory it did when it was recorded: what is to change between replays lies in tensors.
class RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  virtual void replay() = 0;
};

// Makes recordings. The core knows no device: native/cuda brings the one that makes CUDA graphs.
class WorkRecorder {
 public:
  virtual ~WorkRecorder() = default;
  // Records what `work` asks the device to do; it is not done before the first replay. Throws with the reason when
  // something in it can not be recorded, a wait for the device for instance.
  virtual std::unique_ptr<RecordedWork> record(const std::function<void()>& work) = 0;
};

// Held while something is recorded, and by what may not happen on any thread meanwhile. One recording at a time in a
// process: what they share in libtorch is not made for two.
std::recursive_mutex& recordingMutex();

using WorkRecorderFactory = std::unique_ptr<WorkRecorder> (*)(at::Device);

// Set once, before a model is loaded; null: nothing is recorded.
void setWorkRecorderFactory(WorkRecorderFactory factory);

// Null where the device has none.
std::unique_ptr<WorkRecorder> makeWorkRecorder(at::Device device);

}  // namespace dg
