// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Which of the library's builds this CPU runs. Compiled for the lowest target.
#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// All builds, the fastest last. The features asked for are those that tell CPUs of one level from those of another.
[[nodiscard]] std::vector<Candidate> candidates() {
#if defined(ICRL_SEVERAL_TARGETS)
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
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
  fail("compiled library: {}; it was compiled for {}, and this CPU runs {}",
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
