// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/recurrent_model.hpp>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

TEST_CASE("A recurrent model is distilled, saved, loaded, and acts through the same calls as a transformer",
          "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  const RecurrentConfig shape{.width = 8, .layer_count = 2, .state_size = 8, .hidden = 16, .longest_memory = 20};
  RecurrentModel<float> model{shape, run.layout};
  Rng rng{1};
  model.initialize(rng);

  DistilConfig config = small_distil(60);
  config.ema_decay = 0;
  struct Losses {
    std::vector<double> values;
    void on_update(const DistilMetrics& metrics) { values.push_back(metrics.loss); }
  } losses;
  (void)distil(model, run.sampler, config, losses);
  CHECK(losses.values.back() < losses.values.front());

  save_model(model, folder / "model.safetensors");
  const auto loaded = load_model<RecurrentModel<float>>(folder / "model.safetensors");
  CHECK(have_equal_bits(loaded, model));
  CHECK(fingerprint(loaded) == fingerprint(model));
  CHECK_THROWS_WITH(load_model<float>(folder / "model.safetensors"), ContainsSubstring("gated_recurrence"));

  InContextAgent agent{loaded};
  std::vector<float> observation(static_cast<std::size_t>(run.layout.observation_size())),
      action(static_cast<std::size_t>(run.layout.action_size()));
  const auto live = [&](InContextAgent<RecurrentModel<float>>& one, int steps) {
    std::vector<float> actions;
    Rng world{4};
    for (int t = 0; t < steps; ++t) {
      sample(run.layout.observation_space, world, observation);
      one.act(observation, action, world);
      actions.insert(actions.end(), action.begin(), action.end());
      one.learn({observation, action, 0.5f, observation, t % 7 == 6, false});
    }
    return actions;
  };
  live(agent, 300);
  agent.save(folder / "memory");
  const std::vector<float> went_on = live(agent, 50);
  InContextAgent resumed{loaded};
  resumed.restore(folder / "memory");
  CHECK(live(resumed, 50) == went_on);
}
