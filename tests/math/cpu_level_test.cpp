// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/cpu_level.hpp>

#include <algorithm>
#include <initializer_list>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Every CPU has the scalar level, and the best one is one that it has", "[math]") {
  CHECK(is_available(CpuLevel::scalar));
  CHECK(is_available(best_cpu_level()));
  CHECK(available_cpu_levels().front() == CpuLevel::scalar);
  CHECK(available_cpu_levels().back() == best_cpu_level());
  CHECK(to_string(CpuLevel::avx512_vnni) == "avx512_vnni");
}

TEST_CASE("A CPU has the levels of its own target alone", "[math]") {
  const auto is_one_of = [](CpuLevel level, std::initializer_list<CpuLevel> levels) {
    return std::find(levels.begin(), levels.end(), level) != levels.end();
  };
  for (const CpuLevel level : available_cpu_levels()) {
    if (level == CpuLevel::scalar) continue;
#if defined(__x86_64__)
    CHECK(is_one_of(level, {CpuLevel::avx2, CpuLevel::avx512_vnni}));
#elif defined(__aarch64__)
    CHECK(is_one_of(level, {CpuLevel::neon, CpuLevel::neon_dot}));
#else
    CHECK(is_one_of(level, {CpuLevel::wasm_simd128}));
#endif
  }
#if defined(__aarch64__)
  CHECK(is_available(CpuLevel::neon));  // a part of every aarch64
#endif
}
