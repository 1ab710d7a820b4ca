// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/cpu_level.hpp>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("Every CPU has the scalar level, and the best one is one that it has", "[math]") {
  CHECK(is_available(CpuLevel::scalar));
  CHECK(is_available(best_cpu_level()));
  CHECK(available_cpu_levels().front() == CpuLevel::scalar);
  CHECK(available_cpu_levels().back() == best_cpu_level());
  CHECK(to_string(CpuLevel::avx512_vnni) == "avx512_vnni");
}
