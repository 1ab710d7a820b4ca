// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/env/dark_room.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/q_learning.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/train/distil_config.hpp>

// A small job for a transformer, compiled or from the headers: what it gives must be the same bits.
namespace icrl::test {

[[nodiscard]] inline std::vector<LearningHistory> small_histories() {
  const DarkRooms rooms{{.side = 5, .horizon = 10}};
  const std::vector<int> tasks{0, 7, 13};
  const auto make_learner = [](int, const DarkRoom& room) {
    return QLearning{{.episodes = 20}, room.observation_space(), room.action_space()};
  };
  return collect(rooms, tasks, make_learner, {.histories_per_task = 1, .episodes = 20, .seed = 3, .thread_count = 1});
}

[[nodiscard]] inline StepLayout small_layout() {
  const DarkRoom room = DarkRooms{{.side = 5, .horizon = 10}}.make(0);
  return {.observation_space = room.observation_space(), .action_space = room.action_space()};
}

[[nodiscard]] inline TransformerConfig small_config() {
  return {.width = 32, .layer_count = 2, .head_count = 2, .context = 40};
}

[[nodiscard]] inline DistilConfig small_training(Products products) {
  return {.updates = 3,
          .batch = 4,
          .warmup = 2,
          .ema_decay = 0.9,
          .products = products,
          .gradient_slots = 2,
          .thread_count = 1,
          .seed = 5};
}

/// Checksums of a model's weights after `train(model, sampler, config)`, and of its outputs in three streams.
struct SmallRun {
  std::uint32_t weights, outputs;
};

template <typename M, typename Train>
[[nodiscard]] SmallRun run_small_job(M model, Products products, Train&& train) {
  const std::vector<LearningHistory> histories = small_histories();
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  const WindowSampler sampler{views, small_layout(), {.context = 40}};
  Rng rng{9};
  model.initialize(rng);
  train(model, sampler, small_training(products));

  auto states = model.make_states(3);
  typename M::StreamWorkspace workspace;
  Matrix<float> outputs(3, 5);
  const auto feature_count = static_cast<std::size_t>(model.layout.feature_count());
  std::vector<float> features(3 * feature_count), observation(2), action(1);
  std::uint32_t checksum = 0;
  for (int t = 0; t < 40; ++t) {
    std::vector<StreamInput<typename M::State>> lanes;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::span<float> row = std::span{features}.subspan(i * feature_count, feature_count);
      sample(model.layout.observation_space, rng, observation);
      sample(model.layout.action_space, rng, action);
      model.layout.write(row, observation, action, t % 7 == 0 ? 1.0f : 0.0f, t == 0 ? StepFlag::no_previous : 0);
      lanes.push_back({&states[i], row.data(), true});
    }
    model.step(lanes, workspace, outputs);
    checksum = crc32c(std::as_bytes(std::span{outputs.data(), 15}), checksum);
  }
  return {weights_checksum(model), checksum};
}

}  // namespace icrl::test
