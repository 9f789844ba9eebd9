#include "native/core/operators/tile_attention.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "native/core/operators/number_type.h"
#include "native/core/operators/register_tile.h"
#include "native/core/operators/share_pieces.h"
#include "native/core/operators/tile_kind.h"
#include "native/core/operators/tile_product.h"

namespace dg {

#if DG_HAS_AVX512
namespace {

// Queries of a piece of work where a head is too much for one: its keys and values are put in order once for each
// thread that has some.
constexpr int64_t kQueries = 96;

// Heads for each thread from which on a piece is a whole one.
constexpr int64_t kHeadsEach = 3;

// Rounded up to whole panels.
int64_t padded(int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

// Numbers in a group of four bytes.
template <typename Kind>
constexpr int64_t kGroup = kGroupBytes / sizeof(typename Kind::Operand);

// One head of one picture: rows of channels, `stride` numbers apart.
template <typename T>
struct Rows {
  const T* first;
  int64_t stride;
  const T* at(int64_t row) const { return first + row * stride; }
};

// Keys as panels: a key an output, its channels in groups. `widened`: room for a key.
template <typename Kind, typename T>
void packKeys(uint32_t* out, const Rows<T>& keys, int64_t count, int64_t channels, std::vector<float>& widened) {
  const int64_t groups = channels / kGroup<Kind>;
  std::fill_n(out, padded(count) * groups, 0u);
  for (int64_t key = 0; key < count; ++key) {
    const auto places = groupPlaces(key, count, groups * kGroupBytes);
    auto* to = reinterpret_cast<uint8_t*>(out) + places.first;
    const auto* from = asRead<Kind>(keys.at(key), keys.stride, 1, channels, widened).first;
    for (int64_t group = 0; group < groups; ++group) {
      std::memcpy(to + group * places.step, from + group * kGroupBytes, kGroupBytes);
    }
  }
}

// Values as panels: a channel an output, tokens in groups; tokens beyond the last are 0. A group of 16 channels:
template <typename T>
DG_AVX512_INLINE __m512i valueGroup(Float32Kind, const Rows<T>& values, int64_t token, int64_t count, int64_t channel,
                                    __mmask16 mask) {
  if (token >= count) return _mm512_setzero_si512();
  return _mm512_castps_si512(loadLanes(mask, values.at(token) + channel));
}

DG_AVX512_INLINE __m512i bitsOf(const Rows<at::BFloat16>& values, int64_t token, int64_t count, int64_t channel,
                                __mmask16 mask) {
  if (token >= count) return _mm512_setzero_si512();
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, values.at(token) + channel));
}

DG_AVX512_INLINE __m512i valueGroup(Bfloat16Kind, const Rows<at::BFloat16>& values, int64_t pair, int64_t count,
                                    int64_t channel, __mmask16 mask) {
  const __m512i second = bitsOf(values, 2 * pair + 1, count, channel, mask);
  return _mm512_or_si512(bitsOf(values, 2 * pair, count, channel, mask), _mm512_slli_epi32(second, 16));
}

template <typename Kind, typename T>
DG_AVX512 void packValues(uint32_t* out, const Rows<T>& values, int64_t count, int64_t channels) {
  const int64_t groups = padded(count) / kGroup<Kind>;
  for (int64_t channel = 0; channel < channels; channel += kPanel) {
    const __mmask16 mask = lanes(channels - channel);
    const auto places = groupPlaces(channel, channels, groups * kGroupBytes);
    auto* to = reinterpret_cast<uint8_t*>(out) + places.first;
    for (int64_t group = 0; group < groups; ++group, to += places.step) {
      _mm512_storeu_si512(to, valueGroup(Kind(), values, group, count, channel, mask));
    }
  }
}

DG_AVX512_INLINE void storePanel(float* to, __m512 value) { _mm512_storeu_ps(to, value); }
DG_AVX512_INLINE void storePanel(at::BFloat16* to, __m512 value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), toBfloat16(value));
}

// 2 to the power of scale · score less the largest, as exact as T, 0 beyond the last; gives 1 over their sum. What is
// not a number stays so.
template <typename T, typename Operand>
DG_AVX512 float weigh(Operand* weights, const float* scores, float scale, int64_t count) {
  const __m512 factor = _mm512_set1_ps(scale);
  // Of two operands of a maximum the second is kept where one is not a number: none gets into `largest`.
  __m512 largest = _mm512_set1_ps(-INFINITY), sums = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += kPanel) {
    const __m512 value = _mm512_mul_ps(factor, _mm512_loadu_ps(scores + i));
    largest = _mm512_mask_max_ps(largest, lanes(count - i), value, largest);
  }
  const __m512 most = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
  for (int64_t i = 0; i < count; i += kPanel) {
    const __m512 power = powerOfTwo<T>(_mm512_fmsub_ps(factor, _mm512_loadu_ps(scores + i), most));
    const __m512 value = _mm512_maskz_mov_ps(lanes(count - i), power);
    sums = _mm512_add_ps(sums, value);
    storePanel(weights + i, value);
  }
  return 1.0f / _mm512_reduce_add_ps(sums);
}

template <typename T>
DG_AVX512 void storeScaled(T* out, const float* from, float factor, int64_t count) {
  for (int64_t i = 0; i < count; i += kPanel) {
    storeLanes(out + i, lanes(count - i), _mm512_mul_ps(_mm512_loadu_ps(from + i), _mm512_set1_ps(factor)));
  }
}

// rows by all panels: out [rows, 16 · panels]
template <typename Kind>
void multiply(int64_t rows, const ReadRows& x, const uint32_t* panels, int64_t count, int64_t groups, float* out) {
  for (int64_t panel = 0, beside; panel < count; panel += beside) {
    beside = panelsBeside(panel, count);
    const auto* from = reinterpret_cast<const uint8_t*>(panels + panel * groups * kPanel);
    const TilePart tile{.x = x.first,
                        .rowBytes = x.rowBytes,
                        .panels = from,
                        .groups = groups,
                        .goesOn = false,
                        .next = from,
                        .nextStep = 0};
    sumTile<Kind>(rows, beside, tile, out + panel * kPanel, count * kPanel);
  }
}

// The heads that one thread works on, one after the other.
template <typename Kind, typename T>
class Head {
 public:
  Head(int64_t keys, int64_t channels, float scale)
      : keys_(keys),
        channels_(channels),
        scale_(scale * 1.44269504f),  // log₂ e: weights are powers of 2
        keyPanels_(padded(keys) * channels / kGroup<Kind>),
        valuePanels_(padded(channels) * padded(keys) / kGroup<Kind>),
        scores_(kTileRows * padded(keys)),
        sums_(kTileRows * padded(channels)),
        weights_(kTileRows * padded(keys)) {}

  void begin(const Rows<T>& keys, const Rows<T>& values) {
    packKeys<Kind>(keyPanels_.data(), keys, keys_, channels_, widened_);
    packValues<Kind>(valuePanels_.data(), values, keys_, channels_);
  }

  // At most kTileRows queries.
  void attend(const Rows<T>& queries, int64_t count, T* out, int64_t outStride) {
    const int64_t width = padded(keys_), outWidth = padded(channels_);
    multiply<Kind>(count, asRead<Kind>(queries.first, queries.stride, count, channels_, widened_), keyPanels_.data(),
                   width / kPanel, channels_ / kGroup<Kind>, scores_.data());
    float shares[kTileRows];
    for (int64_t row = 0; row < count; ++row) {
      shares[row] = weigh<T>(weights_.data() + row * width, scores_.data() + row * width, scale_, keys_);
    }
    multiply<Kind>(count, asRead<Kind>(weights_.data(), width, count, width, widened_), valuePanels_.data(),
                   outWidth / kPanel, width / kGroup<Kind>, sums_.data());
    for (int64_t row = 0; row < count; ++row) {
      storeScaled(out + row * outStride, sums_.data() + row * outWidth, shares[row], channels_);
    }
  }

 private:
  int64_t keys_, channels_;
  float scale_;
  std::vector<uint32_t> keyPanels_, valuePanels_;
  std::vector<float> scores_, sums_, widened_;
  std::vector<typename Kind::Operand> weights_;
};

template <typename T>
Rows<T> rowsOf(const at::Tensor& tensor, int64_t picture, int64_t head, int64_t first = 0) {
  return {tensor.const_data_ptr<T>() + picture * tensor.stride(0) + head * tensor.stride(1) + first * tensor.stride(2),
          tensor.stride(2)};
}

}  // namespace

bool canTileAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  if (!hasTileProduct(query.scalar_type(), query.size(3)) || value.size(3) != query.size(3)) return false;
  return query.stride(3) == 1 && key.stride(3) == 1 && value.stride(3) == 1;
}

namespace {

template <typename Kind, typename T>
at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, float scale) {
  const int64_t pictures = query.size(0), heads = query.size(1), queries = query.size(2), channels = query.size(3);
  auto result = at::empty({pictures, queries, heads, channels}, query.options());
  auto* out = result.data_ptr<T>();
  struct Own {
    Head<Kind, T> head;
    int64_t ready = -1;
  };
  const auto make = [&] { return Own{Head<Kind, T>(key.size(2), channels, scale)}; };
  // Where there are many heads a piece is a whole one: its keys are put in order once.
  const int64_t atOnce = pictures * heads >= kHeadsEach * at::get_num_threads() ? queries : kQueries;
  const int64_t tasks = (queries + atOnce - 1) / atOnce;
  sharePieces(pictures * heads * tasks, make, [&](int64_t each, Own& own) {
    const int64_t unit = each / tasks, picture = unit / heads, head = unit % heads;
    if (unit != own.ready) own.head.begin(rowsOf<T>(key, picture, head), rowsOf<T>(value, picture, head));
    own.ready = unit;
    const int64_t first = each % tasks * atOnce, last = std::min(first + atOnce, queries);
    for (int64_t row = first; row < last; row += kTileRows) {
      own.head.attend(rowsOf<T>(query, picture, head, row), std::min<int64_t>(kTileRows, last - row),
                      out + ((picture * queries + row) * heads + head) * channels, heads * channels);
    }
  });
  return result;
}

}  // namespace

at::Tensor tileAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, float scale) {
  return withNumber(query.scalar_type(), [&](auto as) {
    at::Tensor result;
    withTileKind<decltype(as)>(
        [&](auto kind) { result = attend<decltype(kind), decltype(as)>(query, key, value, scale); });
    return result;
  });
}

#else

bool canTileAttention(const at::Tensor&, const at::Tensor&, const at::Tensor&) { return false; }
at::Tensor tileAttention(const at::Tensor&, const at::Tensor&, const at::Tensor&, float) { return {}; }

#endif

}  // namespace dg
