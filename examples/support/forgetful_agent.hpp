// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/learner/learner.hpp>

namespace example {

/// A control: an agent whose memory is emptied after every episode. What it earns later it does not owe to its memory.
/// The model must outlive it.
template <icrl::Streaming M>
class ForgetfulAgent {
public:
  ForgetfulAgent(const M& model, const icrl::Decoding& decoding) : agent_{model, decoding} {}

  void act(std::span<const float> observation, std::span<float> action, icrl::Rng& rng) {
    agent_.act(observation, action, rng);
  }
  void learn(const icrl::Transition& transition) {
    agent_.learn(transition);
    if (transition.ends_episode()) agent_.reset();
  }

private:
  icrl::InContextAgent<M> agent_;
};

}  // namespace example
