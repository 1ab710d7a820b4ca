// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <icrl/compress/movement_scores.hpp>
#include <icrl/compress/pruning.hpp>
#include <icrl/core/checksum.hpp>

namespace icrl {

/// A sparsity that rises quickly at first and slowly at the end (Zhu and Gupta, 2017, equation 1):
///   s(t) = s_f + (s_i - s_f) (1 - (t - begin) / (end - begin))^3
struct PruningSchedule {
  double initial_sparsity = 0;  ///< s_i, at update `begin`
  double final_sparsity = 0.5;  ///< s_f, from update `end` on
  int begin = 0, end = 100;     ///< updates, counted from 0
  int every = 10;               ///< updates from one step to the next

  /// Whether more is pruned right before update `update`.
  [[nodiscard]] bool is_due(int update) const {
    return update >= begin && update <= end && ((update - begin) % every == 0 || update == end);
  }
  /// s(update): initial_sparsity up to `begin`, final_sparsity from `end` on.
  [[nodiscard]] double sparsity(int update) const {
    if (update >= end) return final_sparsity;
    const double left = 1 - static_cast<double>(std::max(update - begin, 0)) / (end - begin);
    return final_sparsity + (initial_sparsity - final_sparsity) * left * left * left;
  }
};

inline void validate(const PruningSchedule& s) {
  if (!(s.initial_sparsity >= 0 && s.initial_sparsity <= s.final_sparsity && s.final_sparsity <= 1)) {
    fail("pruning: the sparsity goes from {} to {}, give 0 <= initial_sparsity <= final_sparsity <= 1",
         s.initial_sparsity, s.final_sparsity);
  }
  if (s.begin < 0 || s.end < s.begin)
    fail("pruning: begin is {} and end is {}, they must satisfy 0 <= begin <= end", s.begin, s.end);
  if (s.every < 1) fail("pruning: every is {}, it must be positive", s.every);
}

/// Prunes a model gradually while it is trained. It is a GradientPruner, for the last argument of `distil`. Pruned
/// weights stay pruned. `config`'s own sparsity is not used. The input norms that Wanda needs are measured once, before
/// training begins. Movement is summed over all updates up to `schedule.end`, that of the update that prunes included.
struct GradualPruning {
  PruneConfig config{};        ///< criterion, scope, blocks and tensors
  PruningSchedule schedule{};  ///< how much is pruned when
  InputNorms norms{};          ///< for Wanda; see input_norms

  template <Parameterized M>
  [[nodiscard]] std::optional<WeightMasks> next_masks(int update, const M& model, const WeightMasks& masks) const {
    if (moves() || !schedule.is_due(update)) return {};
    return masks_at(update, model, masks, {});
  }
  /// Whether it scores weights by movement and still prunes.
  [[nodiscard]] bool reads_gradient(int update) const { return moves() && update <= schedule.end; }
  /// Adds the update to the scores of movement. The masks from this update on, or nothing if they do not change.
  template <Parameterized M, std::floating_point S>
  [[nodiscard]] std::optional<WeightMasks> on_gradient(int update, const M& model, const WeightMasks& masks,
                                                       const LossGradient<S>& gradient, WeightScores& scores) const {
    if (scores.empty()) scores = zero_movement(model, config);
    add_movement(gradient, scores);
    if (!schedule.is_due(update)) return {};
    return masks_at(update, model, masks, scores);
  }
  /// Whether it scores weights by movement.
  [[nodiscard]] bool keeps_scores() const { return moves(); }
  [[nodiscard]] std::string describe() const {
    std::uint32_t checksum = 0;
    for (const auto& [map, numbers] : norms) {
      checksum = crc32c(std::as_bytes(std::span{map}), checksum);
      checksum = crc32c(std::as_bytes(std::span{numbers}), checksum);
    }
    PruneConfig last = config;
    last.sparsity = schedule.final_sparsity;
    return fmt::format("pruned gradually from {} in updates {} to {} every {}, {}, input norms {:08x}",
                       schedule.initial_sparsity, schedule.begin, schedule.end, schedule.every, icrl::describe(last),
                       checksum);
  }
  /// Throws Error for invalid values, and if training would end before the schedule does.
  void validate(int updates) const {
    icrl::validate(config);
    icrl::validate(schedule);
    if (schedule.end >= updates) {
      fail(
          "pruning: the schedule ends before update {}, but the run has only updates 0 .. {} (train longer, or end it "
          "earlier)",
          schedule.end, updates - 1);
    }
  }

private:
  [[nodiscard]] bool moves() const { return config.criterion == PruneCriterion::movement; }
  template <Parameterized M>
  [[nodiscard]] WeightMasks masks_at(int update, const M& model, const WeightMasks& masks,
                                     const WeightScores& movement) const {
    PruneConfig now = config;
    now.sparsity = schedule.sparsity(update);
    return pruning_masks(model, now, norms, masks, movement);
  }
};

}  // namespace icrl
