// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/history/step_stream.hpp>

#include "support/recomputation.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"

namespace icrl::test {

/// What an agent is told of a made-up step.
inline Transition transition_of(const FakeStep& step) {
  return {.observation = step.observation,
          .action = step.action,
          .reward = step.reward,
          .next_observation = step.next_observation,
          .truncated = step.is_last};
}

/// Follows one agent through its life, remembers all of it, and knows what the model says to any window of it.
template <typename M>
class Onlooker {
public:
  explicit Onlooker(const M& model)
      : recomputation_{model}, rows_{model.layout}, row_(static_cast<std::size_t>(model.layout.feature_count())) {}

  void observe(std::span<const float> observation) {
    rows_.observe(observation, row_);
    recomputation_.add(row_);
  }
  void learn(const FakeStep& step) {
    rows_.record(step.action, step.reward, step.is_last);
    if (!step.is_last || !rows_.layout().closing_token) return;
    rows_.close(step.next_observation, row_);
    recomputation_.add(row_);
  }

  /// How far `outputs` are from what the model says to the last `steps` rows.
  double difference_to(std::span<const typename M::Scalar> outputs, int steps) {
    return difference<typename M::Scalar>(recomputation_.last_outputs(steps), outputs);
  }

private:
  Recomputation<M> recomputation_;
  StepStream rows_;
  std::vector<float> row_;
};

/// Every way in which a small model can look at its steps.
inline std::vector<TransformerConfig> acting_schemes(int context) {
  std::vector<TransformerConfig> configs;
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate})
    for (const PositionScheme positions : {PositionScheme::learned, PositionScheme::rotary})
      for (const WindowStart start : {WindowStart::episode, WindowStart::anywhere}) {
        TransformerConfig config = small_config(context);
        config.tokens = tokens;
        config.positions = positions;
        config.window_start = start;
        configs.push_back(config);
      }
  return configs;
}

/// All that agents remember, as bytes.
template <typename Agents>
std::vector<char> memory_of(const Agents& agents) {
  static const TemporaryFolder folder;
  agents.save(folder / "memory");
  return read_bytes(folder / "memory");
}

template <typename S>
std::vector<S> copied(std::span<const S> numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace icrl::test
