// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/history/history_recorder.hpp>
#include <icrl/model/causal_transformer.hpp>

namespace icrl::test {

/// Ids in and out, as in a grid world.
inline StepLayout id_layout(bool closing_token = false) {
  return {.observation_space = MultiDiscrete{{4, 5}}, .action_space = Discrete{3}, .closing_token = closing_token};
}
/// Numbers in and out, as on a plane.
inline StepLayout box_layout(bool closing_token = false) {
  return {.observation_space = Box{{-1, -1}, {1, 1}},
          .action_space = Box{{-2, -2}, {2, 2}},
          .closing_token = closing_token};
}

/// Small, but with everything in it: heads, layers, any scheme.
inline TransformerConfig small_config(int context) {
  return {.width = 16, .layer_count = 2, .head_count = 2, .context = context};
}

/// A model with weights large enough that every part of a step matters.
template <typename S = float>
CausalTransformer<S> small_model(const TransformerConfig& config, const StepLayout& layout, std::uint64_t seed = 1) {
  CausalTransformer<S> model{config, layout};
  Rng rng{seed};
  for_each_parameter(
      [&](std::string_view, auto& tensor) {
        for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] += static_cast<S>(0.3 * rng.normal());
      },
      model);
  return model;
}

/// One step of a made-up life.
struct FakeStep {
  std::vector<float> observation, action, next_observation;
  float reward = 0;
  bool is_last = false;  ///< of its episode
};

/// A made-up life of `steps` steps or a few more in episodes of 1 .. longest_episode steps; nothing in it makes sense.
inline std::vector<FakeStep> fake_life(const StepLayout& layout, int steps, int longest_episode, std::uint64_t seed) {
  Rng rng{seed};
  const auto draw = [&](const Space& space) {
    std::vector<float> value(static_cast<std::size_t>(value_count(space)));
    sample(space, rng, value);
    return value;
  };
  std::vector<FakeStep> life;
  while (static_cast<int>(life.size()) < steps) {
    std::vector<float> observation = draw(layout.observation_space);
    for (int left = 1 + rng.below(longest_episode); left > 0; --left) {
      FakeStep step{.observation = observation,
                    .action = draw(layout.action_space),
                    .next_observation = draw(layout.observation_space),
                    .reward = static_cast<float>(rng.below(3)) - 0.5f,
                    .is_last = left == 1};
      observation = step.next_observation;
      life.push_back(std::move(step));
    }
  }
  return life;
}

/// Histories of made-up lives of `episodes` episodes.
inline std::vector<LearningHistory> fake_histories(const StepLayout& layout, int count, int episodes,
                                                   int longest_episode) {
  std::vector<LearningHistory> histories;
  for (int i = 0; i < count; ++i) {
    histories.emplace_back(
        HistoryInfo{.observation_space = layout.observation_space, .action_space = layout.action_space});
    HistoryRecorder recorder{histories.back()};
    const auto life = fake_life(layout, episodes * longest_episode, longest_episode, static_cast<std::uint64_t>(i));
    for (const FakeStep& step : life) {
      if (histories.back().episode_count() == episodes) break;
      if (!recorder.is_open()) recorder.begin_episode(step.observation);
      recorder.step(step.action, step.reward, step.next_observation, false, step.is_last);
    }
  }
  return histories;
}

inline std::vector<HistoryView> views(const std::vector<LearningHistory>& histories) {
  std::vector<HistoryView> all;
  for (const LearningHistory& history : histories) all.push_back(history.view());
  return all;
}

/// All weights of a model, one after another.
template <typename M>
std::vector<typename M::Scalar> weights_of(const M& model) {
  std::vector<typename M::Scalar> weights;
  for_each_parameter(
      [&](std::string_view, const auto& tensor) {
        weights.insert(weights.end(), tensor.data(), tensor.data() + tensor.size());
      },
      model);
  return weights;
}

}  // namespace icrl::test
