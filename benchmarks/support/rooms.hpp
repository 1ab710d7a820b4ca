// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <icrl/env/dark_room.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/learner/learner.hpp>

#include "support/measurement.hpp"

namespace icrl::bench {

/// One Dark Room for each agent, whose episodes end all at once and fit evenly into half a context, so that every cycle
/// of the memory does the same work at the same phase.
class Rooms {
public:
  Rooms(int count, int context) {
    for (horizon_ = 20; horizon_ > 1 && context / 2 % horizon_ != 0;) --horizon_;
    const DarkRooms family{{.horizon = horizon_}};
    for (int i = 0; i < count; ++i) {
      rooms_.push_back(family.make(i % family.task_count()));
      members_.push_back(i);
      rngs_.emplace_back(0, static_cast<std::uint64_t>(i));
    }
    observations_.resize(2 * rooms_.size());
    next_.resize(2 * rooms_.size());
    actions_.resize(rooms_.size());
    observe(observations_);
  }

  /// Seconds that `agents` spent on one step of all rooms.
  template <typename Agents>
  double step(Agents& agents) {
    const double start = now_seconds();
    agents.act(GroupObservations{members_, observations_, {}}, actions_, rngs_);
    const double acted = now_seconds();
    const std::vector<float>& rewards = step_rooms();
    const bool ended = ++phase_ == horizon_;
    const double resumed = now_seconds();
    for (std::size_t i = 0; i < rooms_.size(); ++i) {
      agents.learn(members_[i], {.observation = row(observations_, i),
                                 .action = {&actions_[i], 1},
                                 .reward = rewards[i],
                                 .next_observation = row(next_, i),
                                 .terminated = false,
                                 .truncated = ended});
    }
    const double end = now_seconds();
    if (ended) reset_rooms();
    observations_ = next_;
    return acted - start + end - resumed;
  }

  /// How a model for these rooms reads its steps.
  static StepLayout layout() {
    const DarkRoom room = DarkRooms{}.make(0);
    return {room.observation_space(), room.action_space()};
  }

private:
  static std::span<const float> row(const std::vector<float>& values, std::size_t i) { return {&values[2 * i], 2}; }

  void observe(std::vector<float>& out) const {
    for (std::size_t i = 0; i < rooms_.size(); ++i) rooms_[i].observe(std::span<float>{&out[2 * i], 2});
  }
  const std::vector<float>& step_rooms() {
    rewards_.clear();
    for (std::size_t i = 0; i < rooms_.size(); ++i)
      rewards_.push_back(icrl::step(rooms_[i], std::span<const float>{&actions_[i], 1}, rngs_[i]).reward);
    observe(next_);
    return rewards_;
  }
  void reset_rooms() {
    phase_ = 0;
    for (std::size_t i = 0; i < rooms_.size(); ++i) rooms_[i].reset(rngs_[i]);
    observe(next_);
  }

  int horizon_ = 0, phase_ = 0;
  std::vector<DarkRoom> rooms_;
  std::vector<int> members_;
  std::vector<Rng> rngs_;
  std::vector<float> observations_, next_, actions_, rewards_;
};

}  // namespace icrl::bench
