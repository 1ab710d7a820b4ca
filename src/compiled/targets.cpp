// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Which of the library's builds this CPU runs. Compiled for the least that any x86-64 has.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#if defined(ICRL_SEVERAL_TARGETS)
#include <cpuid.h>
#endif

#include <icrl/compiled/transformer_build.hpp>
#include <icrl/core/fail.hpp>

namespace icrl {

namespace detail {

extern "C" {
#if defined(ICRL_SEVERAL_TARGETS)
extern const TransformerBuild icrl_build_x86_64_v2, icrl_build_x86_64_v3, icrl_build_x86_64_v4,
    icrl_build_x86_64_v4_bf16;
#else
extern const TransformerBuild icrl_build_only;
#endif
}

namespace {

/// A build, and whether this CPU runs it.
struct Candidate {
  const TransformerBuild* build;
  bool runs_here;
};

#if defined(ICRL_SEVERAL_TARGETS)
/// Bit `bit` of ECX of a leaf of CPUID: a feature that not every compiler has a name for.
[[nodiscard]] bool has_ecx_bit(unsigned leaf, int bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> bit & 1) != 0;
}
#endif

/// All builds, the fastest last. Every feature that a compiler may use for a level is asked for, because a hypervisor
/// may hide any of them.
[[nodiscard]] std::vector<Candidate> candidates() {
#if defined(ICRL_SEVERAL_TARGETS)
  constexpr unsigned features = 1, more_features = 0x80000001;
  constexpr int cmpxchg16b = 13, movbe = 22, f16c = 29, lahf = 0, lzcnt = 5;
  const bool v2 = __builtin_cpu_supports("sse3") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2") &&
                  __builtin_cpu_supports("popcnt") && has_ecx_bit(features, cmpxchg16b) &&
                  has_ecx_bit(more_features, lahf);
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_ecx_bit(features, movbe) &&
                  has_ecx_bit(features, f16c) && has_ecx_bit(more_features, lzcnt);
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  const bool bf16 = v4 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
  return {{&icrl_build_x86_64_v2, v2},
          {&icrl_build_x86_64_v3, v3},
          {&icrl_build_x86_64_v4, v4},
          {&icrl_build_x86_64_v4_bf16, bf16}};
#else
  return {{&icrl_build_only, true}};
#endif
}

}  // namespace

const TransformerBuild& transformer_build(std::string_view target) {
  const std::vector<Candidate> all = candidates();
  const auto is_wanted = [&](const Candidate& candidate) {
    return candidate.runs_here && (target.empty() || target == candidate.build->target);
  };
  const auto found = std::find_if(all.rbegin(), all.rend(), is_wanted);
  if (found != all.rend()) return *found->build;
  std::string compiled, runnable;
  for (const auto& [build, runs_here] : all) {
    compiled += std::string{compiled.empty() ? "" : ", "} + build->target;
    if (runs_here) runnable += std::string{runnable.empty() ? "" : ", "} + build->target;
  }
  fail("compiled library: {}; the library was compiled for {}, and this CPU runs {}",
       target.empty() ? "this CPU is too old" : fmt::format("there is no target {} here", target), compiled,
       runnable.empty() ? "none" : runnable);
}

}  // namespace detail

std::vector<std::string_view> compiled_targets() {
  std::vector<std::string_view> targets;
  for (const auto& [build, runs_here] : detail::candidates())
    if (runs_here) targets.push_back(build->target);
  if (targets.empty()) (void)detail::transformer_build({});  // says why
  return targets;
}

}  // namespace icrl
