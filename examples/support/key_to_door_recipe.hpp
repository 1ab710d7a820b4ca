// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include <icrl/env/key_to_door.hpp>
#include <icrl/eval/learning_curves.hpp>
#include <icrl/eval/statistics.hpp>
#include <icrl/history/window_config.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/key_to_door_explorer.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/train/distil_config.hpp>

// How Algorithm Distillation is done in Key-to-Door: a source that searches cell by cell, under noise that is drawn
// once per life, and labels that are what it intended.
namespace example {

/// Permuted actions are learned late and suddenly, and take more of tasks and updates.
struct KeyToDoorRecipe {
  int task_count;  ///< training tasks, with a history each
  int updates;
  int context = 200;  ///< rows: four episodes
  int episodes = 14;  ///< of each history
  double max_noise = 0.3;
  /// Of 0.3, 0.5, 0.7 and 1 the best on validation tasks, of seeds 1 and 2; with permuted actions of 0.5 to 3, of seed
  /// 1: there the agent of a low temperature may repeat a mistake for many episodes.
  double temperature;
  double history_start_fraction = 0.5;
};

/// With `quick` everything happens, and nothing is learned.
[[nodiscard]] inline KeyToDoorRecipe key_to_door_recipe(bool permuted, bool quick) {
  return {.task_count = quick      ? 8
                        : permuted ? 24000
                                   : 1000,
          .updates = quick      ? 4
                     : permuted ? 6000
                                : 1000,
          .temperature = permuted ? 2.0 : 0.5};
}

/// Calls `use(make_learner)` with what makes the source for a room, under noise of 0 .. `max_noise`, drawn once per
/// life.
template <typename Use>
auto with_key_to_door_source(bool permuted, double max_noise, Use&& use) {
  const icrl::NoisyLearnerConfig noise{.max_noise = max_noise};
  if (permuted) {
    return use([noise](int, const icrl::KeyToDoor& room, icrl::Rng& rng) {
      return icrl::NoisyLearner{icrl::PermutedKeyToDoorExplorer{room.options().side}, room.action_space(), noise, rng};
    });
  }
  return use([noise](int, const icrl::KeyToDoor& room, icrl::Rng& rng) {
    return icrl::NoisyLearner{icrl::KeyToDoorExplorer{icrl::GridMoves{room.options().side}}, room.action_space(), noise,
                              rng};
  });
}

[[nodiscard]] inline icrl::CollectConfig key_to_door_collection(const KeyToDoorRecipe& recipe, std::uint64_t seed,
                                                                int threads) {
  return {.histories_per_task = 1,
          .episodes = recipe.episodes,
          .seed = seed,
          .thread_count = threads,
          .algorithm = "key-to-door explorer",
          .with_expert_action = true};
}

[[nodiscard]] inline icrl::WindowConfig key_to_door_windows(const KeyToDoorRecipe& recipe) {
  return {
      .context = recipe.context, .history_start_fraction = recipe.history_start_fraction, .use_expert_action = true};
}

[[nodiscard]] inline icrl::DistilConfig key_to_door_training(const KeyToDoorRecipe& recipe, bool quick,
                                                             std::uint64_t seed, int threads) {
  return {.updates = recipe.updates,
          .batch = quick ? 8 : 32,
          .warmup = std::min(200, recipe.updates / 2),
          .weight_decay = 0.3,
          .ema_decay = quick ? 0 : 0.99,
          .thread_count = threads,
          .seed = seed};
}

/// Mean over the episodes of the return as a share of the highest one, 2.
[[nodiscard]] inline double key_to_door_nauc(const icrl::LearningCurves& curves) {
  return icrl::mean(curves.mean_by_episode()) / 2;
}

}  // namespace example
