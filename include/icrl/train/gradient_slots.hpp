// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <icrl/core/parallel.hpp>
#include <icrl/nn/parameters.hpp>
#include <icrl/nn/weight_chunks.hpp>
#include <icrl/train/ranks.hpp>

namespace icrl {

/// The gradient of a batch in a fixed number of parts. Each part sums a fixed run of the batch in order and the parts
/// are summed along a fixed tree, so that the sum is bit-identical however threads share the work. Frozen weights have
/// no part in it.
template <Parameterized M>
class GradientSlots {
public:
  using Scalar = typename M::Scalar;

  /// `slot_count` gradients of the shape of `model`, at least one.
  GradientSlots(const M& model, int slot_count) : gradients_(static_cast<std::size_t>(slot_count), model) {
    for (M& gradient : gradients_) chunks_.push_back(weight_chunks<Scalar>(gradient));
    squares_.resize(chunks_.front().size());
  }
  GradientSlots(const GradientSlots&) = delete;
  GradientSlots& operator=(const GradientSlots&) = delete;

  /// Slots of this process.
  [[nodiscard]] int slot_count() const { return static_cast<int>(gradients_.size()); }
  /// Chunks of a gradient; see weight_chunks.
  [[nodiscard]] int chunk_count() const { return static_cast<int>(squares_.size()); }

  /// Slot `slot` with all its numbers set to zero, except those of frozen weights.
  [[nodiscard]] M& cleared(int slot) {
    for (const auto& chunk : chunks_[static_cast<std::size_t>(slot)])
      std::fill(chunk.weights.begin(), chunk.weights.end(), Scalar(0));
    return gradients_[static_cast<std::size_t>(slot)];
  }

  /// From now on, pruned weights are left out of the sum and its norm. One mask per chunk, empty if all its weights are
  /// kept; no masks at all if nothing is pruned. The masks must outlive their use.
  void set_masks(std::vector<std::span<const std::uint8_t>> masks) {
    ICRL_ASSERT(masks.empty() || masks.size() == squares_.size(),
                "gradient slots: masks must be empty or have one mask per chunk");
    masks_ = std::move(masks);
  }

  /// Sums all slots into the first and returns the sum's norm.
  double reduce(WorkerPool& pool) {
    OneRank alone;
    return reduce(pool, alone);
  }
  /// The sum of the slots of all ranks, which every rank gets; a rank's slots are a subtree. With `is_complete`, the
  /// sum and its norm include the gradients of pruned weights, until `leave_out_pruned` removes them.
  template <Ranks R>
  double reduce(WorkerPool& pool, R& ranks, bool is_complete = false) {
    pool.run(chunk_count(), [&](int chunk, int) {
      reduce_chunk(static_cast<std::size_t>(chunk));
      if (ranks.size() == 1) measure(static_cast<std::size_t>(chunk), is_complete);
    });
    if (ranks.size() > 1) {
      for (const Parameter<Scalar>& p : parameters_of(gradients_.front()))
        if (p.is_trained) sum_over_ranks(ranks, p.numbers(), work_);
      for (std::size_t chunk = 0; chunk < squares_.size(); ++chunk) measure(chunk, is_complete);
    }
    return norm();
  }
  /// Leaves pruned weights out of a sum that is complete. Returns the norm of what remains.
  double leave_out_pruned(WorkerPool& pool) {
    pool.run(chunk_count(), [&](int chunk, int) { measure(static_cast<std::size_t>(chunk), /*is_complete*/ false); });
    return norm();
  }

  /// The sum.
  [[nodiscard]] const M& sum() const { return gradients_.front(); }
  /// A chunk of the sum.
  [[nodiscard]] std::span<const Scalar> sum(int chunk) const {
    return chunks_.front()[static_cast<std::size_t>(chunk)].weights;
  }

private:
  void reduce_chunk(std::size_t chunk) {
    for (std::size_t stride = 1; stride < chunks_.size(); stride *= 2) {
      for (std::size_t slot = 0; slot + stride < chunks_.size(); slot += 2 * stride)
        add(chunks_[slot + stride][chunk].weights, chunks_[slot][chunk].weights);
    }
  }
  void measure(std::size_t chunk, bool is_complete) {
    const std::span<Scalar> sum = chunks_.front()[chunk].weights;
    if (!is_complete && !masks_.empty() && !masks_[chunk].empty()) {
      for (std::size_t i = 0; i < sum.size(); ++i)
        if (masks_[chunk][i] == 0) sum[i] = 0;
    }
    squares_[chunk] = detail::sum_of_squares<Scalar>(sum);
  }
  [[nodiscard]] double norm() const {
    double total = 0;
    for (const double square : squares_) total += square;
    return std::sqrt(total);
  }

  static void add(std::span<const Scalar> from, std::span<Scalar> to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  std::vector<M> gradients_;
  std::vector<std::vector<WeightChunk<Scalar>>> chunks_;  // by slot, then by chunk
  std::vector<double> squares_;                           // by chunk
  std::vector<std::span<const std::uint8_t>> masks_;      // by chunk, or none
  std::vector<Scalar> work_;                              // of sums over ranks
};

namespace detail {

/// The totals over the windows of a slot.
struct SlotTotals {
  double loss = 0, label_count = 0;
  std::int64_t tokens = 0;
};

/// The sum over the slots of all ranks, in their order. All ranks have the same number of slots; `mine` are the totals
/// of this rank.
template <Ranks R>
[[nodiscard]] SlotTotals sum_totals(R& ranks, std::span<const SlotTotals> mine) {
  std::vector<SlotTotals> all;
  if (ranks.size() > 1) {
    all.resize(mine.size() * static_cast<std::size_t>(ranks.size()));
    gather_from_ranks(ranks, mine, std::span{all});
    mine = all;
  }
  SlotTotals batch;
  for (const SlotTotals& slot : mine) {
    batch.loss += slot.loss;
    batch.label_count += slot.label_count;
    batch.tokens += slot.tokens;
  }
  return batch;
}

}  // namespace detail

}  // namespace icrl
