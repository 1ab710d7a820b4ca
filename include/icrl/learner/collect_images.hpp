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

/// Histories, each followed by its images, and what became of these.
struct CollectedImages {
  std::vector<LearningHistory> histories;
  ImageCounts images;
};

/// As collect(), with the images of each history under the symmetries of the family behind it. Images of tasks that
/// are not among `tasks` are dropped: a model never sees a held-out task by a mirror.
template <HasSymmetries F, typename MakeLearner>
[[nodiscard]] CollectedImages collect_with_images(const F& family, std::span<const int> tasks, MakeLearner make_learner,
                                                  const CollectConfig& config, Progress progress = no_progress) {
  CollectedImages collected;
  SymmetricImages images{family, tasks};
  const auto take = [&](LearningHistory&& history) {
    collected.histories.push_back(std::move(history));
    const HistoryView view = collected.histories.back().view();
    std::vector<LearningHistory> mapped;  // the view would not outlive what is appended beside it
    images.make(view, [&](LearningHistory&& image) { mapped.push_back(std::move(image)); });
    for (LearningHistory& image : mapped) collected.histories.push_back(std::move(image));
  };
  detail::collect_each(family, tasks, make_learner, config, take, progress);
  collected.images = images.counts();
  return collected;
}

/// As collect_to(), likewise. Returns what became of the images.
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
