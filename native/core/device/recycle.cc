#include "native/core/device/recycle.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace dg {
namespace {

// Smaller ones malloc keeps to itself and hands out again without the operating system.
constexpr size_t kLeastRecycled = size_t{64} << 10;

}  // namespace

// Free memory by size. Shared by its scope and by every block that was made in it.
class RecyclingScope::Shelf {
 public:
  explicit Shelf(size_t limit) : limit_(limit) {}

  // Sets `size` to that of the memory it gives; nothing where there is none.
  at::DataPtr take(size_t& size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = free_.lower_bound(size);
    if (entry == free_.end() || entry->first > 2 * size) {
      giveBackOthers(size);
      return {};
    }
    size = entry->first;
    idle_ -= size;
    return std::move(free_.extract(entry).mapped().memory);
  }

  // What does not fit is freed by the caller, whose it still is.
  bool put(at::DataPtr& memory, size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_ || idle_ + size > limit_) return false;
    free_.emplace(size, Idle{std::move(memory), program_});
    idle_ += size;
    return true;
  }

  void close() {
    std::multimap<size_t, Idle> freed;
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    idle_ = 0;
    freed.swap(free_);
  }

  void beginProgram() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++program_;
  }

  size_t idle() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return idle_;
  }

 private:
  struct Idle {
    at::DataPtr memory;
    int64_t program;  // that used it last
  };

  // As many bytes of what other programs used, or all there are: the largest first, which this one has no use for.
  void giveBackOthers(size_t bytes) {
    size_t given = 0;
    for (auto entry = free_.end(); entry != free_.begin() && given < bytes;) {
      --entry;
      if (entry->second.program == program_) continue;
      given += entry->first;
      entry = free_.erase(entry);
    }
    idle_ -= given;
  }

  mutable std::mutex mutex_;
  std::multimap<size_t, Idle> free_;
  int64_t program_ = 0;
  size_t limit_, idle_ = 0;
  bool closed_ = false;
};

class RecyclingAllocator final : public c10::Allocator {
 public:
  using Shelf = RecyclingScope::Shelf;

  explicit RecyclingAllocator(c10::Allocator* base) : base_(base) { only = this; }

  // oneDNN wants memory as a bare pointer, so the pointer alone has to be enough to free it.
  at::DataPtr allocate(size_t size) override {
    if (!active || size < kLeastRecycled) return base_->allocate(size);
    size_t taken = size;
    auto memory = active->take(taken);
    if (!memory) memory = base_->allocate(size);
    void* data = memory.get();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      blocks_.emplace(data, Block{std::move(memory), taken, active});
    }
    return {data, data, giveBack, at::kCPU};
  }

  at::DeleterFnPtr raw_deleter() const override { return giveBack; }

  void copy_data(void* to, const void* from, size_t size) const override { base_->copy_data(to, from, size); }

  static thread_local std::shared_ptr<Shelf> active;

 private:
  struct Block {
    at::DataPtr memory;
    size_t size;
    std::shared_ptr<Shelf> shelf;
  };

  static void giveBack(void* data) {
    std::unique_lock<std::mutex> lock(only->mutex_);
    auto block = only->blocks_.extract(data);
    lock.unlock();
    if (block) {
      block.mapped().shelf->put(block.mapped().memory, block.mapped().size);
    } else {
      only->base_->raw_deallocate(data);
    }
  }

  static RecyclingAllocator* only;

  c10::Allocator* base_;
  std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;  // in use, by address
};

RecyclingAllocator* RecyclingAllocator::only = nullptr;
thread_local std::shared_ptr<RecyclingScope::Shelf> RecyclingAllocator::active;

RecyclingScope::RecyclingScope(size_t limit)
    : shelf_(std::make_shared<Shelf>(limit)), previous_(RecyclingAllocator::active) {
  static std::once_flag once;
  std::call_once(once, [] {
    // Kept until the process ends, as tensors are freed through it.
    c10::SetCPUAllocator(new RecyclingAllocator(c10::GetCPUAllocator()));
  });
  RecyclingAllocator::active = shelf_;
}

RecyclingScope::~RecyclingScope() {
  RecyclingAllocator::active = previous_;
  shelf_->close();
}

size_t RecyclingScope::idleBytes() const { return shelf_->idle(); }

void RecyclingScope::beginProgram() {
  if (RecyclingAllocator::active) RecyclingAllocator::active->beginProgram();
}

}  // namespace dg
