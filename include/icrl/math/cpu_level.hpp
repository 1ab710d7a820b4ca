// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include <icrl/core/target.hpp>

namespace icrl {

/// The instruction sets that integer kernels are written for. They are chosen at run time, whatever `-march` a program
/// was compiled with. All levels give the same bits.
enum class CpuLevel { scalar, avx2, avx512_vnni };

[[nodiscard]] constexpr std::string_view to_string(CpuLevel level) {
  switch (level) {
    case CpuLevel::avx2:
      return "avx2";
    case CpuLevel::avx512_vnni:
      return "avx512_vnni";
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
#endif
  return level == CpuLevel::scalar;
}

/// All levels that this CPU runs, the quickest one last.
[[nodiscard]] inline std::vector<CpuLevel> available_cpu_levels() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : {CpuLevel::scalar, CpuLevel::avx2, CpuLevel::avx512_vnni})
    if (is_available(level)) levels.push_back(level);
  return levels;
}

/// The quickest one.
[[nodiscard]] inline CpuLevel best_cpu_level() { return available_cpu_levels().back(); }

}  // namespace icrl
