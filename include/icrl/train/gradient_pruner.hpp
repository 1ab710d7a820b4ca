// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/nn/parameters.hpp>
#include <icrl/train/weight_masks.hpp>

namespace icrl {

/// Numbers that a pruner keeps from one update to the next, one per weight of a tensor.
struct TensorScores {
  std::string name;             ///< of the tensor, such as "blocks.0.mlp.up.weight"
  std::vector<double> numbers;  ///< (in, out), finite

  friend bool operator==(const TensorScores&, const TensorScores&) = default;
};
/// Scores of some tensors of a model. They are part of a run's checkpoint.
using WeightScores = std::vector<TensorScores>;

/// The scores of a tensor, or null.
[[nodiscard]] inline const TensorScores* find_scores(const WeightScores& scores, std::string_view name) {
  const auto found = std::find_if(scores.begin(), scores.end(), [&](const auto& one) { return one.name == name; });
  return found == scores.end() ? nullptr : &*found;
}

/// A trained tensor, with the gradient of an update.
template <std::floating_point S>
struct TensorGradient {
  std::string name;            ///< such as "blocks.0.mlp.up.weight"
  std::span<const S> weights;  ///< before the update, row by row
  std::span<const S> sum;      ///< of the gradients of all labels of the batch, of pruned weights too
};

/// The gradient of an update, before it is clipped.
template <std::floating_point S>
struct LossGradient {
  std::span<const TensorGradient<S>> tensors;  ///< all that are trained
  double scale;                                ///< makes `sum` the gradient of the mean loss; above 0

  /// A tensor. Throws Error if the model has none of this name, or if it is frozen.
  [[nodiscard]] const TensorGradient<S>& tensor(std::string_view name) const {
    for (const TensorGradient<S>& one : tensors)
      if (one.name == name) return one;
    fail("pruning: the model has no trained tensor \"{}\"", name);
  }
};

/// A Pruner that also decides by gradients. If `reads_gradient(update)`, `on_gradient` is called once the update's
/// gradient is known and before the weights change; that gradient is complete: it has numbers for pruned weights as
/// well. The masks that it returns hold for this very update. Its `scores` are empty at the beginning of a run; it may
/// change them, and whatever it decides may depend on them. A checkpoint has them if the pruner `keeps_scores()`.
template <typename P, typename M>
concept GradientPruner = Pruner<P, M> &&
    requires(const P& pruner, const M& model, const WeightMasks& masks,
             const LossGradient<typename M::Scalar>& gradient, WeightScores& scores) {
  { pruner.reads_gradient(/*update*/ 0) } -> std::same_as<bool>;
  { pruner.on_gradient(/*update*/ 0, model, masks, gradient, scores) } -> std::same_as<std::optional<WeightMasks>>;
  { pruner.keeps_scores() } -> std::same_as<bool>;
};

namespace detail {

/// The pruner of a run, with what it has decided so far. `model` and `gradient`, whose tensors are not resized, must
/// outlive it.
template <typename M, Pruner<M> P>
class PruningRun {
public:
  static constexpr bool prunes = !std::same_as<P, NoPruner>;
  static constexpr bool can_read_gradients = GradientPruner<P, M>;
  using Scalar = typename M::Scalar;

  PruningRun(P pruner, const M& model, const M& gradient) : pruner_{std::move(pruner)} {
    if constexpr (can_read_gradients) {
      const auto weights = parameters_of(model), sums = parameters_of(gradient);
      for (std::size_t i = 0; i < weights.size(); ++i)
        if (weights[i].is_trained) tensors_.push_back({weights[i].name, weights[i].numbers(), sums[i].numbers()});
    }
  }

  [[nodiscard]] const P& pruner() const { return pruner_; }
  [[nodiscard]] const WeightMasks& masks() const { return masks_; }
  [[nodiscard]] const WeightScores& scores() const { return scores_; }
  [[nodiscard]] bool keeps_scores() const {
    if constexpr (can_read_gradients) return pruner_.keeps_scores();
    return false;
  }

  /// Right before an update. Returns whether the masks have changed.
  bool begin_update(int update, const M& model) { return take(pruner_.next_masks(update, model, masks_), model); }

  [[nodiscard]] bool reads_gradient(int update) const {
    if constexpr (can_read_gradients) return pruner_.reads_gradient(update);
    return false;
  }
  /// Once the gradient of an update is known, if the pruner reads it. Returns whether the masks have changed.
  bool on_gradient(int update, const M& model, double scale) {
    if constexpr (can_read_gradients)
      return take(pruner_.on_gradient(update, model, masks_, LossGradient<Scalar>{tensors_, scale}, scores_), model);
    return false;
  }

  void restore(WeightMasks masks, WeightScores scores) {
    masks_ = std::move(masks);
    scores_ = std::move(scores);
  }

private:
  bool take(std::optional<WeightMasks> masks, const M& model) {
    if (!masks) return false;
    validate_masks(*masks, model);
    if (*masks == masks_) return false;
    masks_ = std::move(*masks);
    return true;
  }

  P pruner_;
  std::vector<TensorGradient<Scalar>> tensors_;  // if the pruner can read gradients
  WeightMasks masks_;
  WeightScores scores_;
};

inline void write_scores(ByteWriter& out, const WeightScores& scores) {
  out.value(static_cast<std::int32_t>(scores.size()));
  for (const TensorScores& one : scores) {
    out.text(one.name);
    out.values(std::span{one.numbers});
  }
}

/// Throws Error unless they fit the model.
template <Parameterized M>
[[nodiscard]] WeightScores read_scores(ByteReader& in, const M& like) {
  const auto parameters = parameters_of(like);
  WeightScores scores;
  const auto count =
      in.value_in("number of scored tensors", std::int32_t{0}, static_cast<std::int32_t>(parameters.size()));
  for (std::int32_t i = 0; i < count; ++i) {
    const std::string name = in.text();
    const auto p = std::find_if(parameters.begin(), parameters.end(), [&](const auto& q) { return q.name == name; });
    if (p == parameters.end() || !p->is_trained)
      fail("{}: has scores of the tensor \"{}\", which the model does not train", in.what(), name);
    if (find_scores(scores, name) != nullptr) fail("{}: has scores of {} twice", in.what(), name);
    TensorScores& one = scores.emplace_back(TensorScores{name, std::vector<double>(p->numbers().size())});
    in.values(std::span{one.numbers});
    for (const double number : one.numbers)
      if (!std::isfinite(number)) fail("{}: a score of {} is {}, it must be finite", in.what(), name, number);
  }
  return scores;
}

}  // namespace detail

}  // namespace icrl
