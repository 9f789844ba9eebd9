#pragma once

#include <ATen/Parallel.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include <cstdint>

namespace dg {

// An operator's work, in multiplications with additions as products have them. `numbers`: of the input.
constexpr double workOfProduct(int64_t numbers, int64_t outputs) {
  return static_cast<double>(numbers) * static_cast<double>(outputs);
}
// Of a norm, a softmax, a gate.
constexpr double workOfPass(int64_t elements) { return workOfProduct(elements, 64); }

// While it lives, loops and libraries that this thread calls have as many threads as some work is worth, by its size
// alone: the same on every run. One that sleeps is woken in 35 µs on a virtual machine, in which another multiplies two
// million times, and one that spins takes a core from whoever else wants it.
class ThreadsFor {
 public:
  explicit ThreadsFor(double work) : before_(at::get_num_threads()) {
    set(work < kMore * static_cast<double>(before_ - 1) ? 1 + static_cast<int64_t>(work / kMore) : before_);
  }
  ~ThreadsFor() { set(before_); }
  ThreadsFor(const ThreadsFor&) = delete;
  ThreadsFor& operator=(const ThreadsFor&) = delete;

 private:
  static constexpr double kMore = 16 << 20;  // a quarter of a millisecond in float32

  static void set([[maybe_unused]] int64_t threads) {
#ifdef _OPENMP
    // at::set_num_threads would change MKL's number for all threads of the process.
    omp_set_num_threads(static_cast<int>(threads));
#endif
  }

  int64_t before_;
};

}  // namespace dg
