#include "native/core/device/recycle.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dg {
namespace {

// Smaller ones malloc keeps to itself and hands out again without the operating system.
constexpr size_t kLeastRecycled = size_t{64} << 10;

}  // namespace

// Free memory by size. Shared by its scope and by every block that was made in it.
class RecyclingScope::Shelf {
 public:
  explicit Shelf(size_t limit) : limit_(limit) {}

  at::DataPtr take(size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = free_.find(size);
    if (entry == free_.end() || entry->second.empty()) return {};
    auto memory = std::move(entry->second.back());
    entry->second.pop_back();
    idle_ -= size;
    return memory;
  }

  // What does not fit is freed by the caller, whose it still is.
  bool put(at::DataPtr& memory, size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_ || idle_ + size > limit_) return false;
    free_[size].push_back(std::move(memory));
    idle_ += size;
    return true;
  }

  void close() {
    std::unordered_map<size_t, std::vector<at::DataPtr>> freed;
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    idle_ = 0;
    freed.swap(free_);
  }

  size_t idle() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return idle_;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<size_t, std::vector<at::DataPtr>> free_;
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
    auto memory = active->take(size);
    if (!memory) memory = base_->allocate(size);
    void* data = memory.get();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      blocks_.emplace(data, Block{std::move(memory), size, active});
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

}  // namespace dg
