// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/leaky_accumulator.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// Remembers the losses of a run.
struct Losses {
  std::vector<double> losses;
  void on_update(const DistilMetrics& metrics) { losses.push_back(metrics.loss); }
};

}  // namespace

TEST_CASE("A model without a maximum window is trained on windows of any length and start", "[train]") {
  const StepLayout layout = id_layout(true);
  const auto histories = fake_histories(layout, 3, 12, 5);
  for (const int context : {3, 8, 40})  // episodes have up to 6 rows
    for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere}) {
      const WindowSampler sampler{views(histories), layout, {.context = context, .start = start}};
      LeakyAccumulator model{layout};
      Losses seen;

      const DistilResult result =
          distil(model, sampler, {.updates = 60, .batch = 16, .warmup = 5, .thread_count = 1}, seen);

      INFO("windows of " << context << " rows");
      CHECK(result.updates == 60);
      CHECK(seen.losses.back() < 0.9 * seen.losses.front());
    }
}

TEST_CASE("A model with a maximum window still takes no others", "[train]") {
  const SmallRun run;
  const WindowSampler shorter{views(run.histories), run.layout, {.context = 7}};
  auto model = run.model();

  CHECK(has(error_of([&] { (void)distil(model, shorter, small_distil(3), Losses{}); }),
            "the windows have 7 steps, but the model's context is 8"));
}
