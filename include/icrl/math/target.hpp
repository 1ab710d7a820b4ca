// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/target.hpp>

// What of the target the kernels depend on, and with it the layout of what they share. Only for matrix.hpp, which
// includes Eigen first.
namespace icrl::detail {

#if defined(__AVX512F__)
inline constexpr int packet_bytes = 64;
#elif defined(__AVX__)
inline constexpr int packet_bytes = 32;
#else
inline constexpr int packet_bytes = 16;
#endif

/// Whether a * b + c is rounded once.
inline constexpr bool fuses_multiply_add =
#if defined(__AVX512F__) || defined(__FMA__) || defined(__aarch64__)
    true;
#else
    false;
#endif

/// Whether products of bfloat16 are one instruction.
inline constexpr bool multiplies_bfloat16 =
#if defined(__AVX512BF16__)
    true;
#else
    false;
#endif

/// Whether the rough exponential has instructions of its own.
inline constexpr bool scales_by_exponents =
#if defined(__AVX512DQ__)
    true;
#else
    false;
#endif

#if defined(__ELF__) && !defined(__wasm__)
/// Files compiled for different targets do not link, in place of corrupting each other's memory: a linker keeps one
/// copy of what is inline, be it the other target's. This function, too, is kept once for each target, and the name
/// that its copies define is the same for all: defined twice, it is what the linker reports.
template <int packet, int alignment, int static_alignment, bool... features>
[[gnu::noinline]] void define_target() {
  asm volatile(
      ".globl icrl_error_files_of_this_program_were_compiled_with_different_march_flags\n"
      ".hidden icrl_error_files_of_this_program_were_compiled_with_different_march_flags\n"
      "icrl_error_files_of_this_program_were_compiled_with_different_march_flags:");
}
namespace {
[[gnu::used]] void (*const defined_target)() =
    &define_target<packet_bytes, EIGEN_MAX_ALIGN_BYTES, EIGEN_MAX_STATIC_ALIGN_BYTES, fuses_multiply_add,
                   multiplies_bfloat16, scales_by_exponents>;
}  // namespace
#endif

}  // namespace icrl::detail
