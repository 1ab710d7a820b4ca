// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <icrl/math/packet.hpp>

namespace icrl::detail {

/// The square root, rounded to nearest as IEEE 754 asks for, on every target.
template <typename S>
inline Packet<S> square_root(const Packet<S>& x) {
#if defined(__AVX512F__)  // without masks g++ 12 warns (GCC bug 105593)
  if constexpr (std::is_same_v<S, float>)
    return Packet<S>(_mm512_maskz_sqrt_ps(0xffff, __m512(x)));
  else
    return Packet<S>(_mm512_maskz_sqrt_pd(0xff, __m512d(x)));
#elif defined(__AVX__)
  if constexpr (std::is_same_v<S, float>)
    return Packet<S>(_mm256_sqrt_ps(__m256(x)));
  else
    return Packet<S>(_mm256_sqrt_pd(__m256d(x)));
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<S, float>)
    return Packet<S>(vsqrtq_f32(float32x4_t(x)));
  else
    return Packet<S>(vsqrtq_f64(float64x2_t(x)));
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<S, float>)
    return Packet<S>(_mm_sqrt_ps(__m128(x)));
  else
    return Packet<S>(_mm_sqrt_pd(__m128d(x)));
#else
  Packet<S> root;
  for (std::size_t i = 0; i < lane_count<S>; ++i) root[i] = std::sqrt(x[i]);
  return root;
#endif
}

}  // namespace icrl::detail
