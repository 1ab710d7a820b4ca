// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/target.hpp>

// What of the target the kernels depend on.
namespace icrl::detail {

#if defined(__AVX512F__)
inline constexpr int packet_bytes = 64;
#elif defined(__AVX__)
inline constexpr int packet_bytes = 32;
#else
inline constexpr int packet_bytes = 16;
#endif

/// Whether a * b + c is rounded only once (fused).
inline constexpr bool fuses_multiply_add =
#if defined(__AVX512F__) || defined(__FMA__) || defined(__aarch64__)
    true;
#else
    false;
#endif

/// Whether the target has instructions for the approximate exponential.
inline constexpr bool scales_by_exponents =
#if defined(__AVX512DQ__)
    true;
#else
    false;
#endif

}  // namespace icrl::detail

namespace icrl {

/// Whether the target multiplies pairs of bfloat16 in one instruction. On other targets, bfloat16 products are correct
/// but slower than float products.
inline constexpr bool has_bfloat16_products =
#if defined(__AVX512BF16__)
    true;
#else
    false;
#endif

}  // namespace icrl
