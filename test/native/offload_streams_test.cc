// The copies of blocks that wait have a stream of their own. Here a device is played whose streams do their work as
// late as the events allow, or the copies as early, and whose memory is given to the next tensor as soon as it is free,
// as libtorch's allocators do: whoever reads what is not there yet, or not there any more, reads something else.
#include <ATen/Functions.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "native/core/device/block_offload.h"
#include "native/core/device/own_stream.h"
#include "test/native/testing.h"

using namespace dg;

namespace {

constexpr auto kDevice = at::kPrivateUse1;
constexpr c10::StreamId kCompute = 1, kCopies = 2, kPool = 100;

// The work of two streams, in the order in which it was asked for. An event is how much of its stream's work comes
// before it.
class Timeline {
 public:
  struct Event {
    c10::StreamId stream = 0;
    size_t after = 0;
  };
  struct Work {
    std::function<void()> action;  // none: a wait
    Event event;
  };

  void ask(std::function<void()> action) { queue(current).push_back({std::move(action), {}}); }
  void wait(c10::StreamId stream, Event event) { queue(stream).push_back({nullptr, event}); }
  Event now(c10::StreamId stream) { return {stream, done_[stream] + queue(stream).size()}; }

  // Does the work of a stream until so much of it is done, and of the other what that waits for.
  void run(c10::StreamId stream, size_t until) {
    while (done_[stream] < until) {
      const auto work = std::move(queue(stream).front());
      queue(stream).pop_front();
      if (work.action) work.action();
      if (!work.action) run(work.event.stream, work.event.after);
      ++done_[stream];
    }
  }
  void runAll(c10::StreamId stream) { run(stream, now(stream).after); }

  c10::StreamId current = kCompute;
  bool copiesAtOnce = false;
  int64_t copiesBeside = 0, copiesBetween = 0;  // by the stream they were asked of

 private:
  std::deque<Work>& queue(c10::StreamId stream) { return queues_[stream]; }

  std::map<c10::StreamId, std::deque<Work>> queues_;
  std::map<c10::StreamId, size_t> done_;
};
Timeline* timeline = nullptr;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  at::DeviceType type() const override { return kDevice; }
  at::Device exchangeDevice(at::Device) const override { return getDevice(); }
  at::Device getDevice() const override { return {kDevice, 0}; }
  void setDevice(at::Device) const override {}
  void uncheckedSetDevice(at::Device) const noexcept override {}
  c10::Stream streamOf(c10::StreamId id) const { return c10::Stream(c10::Stream::UNSAFE, getDevice(), id); }
  c10::Stream getStream(at::Device) const override {
    return streamOf(timeline == nullptr ? kCompute : timeline->current);
  }
  // As many as CUDA's has, in turn.
  c10::Stream getStreamFromGlobalPool(at::Device, bool) const override {
    return streamOf(timeline == nullptr ? kPool + next++ % 32 : kCopies);
  }
  mutable c10::StreamId next = 0;
  c10::Stream exchangeStream(c10::Stream stream) const override {
    const auto before = getStream(getDevice());
    timeline->current = stream.id();
    return before;
  }
  at::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream& stream, const at::DeviceIndex, const c10::EventFlag) const override {
    if (*event == nullptr) *event = new Timeline::Event;
    *static_cast<Timeline::Event*>(*event) = timeline->now(stream.id());
  }
  void block(void* event, const c10::Stream& stream) const override {
    timeline->wait(stream.id(), *static_cast<Timeline::Event*>(event));
  }
  void destroyEvent(void* event, const at::DeviceIndex) const noexcept override {
    delete static_cast<Timeline::Event*>(event);
  }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

// Gives what was freed last to the next tensor of the same size.
struct Allocator final : c10::Allocator {
  static std::multimap<size_t, void*>& freed() {
    static std::multimap<size_t, void*> memory;
    return memory;
  }
  struct Block {
    void* data;
    size_t size;
  };
  at::DataPtr allocate(size_t size) override {
    const auto known = freed().find(size);
    void* data = known == freed().end() ? std::malloc(size) : known->second;
    if (known != freed().end()) freed().erase(known);
    return {data, new Block{data, size}, deleter, {kDevice, 0}};
  }
  static void deleter(void* context) {
    auto* block = static_cast<Block*>(context);
    freed().emplace(block->size, block->data);
    delete block;
  }
  at::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t size) const override { std::memcpy(to, from, size); }
};

at::Tensor emptyStrided(at::IntArrayRef sizes, at::IntArrayRef strides, std::optional<at::ScalarType> dtype,
                        std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  static Allocator allocator;
  const auto type = c10::scalarTypeToTypeMeta(dtype.value_or(at::kFloat));
  int64_t numbers = 1;
  for (const auto size : sizes) numbers *= size;
  const auto bytes = static_cast<int64_t>(numbers * type.itemsize());
  auto storage = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), bytes, &allocator, false);
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(std::move(storage)),
                                                         c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), type);
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
  return tensor;
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> dtype, std::optional<at::Layout> layout,
                 std::optional<at::Device> device, std::optional<bool> pinned, std::optional<at::MemoryFormat>) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  return emptyStrided(sizes, strides, dtype, layout, device, pinned);
}

at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool) {
  auto* target = to.storage().mutable_data();
  ++(timeline->current == kCopies ? timeline->copiesBeside : timeline->copiesBetween);
  timeline->ask([target, from] { std::memcpy(target, from.const_data_ptr(), from.nbytes()); });
  if (timeline->copiesAtOnce && timeline->current == kCopies) timeline->runAll(kCopies);
  return to;
}

// Reads four blocks in turn, as a program would, and in another order now and then.
void read(bool copiesAtOnce) {
  Timeline played;
  played.copiesAtOnce = copiesAtOnce;
  timeline = &played;
  constexpr int64_t kNumbers = 16;
  std::vector<std::shared_ptr<WaitingWeights>> blocks;
  for (int i = 0; i < 4; ++i) {
    blocks.push_back(std::make_shared<WaitingWeights>());
    for (int k = 0; k < 2; ++k) blocks.back()->host.push_back(at::full({kNumbers}, 10.0 * i + k));
  }
  for (int i = 0; i < 3; ++i) blocks[i]->next = blocks[i + 1];
  int64_t wrong = 0, reads = 0;
  {
    BlockOffload offload({kDevice, 0});
    for (const int index : {0, 1, 2, 3, 0, 1, 2, 3, 0, 2, 2, 1, 3, 0, 1, 2, 3}) {
      for (int k = 0; k < 2; ++k) {
        const auto* memory = static_cast<const float*>(offload.bring(blocks[index])[k].storage().data());
        played.ask([&, memory, expected = 10.0F * static_cast<float>(index) + static_cast<float>(k)] {
          ++reads;
          for (int64_t i = 0; i < kNumbers; ++i) wrong += memory[i] == expected ? 0 : 1;
        });
      }
    }
    REQUIRE(offload.use().resident == 4 * kNumbers * 4);
  }
  played.runAll(kCompute);
  played.runAll(kCopies);
  timeline = nullptr;
  REQUIRE(reads == 34);
  REQUIRE(played.copiesBeside > 0);
  REQUIRE(played.copiesBetween == 0);
  REQUIRE(wrong == 0);
}

struct Device {
  Device() {
    library.impl("empty.memory_format", empty);
    library.impl("empty_strided", emptyStrided);
    library.impl("copy_", copy);
  }
  torch::Library library{torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__};
};

}  // namespace

TEST_CASE("a stream is nobody else's while it is somebody's, also after the pool was dealt once") {
  const at::Device device(kDevice, 0);
  const OwnStream kept(device);
  for (int i = 0; i < 100; ++i) REQUIRE(*OwnStream(device) != *kept);
  std::vector<std::unique_ptr<OwnStream>> all;
  std::set<c10::StreamId> seen{(*kept).id()};
  for (int i = 1; i < 32; ++i) seen.insert((**all.emplace_back(std::make_unique<OwnStream>(device))).id());
  REQUIRE(seen.size() == 32);
  // All of them are taken: shared, and whoever ends gives back its own share alone.
  {
    const OwnStream shared(device);
  }
  const auto freed = (**all.back()).id();
  all.pop_back();
  REQUIRE((*OwnStream(device)).id() == freed);
}

TEST_CASE("the computation waits for the copies, and the copies for the computation") {
  const Device device;
  SUBCASE("as late as the events allow") { read(false); }
  SUBCASE("copies as early as they allow") { read(true); }
}
