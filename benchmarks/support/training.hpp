// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/window_sampler.hpp>
#include <icrl/learner/random_learner.hpp>
#include <icrl/learner/run.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/shape.hpp"

namespace icrl::bench {

/// One history of random behavior for each room, of so many episodes.
inline std::vector<LearningHistory> record_histories(int episodes) {
  const DarkRooms rooms;
  std::vector<LearningHistory> histories;
  for (int task = 0; task < rooms.task_count(); ++task) {
    const DarkRoom room = rooms.make(task);
    RandomPolicy policy{room.action_space()};
    Rng rng{0, static_cast<std::uint64_t>(task)};
    histories.push_back(run(policy, room, episodes, rng));
  }
  return histories;
}

/// Episodes of 20 steps that are three windows long together, or more.
inline int episodes_for(int context) { return 3 * context / 20 + 1; }

inline std::vector<HistoryView> views_of(const std::vector<LearningHistory>& histories) {
  std::vector<HistoryView> views;
  for (const LearningHistory& history : histories) views.push_back(history.view());
  return views;
}

using Model = CausalTransformer<float>;

inline Model fresh_model(const Shape& shape, const StepLayout& layout) {
  Model model{shape.config(), layout};
  Rng rng{0};
  model.initialize(rng);
  return model;
}

/// A model in training on the windows of histories, which have to outlive it.
struct Training {
  WindowSampler sampler;
  Model model;
  DistilTrainer<Model> trainer;

  Training(const Shape& shape, const std::vector<HistoryView>& views, int batch, int threads,
           Products products = Products::automatic)
      : sampler{views,
                {views.at(0).info().observation_space, views.at(0).info().action_space},
                {.context = shape.context}},
        model{fresh_model(shape, sampler.layout())},
        trainer{model, sampler,
                DistilConfig{.updates = 1 << 30, .batch = batch, .products = products, .thread_count = threads}} {}
};

}  // namespace icrl::bench
