// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <icrl/core/checked_file.hpp>
#include <icrl/core/text_difference.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/train/distil_metrics.hpp>
#include <icrl/train/gradient_pruner.hpp>
#include <icrl/train/weight_masks.hpp>

namespace icrl {

/// The state of a run between two updates. Windows are functions of the seed and the update, so no generator is part of
/// it.
template <Trainable M>
struct Checkpoint {
  DistilProgress progress;         ///< up to the checkpoint
  M model, mean, variance;         ///< weights and AdamW's moments
  std::optional<M> average, best;  ///< the moving average of the weights, and those of the best score, if there are any
  WeightMasks masks;               ///< of a run that prunes
  WeightScores scores;             ///< of a pruner that keeps some
};

namespace detail {

inline constexpr CheckedFileKind checkpoint_kind{.magic = "icrlckpt", .name = "checkpoint", .version = 1};

template <Parameterized M>
void write_weights(ByteWriter& out, const M& model) {
  for (const auto& p : parameters_of(model)) out.values(p.numbers());
}

/// Throws Error for NaN and for a number outside `least` .. `most`, because training could not continue from it.
template <Trainable M>
void read_weights(ByteReader& in, std::string_view role, typename M::Scalar least, typename M::Scalar most, M& model) {
  for (const auto& p : parameters_of(model)) {
    const auto numbers = p.numbers();
    in.values(numbers);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (!(numbers[i] >= least && numbers[i] <= most))
        fail("{}: {}: number {} of {} is {}, it must be {} for training to continue", in.what(), role, i, p.name,
             numbers[i], least < 0 ? "finite" : "0 or more");
    }
  }
}

}  // namespace detail

/// Payload of the CheckedFile:
///   1. texts: description of the model, description of the configuration and of the windows
///   2. i32 update, i64 tokens, f64 seconds, f64 loss, i32 best update, f64 best score
///   3. u8 has an average, u8 has a best
///   4. all weights, in the order of parameters_of, of the model, mean, variance, average and best; mean and variance
///      have none for frozen weights
///   5. of a run that prunes, its masks: i32 count, then of each the tensor's name and one byte per weight, 1 = kept
///   6. of a pruner that keeps scores: i32 count, then of each tensor its name and one f64 per weight
/// `average`, `best`, `masks` and `scores` may be null.
template <Trainable M>
void write_checkpoint(const std::filesystem::path& path, std::string_view config, const DistilProgress& progress,
                      const M& model, const M& mean, const M& variance, const M* average, const M* best,
                      const WeightMasks* masks = nullptr, const WeightScores* scores = nullptr) {
  ByteWriter out;
  out.text(describe(model));
  out.text(config);
  out.value(progress.update);
  out.value(progress.tokens);
  out.value(progress.seconds);
  out.value(progress.loss);
  out.value(progress.best_update);
  out.value(progress.best_score);
  out.value(std::uint8_t{average != nullptr});
  out.value(std::uint8_t{best != nullptr});
  for (const M* weights : {&model, &mean, &variance, average, best})
    if (weights != nullptr) detail::write_weights(out, *weights);
  if (masks != nullptr) detail::write_masks(out, *masks);
  if (scores != nullptr) detail::write_scores(out, *scores);
  write_checked_file(path, detail::checkpoint_kind, out.bytes());
}

/// Throws Error unless the file is whole, was written for such a model and this configuration, and holds numbers from
/// which a run can continue. `prunes`: whether it must hold masks; `keeps_scores`: whether scores follow them.
template <Trainable M>
[[nodiscard]] Checkpoint<M> read_checkpoint(const std::filesystem::path& path, std::string_view config, const M& like,
                                            bool prunes = false, bool keeps_scores = false) {
  const CheckedFile file{path, detail::checkpoint_kind};
  ByteReader in = file.reader();
  if (const auto theirs = in.text(), ours = describe(like); theirs != ours) {
    const TextDifference found = text_difference(theirs, ours);
    fail("{}: belongs to another model ({}); this one is ({})", in.what(), found.one, found.other);
  }
  if (const auto theirs = in.text(); theirs != config) {
    const TextDifference found = text_difference(theirs, config);
    fail("{}: is of another run ({}); this one is ({}); remove it to start afresh, or name another file", in.what(),
         found.one, found.other);
  }
  Checkpoint<M> found{{}, like, like, like, {}, {}, {}, {}};
  release_frozen(found.mean);
  release_frozen(found.variance);
  found.progress.update = in.value_in("update", 0, 1 << 30);
  using Real = std::numeric_limits<double>;
  using Weight = std::numeric_limits<typename M::Scalar>;
  found.progress.tokens = in.value_in("tokens", std::int64_t{0}, std::int64_t{1} << 62);
  found.progress.seconds = in.value_in("seconds", 0.0, Real::max());
  found.progress.loss = in.value_in("loss", Real::lowest(), Real::max());
  found.progress.best_update = in.value_in("best update", 0, found.progress.update);
  found.progress.best_score = in.value_in("best score", -Real::infinity(), Real::infinity());  // no NaN
  if (in.value_in<std::uint8_t>("has an average", 0, 1) != 0) found.average.emplace(like);
  if (in.value_in<std::uint8_t>("has a best", 0, 1) != 0) found.best.emplace(like);
  const auto read = [&](const char* role, M& weights) {
    detail::read_weights(in, role, Weight::lowest(), Weight::max(), weights);
  };
  read("weights", found.model);
  read("mean of gradients", found.mean);
  // The square of a large gradient overflows.
  detail::read_weights(in, "variance of gradients", typename M::Scalar(0), Weight::infinity(), found.variance);
  if (found.average) read("averaged weights", *found.average);
  if (found.best) read("best weights", *found.best);
  if (prunes) found.masks = detail::read_masks(in, like);
  if (keeps_scores) found.scores = detail::read_scores(in, like);
  in.check_end();
  return found;
}

}  // namespace icrl
