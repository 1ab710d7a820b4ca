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

/// The data of the loop over a group: one row per member that has episodes left.
class GroupRows {
protected:
  /// One empty history and one generator per member.
  GroupRows(std::span<LearningHistory> histories, std::span<const Rng> rngs)
      : even_observations_(histories.size(),
                           static_cast<std::size_t>(value_count(histories[0].info().observation_space))),
        odd_observations_{even_observations_},
        actions_(histories.size(), static_cast<std::size_t>(value_count(histories[0].info().action_space))),
        masks_(histories.size(), mask_size(histories[0].info())),
        expert_action_(actions_.width),
        action_check_{histories[0].info().action_space},
        finished_(histories.size()),
        steps_(histories.size()) {
    for (std::size_t i = 0; i < histories.size(); ++i) {
      recorders_.emplace_back(histories[i]);
      env_rngs_.push_back(rngs[i].fork(0));
      policy_rngs_.push_back(rngs[i].fork(1));
      members_.push_back(static_cast<int>(i));
    }
  }

  GroupRows(const GroupRows&) = delete;
  GroupRows& operator=(const GroupRows&) = delete;

  static constexpr int most_steps = 10'000'000;  // per episode; a longer one is surely an error

  [[noreturn, gnu::noinline]] void refuse(std::span<const float> action, int member) const {
    const HistoryInfo& info = recorders_[static_cast<std::size_t>(member)].history().info();
    fail("run: learner {} chose action {}", member, describe_outside(action, info.action_space));
  }
  [[noreturn, gnu::noinline]] static void refuse_endless() {
    fail("run: an episode has not ended after {} steps (wrap the environment in a TimeLimit)", most_steps);
  }

  std::vector<HistoryRecorder> recorders_;
  std::vector<Rng> env_rngs_, policy_rngs_;
  std::vector<int> members_;                          // member of each row
  Rows<float> even_observations_, odd_observations_;  // observations of even and of odd steps
  Rows<float>*observations_ = &even_observations_, *next_observations_ = &odd_observations_;
  Rows<float> actions_;
  Rows<std::uint8_t> masks_;  // width 0 if all actions are allowed
  std::vector<float> expert_action_;
  SpaceCheck action_check_;
  std::vector<int> finished_;  // finished episodes per member
  std::vector<int> steps_;     // steps in the current episode per member

private:
  static std::size_t mask_size(const HistoryInfo& info) {
    return info.has_action_mask ? static_cast<std::size_t>(std::get<Discrete>(info.action_space).count) : 0;
  }
};

/// The loop. Its base class GroupRows does not depend on the environment or the group and is compiled once.
template <Environment E, GroupLearner G>
class GroupRun : private GroupRows {
public:
  /// `histories` has one empty history per environment.
  GroupRun(G& group, std::vector<E>& envs, std::span<LearningHistory> histories, std::span<const Rng> rngs)
      : GroupRows{histories, rngs}, group_{group}, envs_{envs} {
    if constexpr (ExpectsSpaces<G>)
      group.expect_spaces(histories[0].info().observation_space, histories[0].info().action_space);
  }

  void run(int episodes) {
    for (std::size_t r = 0; r < members_.size(); ++r) begin_episode(members_[r], r);
    std::swap(observations_, next_observations_);
    while (!members_.empty()) {
      const std::size_t rows = members_.size();
      const auto masks = masks_.width > 0 ? masks_.first(rows) : std::span<std::uint8_t>{};
      group_.act({members_, observations_->first(rows), masks}, actions_.first(rows), policy_rngs_);
      std::size_t kept = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        const int member = members_[r];
        if (step(r, kept, episodes)) members_[kept++] = member;
      }
      members_.resize(kept);
      std::swap(observations_, next_observations_);
    }
  }

private:
  /// Steps the member of row r, which moves to row `kept`. Returns false if it has finished all its episodes.
  bool step(std::size_t r, std::size_t kept, int episodes) {
    const int member = members_[r];
    const auto m = static_cast<std::size_t>(member);
    const auto observation = observations_->row(r), action = actions_.row(r), next = next_observations_->row(kept);
    if (!action_check_.contains(action)) refuse(action, member);
    const StepExtras extras = extras_of(r, member);
    if (steps_[m]++ == most_steps) refuse_endless();
    const StepResult result = icrl::step(envs_[m], std::span<const float>{action}, env_rngs_[m]);
    envs_[m].observe(next);
    recorders_[m].step_checked(action, result.reward, next, result.terminated, result.truncated, extras);
    Transition transition{observation, action, result.reward, next, result.terminated, result.truncated};
    if (!result.terminated) {
      look_at_mask(m, kept);
      transition.next_allowed = masks_.row(kept);
    }
    group_.learn(member, transition);
    if (!transition.ends_episode()) return true;
    if (++finished_[m] == episodes) return false;
    begin_episode(member, kept);
    return true;
  }

  void begin_episode(int member, std::size_t row) {
    const auto m = static_cast<std::size_t>(member);
    steps_[m] = 0;
    envs_[m].reset(env_rngs_[m]);
    envs_[m].observe(next_observations_->row(row));
    recorders_[m].begin_episode(next_observations_->row(row));
    look_at_mask(m, row);
  }

  void look_at_mask(std::size_t m, std::size_t row) {
    if constexpr (HasActionMask<E>) envs_[m].action_mask(masks_.row(row));
  }

  /// Fills the optional columns that the histories have.
  StepExtras extras_of(std::size_t r, int member) {
    StepExtras extras{.action_mask = masks_.row(r)};
    const HistoryInfo& info = recorders_[static_cast<std::size_t>(member)].history().info();
    if constexpr (requires { group_.expert_action(member, std::span<float>{}); }) {
      if (info.has_expert_action) group_.expert_action(member, expert_action_);
    }
    if constexpr (requires { group_.behavior_probability(member); }) {
      if (info.has_behavior_probability) extras.behavior_probability = group_.behavior_probability(member);
    }
    extras.expert_action = expert_action_;
    return extras;
  }

  G& group_;
  std::vector<E>& envs_;
};

/// Throws Error if a history has columns that the group cannot fill.
inline void expect_columns(const HistoryInfo& info, bool has_expert_action, bool has_behavior_probability) {
  if (info.has_expert_action && !has_expert_action)
    fail("run: the history records expert actions, but this learner has no expert_action(action)");
  if (info.has_behavior_probability && !has_behavior_probability)
    fail("run: the history records behavior probabilities, but this learner has no behavior_probability()");
  if (!info.extra_features.empty()) {
    fail("run: the history has extra features ({}), which a run does not record (add them with with_extra_feature)",
         to_string(info.extra_features));
  }
}

/// Checks that a group was given one of everything per member.
inline void expect_counts(std::size_t members, std::size_t environments, std::size_t rngs, std::size_t infos,
                          int episodes) {
  if (episodes < 0) fail("run: episodes is {}, it must not be negative", episodes);
  if (environments != members || rngs != members || (infos != 0 && infos != members)) {
    fail("run: a group of {} members was given {} environments, {} generators and {} infos", members, environments,
         rngs, infos);
  }
}

/// All members of a group are computed in one batch, so their spaces must be equal.
inline void expect_same_spaces(const HistoryInfo& one, const HistoryInfo& other) {
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
  detail::expect_counts(members, envs.size(), rngs.size(), infos.size(), episodes);
  std::vector<LearningHistory> histories;
  histories.reserve(members);
  for (std::size_t i = 0; i < members; ++i) {
    HistoryInfo info = infos.empty() ? HistoryInfo{} : infos[i];
    info.observation_space = envs[i].observation_space();
    info.action_space = envs[i].action_space();
    info.has_action_mask = HasActionMask<E>;
    expect_step_takes<E>(info.action_space, "run: the environment");
    detail::expect_columns(
        info, requires { group.expert_action(0, std::span<float>{}); }, requires { group.behavior_probability(0); });
    histories.emplace_back(std::move(info));
    detail::expect_same_spaces(histories[i].info(), histories[0].info());
  }
  if (members > 0 && episodes > 0) detail::GroupRun<E, G>{group, envs, histories, rngs}.run(episodes);
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
