#include "native/cuda/graph.h"

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace dg::cuda {

#ifdef DETAIL_GUIDANCE_CUDA_HEADERS
namespace {

class Graph : public RecordedWork {
 public:
  void replay() override { graph.replay(); }
  at::cuda::CUDAGraph graph;
};

class GraphRecorder : public WorkRecorder {
 public:
  explicit GraphRecorder(at::Device device) : device_(device), pool_(at::cuda::graph_pool_handle()) {}

  std::unique_ptr<RecordedWork> record(const std::function<void()>& work) override {
    const auto stream = c10::cuda::getCurrentCUDAStream(device_.index());
    if (stream == c10::cuda::getDefaultCUDAStream(device_.index())) {
      throw std::runtime_error("the default stream of CUDA can not be recorded");
    }
    stream.synchronize();
    auto recording = std::make_unique<Graph>();
    auto& graph = recording->graph;
    // Thread-local: another pipeline's thread may go on allocating memory meanwhile.
    graph.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      abandon(graph);
      throw;
    }
    try {
      graph.capture_end();
    } catch (...) {
      release();
      throw;
    }
    return recording;
  }

 private:
  // Leaves stream, allocator and the thread's error state as they were before a recording that failed.
  void abandon(at::cuda::CUDAGraph& graph) {
    try {
      graph.capture_end();
    } catch (const std::exception&) {
      release();
    }
  }

  void release() {
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device_.index(), pool_);
    } catch (const std::exception&) {
      // capture_end had got that far.
    }
    cudaGetLastError();
  }

  at::Device device_;
  decltype(at::cuda::graph_pool_handle()) pool_;
};

}  // namespace

std::unique_ptr<WorkRecorder> makeGraphRecorder(at::Device device) {
  const char* wanted = std::getenv("DETAIL_GUIDANCE_CUDA_GRAPHS");
  if (!device.is_cuda() || (wanted != nullptr && std::string(wanted) == "0")) return nullptr;
  return std::make_unique<GraphRecorder>(device);
}

#else

std::unique_ptr<WorkRecorder> makeGraphRecorder(at::Device) { return nullptr; }

#endif

}  // namespace dg::cuda
