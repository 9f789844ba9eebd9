#pragma once

#include <c10/core/ScalarType.h>

#include <optional>

namespace dg {

// What multiplies matrices of a dtype on the CPU.
enum class ProductWay {
  libtorch,  // libtorch's, oneDNN's of packed weights
  avx512,    // the package's register tiles, by AVX-512's float32 instructions; bfloat16 is widened for them
  dot,       // the package's register tiles, by AVX-512's instruction for pairs of bfloat16
};

const char* name(ProductWay way);  // "libtorch", "avx512", "avx512_bf16"

// Of linear layers and of attention.
struct ProductWays {
  ProductWay float32 = ProductWay::libtorch, bfloat16 = ProductWay::libtorch;
};

// Chosen once a process, from what the processor is: the same on every run.
ProductWay productWay(at::ScalarType dtype);

// For tests, from then on; nullopt: the processor's.
void setProductWays(std::optional<ProductWays> ways);

// Whether the package's own products are used.
inline bool hasOwnProduct(at::ScalarType dtype) { return productWay(dtype) != ProductWay::libtorch; }

// Whether the processor has matrix registers and the system lends them (AMX), which libtorch uses for bfloat16.
bool hasAmx();

}  // namespace dg
