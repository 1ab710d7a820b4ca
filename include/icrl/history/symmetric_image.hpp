// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <ranges>
#include <span>
#include <unordered_set>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/symmetry.hpp>
#include <icrl/history/history_recorder.hpp>
#include <icrl/history/history_view.hpp>
#include <icrl/history/learning_history.hpp>
#include <icrl/history/step_layout.hpp>

namespace icrl {

namespace detail {

/// The image of one history, with the memory that mapping its steps takes.
template <Symmetry S>
class ImageOfHistory {
public:
  ImageOfHistory(const HistoryView& history, const S& symmetry)
      : history_{history},
        info_{history.info()},
        symmetry_{symmetry},
        from_observation_(static_cast<std::size_t>(value_count(info_.observation_space))),
        observation_{from_observation_},
        from_action_(static_cast<std::size_t>(value_count(info_.action_space))),
        action_{from_action_},
        expert_action_{from_action_} {
    if (!info_.extra_features.empty()) {
      fail("symmetric image: the history has extra features ({}), which a symmetry cannot map (add them to the image)",
           to_string(info_.extra_features));
    }
    if (info_.has_action_mask) map_action_ids();
  }

  [[nodiscard]] LearningHistory made() {
    constexpr int least = std::numeric_limits<int>::min(), most = std::numeric_limits<int>::max();
    if (info_.task < least || info_.task > most)
      fail("symmetric image: the history's task is {}, which is out of the range of an int", info_.task);
    HistoryInfo info = info_;
    info.task = symmetry_.map_task(static_cast<int>(info.task));
    LearningHistory image{info};
    HistoryRecorder recorder{image};
    for (int e = 0; e < history_.episode_count(); ++e) {
      const EpisodeView episode = history_.episode(e);
      map_observation(episode, 0);
      recorder.begin_episode(observation_);
      for (int t = 0; t < episode.length(); ++t) {
        episode.action(t, from_action_);
        symmetry_.map_action(from_action_, action_);
        map_observation(episode, t + 1);
        const bool is_last = t + 1 == episode.length();
        recorder.step(action_, episode.reward(t), observation_, is_last && episode.terminated(),
                      is_last && episode.truncated(), mapped_extras(episode, t));
      }
    }
    return image;
  }

private:
  void map_action_ids() {
    masked_.resize(static_cast<std::size_t>(std::get<Discrete>(info_.action_space).count));
    for (std::size_t a = 0; a < masked_.size(); ++a) {
      from_action_[0] = static_cast<float>(a);
      symmetry_.map_action(from_action_, action_);
      if (!contains(info_.action_space, action_)) {
        fail("symmetric image: action {} is mapped to {}, which is not in {}", a, action_[0],
             to_string(info_.action_space));
      }
      image_of_action_.push_back(static_cast<std::size_t>(action_[0]));
    }
  }

  void map_observation(const EpisodeView& episode, int t) {
    episode.observation(t, from_observation_);
    symmetry_.map_observation(from_observation_, observation_);
  }

  [[nodiscard]] StepExtras mapped_extras(const EpisodeView& episode, int t) {
    StepExtras extras;
    if (info_.has_behavior_probability) extras.behavior_probability = episode.behavior_probability(t);
    if (info_.has_expert_action) {
      episode.expert_action(t, from_action_);
      symmetry_.map_action(from_action_, expert_action_);
      extras.expert_action = expert_action_;
    }
    if (info_.has_action_mask) {
      const auto allowed = episode.action_mask(t);
      for (std::size_t a = 0; a < masked_.size(); ++a) masked_[image_of_action_[a]] = allowed[a];
      extras.action_mask = masked_;
    }
    return extras;
  }

  const HistoryView& history_;
  const HistoryInfo& info_;
  const S& symmetry_;
  std::vector<float> from_observation_, observation_, from_action_, action_, expert_action_;
  std::vector<std::uint8_t> masked_;          // the mask of the image
  std::vector<std::size_t> image_of_action_;  // by id
};

}  // namespace detail

/// The same history on the image of its task: observations, actions and expert actions mapped, masks with their
/// actions, rewards, endings and the probabilities of actions unchanged. Throws Error if a mapped value leaves its
/// space, and for a task that is out of the range of an int. The spaces must be those that the symmetry maps.
template <Symmetry S>
[[nodiscard]] LearningHistory symmetric_image(const HistoryView& history, const S& symmetry) {
  return detail::ImageOfHistory<S>{history, symmetry}.made();
}

/// How many images of some histories were kept and dropped, without those of the identity.
struct ImageCounts {
  std::size_t kept = 0;     ///< because their task is a training task
  std::size_t dropped = 0;  ///< because their task is not a training task
};

/// Makes the images of histories and drops every image whose task is not a training task: it may be a held-out one. An
/// image of the history's own task is kept: it is another history of that task.
template <HasSymmetries F>
class SymmetricImages {
public:
  /// Throws Error if one of `training_tasks` is not a task of the family.
  SymmetricImages(const F& family, std::span<const int> training_tasks)
      : symmetries_{family.symmetries()},
        task_count_{family.task_count()},
        training_tasks_(training_tasks.begin(), training_tasks.end()) {
    check_tasks(family, training_tasks, "symmetric images");
    if (task_count_ < 1) return;
    const auto env = family.make(0);
    spaces_ = {env.observation_space(), env.action_space()};
  }

  /// Calls `take(LearningHistory&&)` with each image whose task is a training task, in the order of the symmetries.
  /// Throws Error if the history's task is not one of the family, or if its spaces differ from those of the tasks.
  template <typename Take>
  void make(const HistoryView& history, Take&& take) {
    if (history.info().task < 0 || history.info().task >= task_count_)
      fail("symmetric images: task {} is not one of the family's {} tasks", history.info().task, task_count_);
    const StepLayout spaces{history.info().observation_space, history.info().action_space};
    if (spaces != spaces_)
      fail("symmetric images: the spaces of the family and the history differ: {}", difference(spaces_, spaces));
    for (std::size_t i = 1; i < static_cast<std::size_t>(std::ranges::size(symmetries_)); ++i) {
      const auto& symmetry = detail::nth(symmetries_, i);
      const int task = symmetry.map_task(static_cast<int>(history.info().task));
      const bool is_kept = training_tasks_.contains(task);
      ++(is_kept ? counts_.kept : counts_.dropped);
      if (is_kept) take(symmetric_image(history, symmetry));
    }
  }

  /// Of all calls so far.
  [[nodiscard]] const ImageCounts& counts() const { return counts_; }

private:
  detail::SymmetriesOf<F> symmetries_;
  int task_count_;
  StepLayout spaces_{};  // of the family's environments
  std::unordered_set<int> training_tasks_;
  ImageCounts counts_;
};

}  // namespace icrl
