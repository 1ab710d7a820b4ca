// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <icrl/core/checked_file.hpp>
#include <icrl/core/text_difference.hpp>
#include <icrl/model/fingerprint.hpp>

namespace icrl {

/// How far a run has come.
struct DistilProgress {
  int update = 0;           ///< updates done
  std::int64_t tokens = 0;  ///< environment steps trained on
  double seconds = 0;       ///< of training, evaluation excluded
  double loss = 0;          ///< of the last update
  int best_update = 0;      ///< after how many updates the best score came; 0 = nothing was scored yet
  double best_score = 0;
};

/// The state of a run between two updates. Windows are functions of the seed and the update, so no generator is part of
/// it.
template <Trainable M>
struct Checkpoint {
  DistilProgress progress;
  M model, mean, variance;  ///< weights and AdamW's moments
  std::optional<M> average, best;
};

namespace detail {

inline constexpr CheckedFileKind checkpoint_kind{.magic = "icrlckpt", .name = "checkpoint", .version = 1};

template <Parameterized M>
void write_weights(ByteWriter& out, const M& model) {
  for (const auto& p : parameters_of(model)) out.values(p.numbers());
}

template <Parameterized M>
void read_weights(ByteReader& in, M& model) {
  for (const auto& p : parameters_of(model)) in.values(p.numbers());
}

}  // namespace detail

/// Copies numbers alone, so that whoever points at the weights of `to` still does.
template <Parameterized M>
void copy_weights(const M& from, M& to) {
  const auto sources = parameters_of(from);
  const auto targets = parameters_of(to);
  ICRL_ASSERT(detail::have_one_shape(sources, targets), "copy_weights: the models have different shapes");
  for (std::size_t i = 0; i < targets.size(); ++i)
    std::copy_n(sources[i].data, sources[i].rows * sources[i].columns, targets[i].data);
}

/// Payload of the CheckedFile:
///   1. texts: description of the model, description of the configuration and of the windows
///   2. i32 update, i64 tokens, f64 seconds, f64 loss, i32 best update, f64 best score
///   3. u8 has an average, u8 has a best
///   4. all weights, in the order of parameters_of, of the model, mean, variance, average and best
/// `average` and `best` may be null.
template <Trainable M>
void write_checkpoint(const std::filesystem::path& path, std::string_view config, const DistilProgress& progress,
                      const M& model, const M& mean, const M& variance, const M* average, const M* best) {
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
  write_checked_file(path, detail::checkpoint_kind, out.bytes());
}

/// Throws Error unless the file is whole and was written for such a model and this configuration.
template <Trainable M>
[[nodiscard]] Checkpoint<M> read_checkpoint(const std::filesystem::path& path, std::string_view config, const M& like) {
  const CheckedFile file{path, detail::checkpoint_kind};
  ByteReader in = file.reader();
  if (const auto theirs = in.text(), ours = describe(like); theirs != ours) {
    const TextDifference found = difference(theirs, ours);
    fail("{}: is of another model ({}); this one is ({})", in.what(), found.one, found.other);
  }
  if (const auto theirs = in.text(); theirs != config) {
    const TextDifference found = difference(theirs, config);
    fail("{}: is of another run ({}); this one is ({}); remove it to start afresh, or name another file", in.what(),
         found.one, found.other);
  }
  Checkpoint<M> found{{}, like, like, like, {}, {}};
  found.progress.update = in.value_in("update", 0, 1 << 30);
  found.progress.tokens = in.value<std::int64_t>();
  found.progress.seconds = in.value<double>();
  found.progress.loss = in.value<double>();
  found.progress.best_update = in.value_in("best update", 0, found.progress.update);
  found.progress.best_score = in.value<double>();
  if (in.value_in<std::uint8_t>("has an average", 0, 1) != 0) found.average.emplace(like);
  if (in.value_in<std::uint8_t>("has a best", 0, 1) != 0) found.best.emplace(like);
  for (M* weights : {&found.model, &found.mean, &found.variance}) detail::read_weights(in, *weights);
  if (found.average) detail::read_weights(in, *found.average);
  if (found.best) detail::read_weights(in, *found.best);
  in.expect_end();
  return found;
}

}  // namespace icrl
