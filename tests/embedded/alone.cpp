// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// An agent of a written header, -DPOLICY='"FILE"', and nothing else: what it needs of a library, and its size.
#include POLICY

namespace {
policy::Agent agent;
}  // namespace

bool take_step(const policy::Observation& observation, policy::Action& action, float reward, bool ends_episode,
               const policy::Observation& next_observation, policy::Rng& rng) {
  using policy::Status;
  return agent.act(observation, action, rng) == Status::ok &&
         agent.learn(action, reward, ends_episode, &next_observation) == Status::ok;
}

void forget() { agent.reset(); }
