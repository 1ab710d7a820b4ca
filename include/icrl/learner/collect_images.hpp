// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <utility>
#include <vector>

#include <icrl/history/history_file.hpp>
#include <icrl/history/symmetric_image.hpp>
#include <icrl/learner/collect.hpp>

namespace icrl {

/// The result of collect_with_images.
struct CollectedHistories {
  std::vector<LearningHistory> histories;  ///< recorded histories, each followed by its images
  ImageCounts image_counts;                ///< how many images were kept and dropped
};

/// Like collect(), and adds after each history its images under the symmetries of the family. Drops images of tasks
/// that are not among `tasks`, so that a model does not see a held-out task through a symmetry.
template <HasSymmetries F, typename MakeLearner>
[[nodiscard]] CollectedHistories collect_with_images(const F& family, std::span<const int> tasks,
                                                     MakeLearner make_learner, const CollectConfig& config,
                                                     Progress progress = no_progress) {
  CollectedHistories collected;
  SymmetricImages images{family, tasks};
  const auto take = [&](LearningHistory&& history) {
    collected.histories.push_back(std::move(history));
    images.make(collected.histories.back().view(),
                [&](LearningHistory&& image) { collected.histories.push_back(std::move(image)); });
  };
  detail::collect_each(family, tasks, make_learner, config, take, progress);
  collected.image_counts = images.counts();
  return collected;
}

/// The same for collect_to(). Returns how many images were kept and dropped.
template <HasSymmetries F, typename MakeLearner>
ImageCounts collect_with_images_to(HistoryWriter& writer, const F& family, std::span<const int> tasks,
                                   MakeLearner make_learner, const CollectConfig& config,
                                   Progress progress = no_progress) {
  SymmetricImages images{family, tasks};
  const auto take = [&](LearningHistory&& history) {
    writer.append(history.view());
    images.make(history.view(), [&](LearningHistory&& image) { writer.append(image.view()); });
  };
  detail::collect_each(family, tasks, make_learner, config, take, progress);
  writer.sync();
  return images.counts();
}

}  // namespace icrl
