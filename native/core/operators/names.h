#pragma once

namespace dg {

// The operators that this package adds to libtorch's, and the namespace they live in.
inline constexpr const char* kNamespace = "detail_guidance";
inline constexpr const char* kTap = "detail_guidance::tap";
inline constexpr const char* kAttentionTap = "detail_guidance::attention_tap";
inline constexpr const char* kInterruptionPoint = "detail_guidance::interruption_point";
inline constexpr const char* kMatchDtype = "detail_guidance::match_dtype";

}  // namespace dg
