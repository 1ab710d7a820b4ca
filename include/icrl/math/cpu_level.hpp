// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include <icrl/core/target.hpp>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace icrl {

/// The instruction sets that integer kernels are written for: AVX2 and AVX-512 with VNNI of x86-64, NEON of aarch64
/// without and with the dot-product extension, SIMD128 of WebAssembly. They are chosen at run time, whatever `-march` a
/// program was compiled with; WebAssembly cannot ask at run time, so there `-msimd128` decides. All levels give the
/// same bits.
enum class CpuLevel { scalar, avx2, avx512_vnni, neon, neon_dot, wasm_simd128 };

/// The name of a level, such as "avx512_vnni".
[[nodiscard]] constexpr std::string_view to_string(CpuLevel level) {
  switch (level) {
    case CpuLevel::avx2:
      return "avx2";
    case CpuLevel::avx512_vnni:
      return "avx512_vnni";
    case CpuLevel::neon:
      return "neon";
    case CpuLevel::neon_dot:
      return "neon_dot";
    case CpuLevel::wasm_simd128:
      return "wasm_simd128";
    default:
      return "scalar";
  }
}

/// Whether this CPU runs the level.
[[nodiscard]] inline bool is_available(CpuLevel level) {
#if defined(__x86_64__)
  if (level == CpuLevel::avx2) return __builtin_cpu_supports("avx2");
  if (level == CpuLevel::avx512_vnni) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
  }
#elif defined(__aarch64__)
  if (level == CpuLevel::neon) return true;
#if defined(__ARM_FEATURE_DOTPROD)  // as for every Mac
  if (level == CpuLevel::neon_dot) return true;
#elif defined(__linux__)
  constexpr unsigned long has_dot_products = 1ul << 20;  // HWCAP_ASIMDDP
  if (level == CpuLevel::neon_dot) return (getauxval(AT_HWCAP) & has_dot_products) != 0;
#endif
#elif defined(__wasm_simd128__)
  if (level == CpuLevel::wasm_simd128) return true;
#endif
  return level == CpuLevel::scalar;
}

/// All levels that this CPU runs, the fastest one last.
[[nodiscard]] inline std::vector<CpuLevel> available_cpu_levels() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : {CpuLevel::scalar, CpuLevel::avx2, CpuLevel::avx512_vnni, CpuLevel::neon,
                               CpuLevel::neon_dot, CpuLevel::wasm_simd128})
    if (is_available(level)) levels.push_back(level);
  return levels;
}

/// The quickest one.
[[nodiscard]] inline CpuLevel best_cpu_level() { return available_cpu_levels().back(); }

}  // namespace icrl
