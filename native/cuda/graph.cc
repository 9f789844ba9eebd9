#include "native/cuda/graph.h"

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include <cstdlib>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace dg::cuda {

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
namespace {

// A pool of memory, by libtorch's name for it. libtorch takes back no pool that it has seen without graphs, so a pool
// lasts as long as there is one, and the next graph after that gets another.
using PoolName = decltype(at::cuda::graph_pool_handle());
using Pool = std::shared_ptr<const PoolName>;

class CudaGraph : public DeviceGraph {
 public:
  explicit CudaGraph(Pool pool) : graph(std::in_place), pool_(std::move(pool)) {}
  ~CudaGraph() override {
    // The device's generator keeps a list of graphs without a lock.
    const std::lock_guard lock(captureMutex());
    graph.reset();
  }

  void replay() override { graph->replay(); }

  std::optional<at::cuda::CUDAGraph> graph;

 private:
  Pool pool_;
};

class CudaGraphCapturer : public GraphCapturer {
 public:
  explicit CudaGraphCapturer(at::Device device) : device_(device) {}

  std::unique_ptr<DeviceGraph> capture(const std::function<void()>& work) override {
    const auto stream = c10::cuda::getCurrentCUDAStream(device_.index());
    if (stream == c10::cuda::getDefaultCUDAStream(device_.index())) {
      throw std::runtime_error("the default stream of CUDA can not be captured");
    }
    auto pool = pool_.lock();
    if (!pool) pool_ = pool = std::make_shared<const PoolName>(at::cuda::graph_pool_handle());
    auto captured = std::make_unique<CudaGraph>(pool);
    stream.synchronize();
    // While it captures, libtorch gives nothing back that it keeps for ordinary tensors, however short memory is.
    c10::cuda::CUDACachingAllocator::emptyCache();
    try {
      // Thread-local: another pipeline's thread may go on allocating memory meanwhile.
      captured->graph->capture_begin(*pool, cudaStreamCaptureModeThreadLocal);
      work();
      captured->graph->capture_end();
    } catch (...) {
      abandon(*captured->graph, *pool);
      throw;
    }
    return captured;
  }

 private:
  // Leaves stream, allocators and the thread's error state as they were before a capture that failed. A capture that
  // ends well after all is given back by the graph's destructor; of any other libtorch keeps the pool for itself.
  void abandon(at::cuda::CUDAGraph& graph, const PoolName& pool) {
    const bool ended = succeeds([&] { graph.capture_end(); });
    if (ended) return;
    namespace allocator = c10::cuda::CUDACachingAllocator;
    const auto device = device_.index();
    auto* host = at::getHostAllocator(at::kCUDA);
    const bool keepsMemory = succeeds([&] { allocator::endAllocateToPool(device, pool); });
    const bool keepsHostMemory = succeeds([&] { host->end_allocate_to_pool(pool); });
    if (keepsMemory) succeeds([&] { allocator::releasePool(device, pool); });
    if (keepsHostMemory) succeeds([&] { host->release_pool(pool); });
    cudaGetLastError();
  }

  template <typename Action>
  static bool succeeds(Action action) {
    try {
      action();
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  at::Device device_;
  std::weak_ptr<const PoolName> pool_;
};

}  // namespace

std::unique_ptr<GraphCapturer> makeCudaGraphCapturer(at::Device device) {
  const char* setting = std::getenv("DETAIL_GUIDANCE_CUDA_GRAPHS");
  if (!device.is_cuda() || (setting != nullptr && std::string(setting) == "0")) return nullptr;
  return std::make_unique<CudaGraphCapturer>(device);
}

#else

std::unique_ptr<GraphCapturer> makeCudaGraphCapturer(at::Device) { return nullptr; }

#endif

}  // namespace dg::cuda
