// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/environment.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/space_check.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/learner/learner.hpp>

namespace icrl {

namespace detail {

/// `count` contiguous rows of `width` values.
template <typename T>
struct Rows {
  std::size_t width;
  std::vector<T> values;

  Rows(std::size_t count, std::size_t row_width) : width{row_width}, values(count * row_width) {}
  [[nodiscard]] std::span<T> row(std::size_t r) { return {values.data() + r * width, width}; }
  [[nodiscard]] std::span<T> first(std::size_t rows) { return {values.data(), rows * width}; }
};

/// What a run keeps per member of a group.
struct RunMember {
  HistoryRecorder recorder;
  Rng env_rng;
  int episodes_left;
  int steps = 0;  ///< in the current episode
};

/// `histories` has one empty history per member, `rngs` one generator.
inline std::vector<RunMember> run_members(std::span<LearningHistory> histories, std::span<const Rng> rngs,
                                          int episodes) {
  std::vector<RunMember> members;
  for (std::size_t i = 0; i < histories.size(); ++i)
    members.push_back({HistoryRecorder{histories[i]}, rngs[i].fork(0), episodes});
  return members;
}

inline std::vector<Rng> policy_rngs(std::span<const Rng> rngs) {
  std::vector<Rng> forks;
  for (const Rng& rng : rngs) forks.push_back(rng.fork(1));
  return forks;
}

inline std::size_t mask_size(const HistoryInfo& info) {
  return info.has_action_mask ? static_cast<std::size_t>(std::get<Discrete>(info.action_space).count) : 0;
}

/// The loop over a group. Each row belongs to a member that has episodes left.
template <Environment E, GroupLearner G>
class GroupRun {
public:
  /// `envs` and `rngs` have one element per history, and the histories are empty and have the same spaces.
  GroupRun(G& group, std::vector<E>& envs, std::span<LearningHistory> histories, std::span<const Rng> rngs,
           int episodes)
      : group_{group},
        envs_{envs},
        members_{run_members(histories, rngs, episodes)},
        policy_rngs_{policy_rngs(rngs)},
        info_{histories[0].info()},
        action_check_{info_.action_space},
        observations_(histories.size(), static_cast<std::size_t>(value_count(info_.observation_space))),
        next_observations_{observations_},
        actions_(histories.size(), static_cast<std::size_t>(value_count(info_.action_space))),
        masks_(histories.size(), mask_size(info_)),
        expert_action_(actions_.width) {}

  void run() {
    std::vector<int> active;  // the member of each row
    for (std::size_t row = 0; row < members_.size(); ++row) {
      begin_episode(row, observations_.row(row), masks_.row(row));
      active.push_back(static_cast<int>(row));
    }
    while (!active.empty()) {
      const std::size_t rows = active.size();
      const auto masks = masks_.width > 0 ? masks_.first(rows) : std::span<std::uint8_t>{};
      group_.act({active, observations_.first(rows), masks}, actions_.first(rows), policy_rngs_);
      std::size_t kept = 0;
      for (std::size_t row = 0; row < rows; ++row) {
        const int member = active[row];
        if (step(member, row, kept)) active[kept++] = member;
      }
      active.resize(kept);
      std::swap(observations_, next_observations_);
    }
  }

private:
  static constexpr int most_steps = 10'000'000;  // per episode; a longer one is surely an error

  /// One step of a member, from `row` to `next_row`. Returns false if it has finished all its episodes.
  bool step(int member, std::size_t row, std::size_t next_row) {
    const auto m = static_cast<std::size_t>(member);
    auto& [recorder, env_rng, episodes_left, steps] = members_[m];
    const auto observation = observations_.row(row), action = actions_.row(row),
               next = next_observations_.row(next_row);
    if (!action_check_.contains(action))
      fail("run: learner {} chose action {}", member, describe_outside(action, info_.action_space));
    if (steps++ == most_steps)
      fail("run: an episode has not ended after {} steps (wrap the environment in a TimeLimit)", most_steps);
    const StepExtras extras = extras_of(member, recorder.history().info(), masks_.row(row));
    const StepResult result = icrl::step(envs_[m], std::span<const float>{action}, env_rng);
    envs_[m].observe(next);
    recorder.step_checked(action, result.reward, next, result.terminated, result.truncated, extras);
    Transition transition{observation, action, result.reward, next, result.terminated, result.truncated};
    const auto mask = masks_.row(next_row);
    if (!result.terminated) {
      look_at_mask(m, mask);
      transition.next_allowed = mask;
    }
    group_.learn(member, transition);
    if (!transition.ends_episode()) return true;
    if (--episodes_left == 0) return false;
    begin_episode(m, next, mask);
    return true;
  }

  void begin_episode(std::size_t m, std::span<float> observation, std::span<std::uint8_t> mask) {
    members_[m].steps = 0;
    envs_[m].reset(members_[m].env_rng);
    envs_[m].observe(observation);
    members_[m].recorder.begin_episode(observation);
    look_at_mask(m, mask);
  }

  void look_at_mask(std::size_t m, [[maybe_unused]] std::span<std::uint8_t> mask) {
    if constexpr (HasActionMask<E>) envs_[m].action_mask(mask);
  }

  /// Fills the optional columns that the history has.
  StepExtras extras_of(int member, const HistoryInfo& info, std::span<const std::uint8_t> mask) {
    StepExtras extras{.action_mask = mask, .expert_action = expert_action_};
    if constexpr (requires { group_.expert_action(member, std::span<float>{}); }) {
      if (info.has_expert_action) group_.expert_action(member, expert_action_);
    }
    if constexpr (requires { group_.behavior_probability(member); }) {
      if (info.has_behavior_probability) extras.behavior_probability = group_.behavior_probability(member);
    }
    return extras;
  }

  G& group_;
  std::vector<E>& envs_;
  std::vector<RunMember> members_;
  std::vector<Rng> policy_rngs_;
  const HistoryInfo& info_;  // of the first member, which names everybody's spaces
  SpaceCheck action_check_;
  Rows<float> observations_, next_observations_, actions_;
  Rows<std::uint8_t> masks_;  // width 0 if all actions are allowed
  std::vector<float> expert_action_;
};

/// Throws Error if a history has columns that the group cannot fill.
inline void check_optional_columns(const HistoryInfo& info, bool has_expert_action, bool has_behavior_probability) {
  if (info.has_expert_action && !has_expert_action)
    fail("run: the history records expert actions, but this learner has no expert_action(action)");
  if (info.has_behavior_probability && !has_behavior_probability)
    fail("run: the history records behavior probabilities, but this learner has no behavior_probability()");
  if (!info.extra_features.empty()) {
    fail("run: the history has extra features ({}), which run() does not record (add them with with_extra_feature)",
         to_string(info.extra_features));
  }
}

/// Checks that a group was given one of everything per member.
inline void check_counts(std::size_t members, std::size_t environments, std::size_t rngs, std::size_t infos,
                         int episodes) {
  if (episodes < 0) fail("run: episodes is {}, it must not be negative", episodes);
  if (environments != members || rngs != members || (infos != 0 && infos != members)) {
    fail("run: a group of {} members was given {} environments, {} generators and {} infos", members, environments,
         rngs, infos);
  }
}

/// All members of a group are computed in one batch, so their spaces must be equal.
inline void check_same_spaces(const HistoryInfo& one, const HistoryInfo& other) {
  if (one.observation_space != other.observation_space || one.action_space != other.action_space) {
    fail("run: the environments of a group have different spaces: {}",
         difference(StepLayout{other.observation_space, other.action_space},
                    StepLayout{one.observation_space, one.action_space}));
  }
}

}  // namespace detail

/// Runs each member of a group for `episodes` episodes in its own environment, all in lockstep, and returns their
/// histories in order. Member i uses rngs[i].fork(0) for its environment and rngs[i].fork(1) for its actions, so its
/// history does not depend on the other members, unless the group SharesWeights. The same rngs give the same histories.
/// `infos` is empty or has one entry per member; their spaces are filled in.
///
/// Episodes must end (see TimeLimit; more than ten million steps are an Error). Throws Error if an environment leaves
/// its spaces. If an action is outside its space, throws Error before the environment sees it.
template <Environment E, GroupLearner G>
std::vector<LearningHistory> run_group(G& group, std::vector<E> envs, int episodes, std::span<const Rng> rngs,
                                       std::span<const HistoryInfo> infos = {}) {
  const auto members = static_cast<std::size_t>(group.member_count());
  detail::check_counts(members, envs.size(), rngs.size(), infos.size(), episodes);
  std::vector<LearningHistory> histories;
  histories.reserve(members);
  for (std::size_t i = 0; i < members; ++i) {
    HistoryInfo info = infos.empty() ? HistoryInfo{} : infos[i];
    info.observation_space = envs[i].observation_space();
    info.action_space = envs[i].action_space();
    info.has_action_mask = HasActionMask<E>;
    check_step_takes<E>(info.action_space, "run: the environment");
    detail::check_optional_columns(
        info, requires { group.expert_action(0, std::span<float>{}); }, requires { group.behavior_probability(0); });
    histories.emplace_back(std::move(info));
    detail::check_same_spaces(histories[i].info(), histories[0].info());
  }
  if (members == 0 || episodes == 0) return histories;
  if constexpr (ExpectsSpaces<G>)
    group.check_spaces(histories[0].info().observation_space, histories[0].info().action_space);
  detail::GroupRun{group, envs, histories, rngs, episodes}.run();
  return histories;
}

/// Runs one learner for `episodes` episodes: a group of one.
template <Environment E, Learner L>
LearningHistory run(L& learner, E env, int episodes, const Rng& rng, HistoryInfo info = {}) {
  LearnerGroup<L> group{std::span<L>{&learner, 1}};
  std::vector<E> envs;
  envs.push_back(std::move(env));
  auto histories = run_group(group, std::move(envs), episodes, std::span<const Rng>{&rng, 1},
                             std::span<const HistoryInfo>{&info, 1});
  return std::move(histories.front());
}

}  // namespace icrl
