#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace dg {

// What the pictures of a VAE's decoder look like: pixels along the sides, and the values that are black and white.
struct PictureForm {
  int64_t height;
  int64_t width;
  double black;
  double white;
};

// Pictures as bytes, channels interleaved.
struct Pictures {
  std::vector<int64_t> shape;      // of the tensor that they were made of
  int64_t frames = 0;              // 1 for a picture; 0 where the tensor has no pictures of that form
  std::vector<at::Tensor> others;  // uint8 [height, width, 3]: the frames after the first
  bool overflowed = false;         // one of the values is no number, or infinite
};

// The pixels of a tensor [1, 3, height, width], or [1, 3, frames, height, width]; the first frame's are written to
// `first`, height * width * 3 bytes. To the bit what lib/image/levels.ts makes of the same values.
// Throws MODEL_FAILED for a tensor that is not of floating-point numbers.
Pictures toPictures(const at::Tensor& values, const PictureForm& form, uint8_t* first);

}  // namespace dg
