// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT

// What the fuzzers run, without a fuzzer: files that the library makes, whole, cut, and with a byte changed.

#include "fuzz/agent_memory_target.hpp"
#include "fuzz/bitmap_target.hpp"
#include "fuzz/checkpoint_target.hpp"
#include "fuzz/history_target.hpp"
#include "fuzz/json_target.hpp"
#include "fuzz/metrics_target.hpp"
#include "fuzz/model_file_target.hpp"
#include "fuzz/model_kinds_target.hpp"
#include "fuzz/safetensors_target.hpp"
#include "support/catch.hpp"

using namespace icrl;
using namespace icrl::fuzz;

namespace {

struct Outcomes {
  int used = 0, refused = 0;
};

/// Every `stride`-th byte, counted over all inputs, is changed, and the input cut there.
template <Target T>
Outcomes run_some(int input_count, std::size_t stride) {
  Outcomes outcomes;
  const auto run = [&](const Bytes& input) { ++(run_input<T>(input) ? outcomes.used : outcomes.refused); };
  std::size_t next = Choices::size;
  for (int i = 0; i < input_count; ++i) {
    Rng rng{100 + static_cast<std::uint64_t>(i)};
    const Bytes input = make_input<T>(rng);
    run(input);
    for (; next < input.size(); next += stride) {
      Bytes changed = input;
      changed[next] = static_cast<char>(changed[next] + (rng.chance(0.5) ? 1 : 1 << rng.below(8)));
      run(changed);
      run({input.begin(), input.begin() + static_cast<std::ptrdiff_t>(next)});
    }
    next = next - input.size() + Choices::size;
  }
  return outcomes;
}

}  // namespace

TEMPLATE_TEST_CASE("Changed and cut files are refused or can be used", "[fuzz]", AgentMemoryTarget, BitmapTarget,
                   CheckpointTarget, HistoryReaderTarget, HistoryWriterTarget, JsonTarget, MetricsTarget,
                   ModelFileTarget, ModelKindsTarget, PruningCheckpointTarget, SafetensorsTarget) {
  constexpr int input_count = 12;
  const Outcomes outcomes = run_some<TestType>(input_count, 17);

  CHECK(outcomes.used > input_count);
  if (!std::same_as<TestType, MetricsTarget>) CHECK(outcomes.refused > input_count);  // every text can be gone on with
}
