#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <cstdint>
#include <vector>

namespace dg {

// What is computed of a hidden state z [tokens, channels].
struct Statistics {
  bool channels = false;            // over the tokens: max |z|, mean |z|, median |z|, variance of z
  std::vector<double> percentiles;  // of |z| over the tokens, 0 to 100, linear between two ranks; with `channels`
  bool tokens = false;              // L2 norm of every token
  int64_t top = 0;                  // so many of the strongest values |z|, the strongest first
};

// The results of one image are a row of 32-bit words, floats and integers side by side, so that they cross to the host
// as one tensor:
//   max, mean, median, variance, each percentile    channels floats each
//   norms                                           tokens floats
//   tokens, channels, values                        top integers, top integers, top floats
//   values that are NaN or infinite                 one integer
// A channel with a NaN has NaN in all its results; infinities count as the values they are.
int64_t wordsFor(const Statistics& what, int64_t tokens, int64_t channels);

// hidden: [images, tokens, channels] of a floating dtype. Gives int32 words [images, wordsFor(…)] on the same device.
// Sums are float32. On the CPU one pass over memory makes all of it; elsewhere it is made of libtorch's operators, and
// of channelStatistics, for which native/cuda has a kernel.
at::Tensor statisticsOf(const at::Tensor& hidden, const Statistics& what);

// Its operator, with a kernel for the CPU and one for the rest.
void defineStatistics(torch::Library& library);

// The same by libtorch's operators, on any device.
at::Tensor statisticsByOperators(const at::Tensor& hidden, const Statistics& what);

}  // namespace dg
