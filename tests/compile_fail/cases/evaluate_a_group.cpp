// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// says: the members of a group, such as A2C, learn together: record them by collect and average their returns
#include <icrl/eval/each_run.hpp>
#include <icrl/learner/a2c.hpp>

#include "sound.hpp"

int main() {
  const auto make_learner = [](int, const SoundEnvironment& env, icrl::Rng& rng) {
    return icrl::A2C{{}, env.observation_space(), env.action_space(), rng};
  };
  icrl::for_each_learner_run(make_learner, SoundFamily{}, std::vector<int>{0}, {.episodes = 1},
                             [](int, int, icrl::HistoryView) {});
}
