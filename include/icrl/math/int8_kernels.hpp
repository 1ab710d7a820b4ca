// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include <icrl/core/assert.hpp>
#include <icrl/math/cpu_level.hpp>
#include <icrl/math/int8_avx2.hpp>
#include <icrl/math/int8_avx512.hpp>
#include <icrl/math/int8_neon.hpp>
#include <icrl/math/int8_wasm.hpp>

namespace icrl::detail {

/// Calls `call(kernels)` with the kernels of a level, see ScalarInt8. The CPU has to have it.
template <typename Call>
inline auto with_int8_kernels(CpuLevel level, Call&& call) {
#if defined(__x86_64__)
  if (level == CpuLevel::avx512_vnni) return call(Avx512Int8{});
  if (level == CpuLevel::avx2) return call(Avx2Int8{});
#elif defined(__aarch64__)
  if (level == CpuLevel::neon_dot) return call(NeonDotInt8{});
  if (level == CpuLevel::neon) return call(NeonInt8{});
#elif defined(__wasm_simd128__)
  if (level == CpuLevel::wasm_simd128) return call(WasmInt8{});
#endif
  ICRL_ASSERT(level == CpuLevel::scalar, "integer kernels: this program has no kernels for the level");
  return call(ScalarInt8{});
}

}  // namespace icrl::detail
