// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <numeric>
#include <vector>

#include <icrl/env/bandit.hpp>
#include <icrl/env/task_family.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl::test {

/// The mean regret of fresh learners, one on each of the first `tasks` tasks, told again without icrl's loop and
/// measures.
template <TaskFamily F, typename MakeLearner>
double mean_regret(const F& family, int tasks, int pulls, MakeLearner&& make_learner) {
  double regret = 0;
  for (int task = 0; task < tasks; ++task) {
    auto env = family.make(task);
    auto learner = make_learner(env);
    Rng rng{17, static_cast<std::uint64_t>(task)};
    std::vector<float> observation(static_cast<std::size_t>(value_count(env.observation_space()))), action(1);
    for (int i = 0; i < pulls; ++i) {
      env.reset(rng);
      env.observe(observation);
      learner.act(observation, action, rng);
      const int arm = static_cast<int>(action[0]);
      regret += (best_expected_reward(env, observation) - env.expected_reward(observation, arm)) / tasks;
      const StepResult result = env.step(arm, rng);
      learner.learn({observation, action, result.reward, observation, result.terminated, result.truncated});
    }
  }
  return regret;
}

}  // namespace icrl::test
