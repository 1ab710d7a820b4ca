// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <icrl/compress/pruning.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/train/gradient_pruner.hpp>

// Sparse training: a model begins with a random set of its weights and keeps their number (with blocks, the number of
// blocks), but exchanges the smallest ones for others again and again. SET: Mocanu et al., 2018. RigL: Evci et al.,
// 2020.
namespace icrl {

/// Which weights come in place of those that are dropped.
enum class Growth {
  random,   ///< any, with equal chance: SET
  gradient  ///< those with the largest gradient, in size: RigL
};
/// How many of its weights each linear map keeps.
enum class LayerDensity {
  uniform,     ///< all maps the same share
  erdos_renyi  ///< shares as (in + out) / (in out), at most 1: small maps are denser (Evci et al., 2020, section 3)
};
/// How the share that is dropped changes.
enum class DropDecay {
  constant,  ///< not at all, as in SET
  cosine     ///< drop_fraction / 2 (1 + cos(pi update / end)), as in RigL
};

/// "random" or "gradient".
[[nodiscard]] inline const char* to_string(Growth growth) { return growth == Growth::random ? "random" : "gradient"; }
/// "uniform" or "erdos-renyi".
[[nodiscard]] inline const char* to_string(LayerDensity density) {
  return density == LayerDensity::uniform ? "uniform" : "erdos-renyi";
}
/// "constant" or "cosine".
[[nodiscard]] inline const char* to_string(DropDecay decay) {
  return decay == DropDecay::constant ? "constant" : "cosine";
}

/// Training with a fixed number of weights. The defaults are those of RigL; SET is {.growth = Growth::random, .decay =
/// DropDecay::constant}.
struct SparseTrainingConfig {
  double sparsity = 0.9;                             ///< share of all weights that is zero; in 0 .. 1, below 1
  LayerDensity density = LayerDensity::erdos_renyi;  ///< how the others are shared between maps
  Growth growth = Growth::gradient;                  ///< what comes in place of what is dropped
  double drop_fraction = 0.3;                        ///< share of a map's weights that is exchanged at once; in 0 .. 1
  DropDecay decay = DropDecay::cosine;               ///< of that share
  int every = 100;                                   ///< updates from one exchange to the next, at least 1
  /// Weights are exchanged before this update only, at most the run's updates; RigL's paper takes 3/4 of them.
  int end = 750;
  int block_outputs = 1;               ///< outputs of a block, at least 1; blocks come and go as a whole
  int block_inputs = 1;                ///< inputs of a block, at least 1; blocks are compared by norms
  std::vector<std::string> weights{};  ///< names of tensors; none: `prunable_weights`
  std::uint64_t seed = 0;              ///< of the first weights, and of random growth
};

/// Throws Error naming the first value outside its range.
inline void validate(const SparseTrainingConfig& c) {
  if (!(c.sparsity >= 0 && c.sparsity < 1))
    fail("sparse training: sparsity is {}, it must lie in 0 .. 1 and be below 1", c.sparsity);
  if (!(c.drop_fraction >= 0 && c.drop_fraction <= 1))
    fail("sparse training: drop_fraction is {}, it must lie in 0 .. 1", c.drop_fraction);
  const auto at_least = [](const char* name, int value, int least) {
    if (value < least) fail("sparse training: {} is {}, it must be at least {}", name, value, least);
  };
  at_least("every", c.every, 1);
  at_least("end", c.end, 0);
  at_least("block_outputs", c.block_outputs, 1);
  at_least("block_inputs", c.block_inputs, 1);
}

namespace detail {

/// The shape of a linear map.
struct MapShape {
  Index inputs, outputs;
};

/// Which share of its weights each map keeps, so that `density` of all are kept. Erdos-Renyi shares that would exceed 1
/// become 1, and the other maps share the rest (as the authors of RigL do).
[[nodiscard]] inline std::vector<double> map_densities(const std::vector<MapShape>& maps, double density,
                                                       LayerDensity kind) {
  std::vector<double> shares(maps.size(), density);
  if (kind == LayerDensity::uniform) return shares;
  std::vector<bool> is_dense(maps.size(), false);
  const auto size = [&](std::size_t m) { return static_cast<double>(maps[m].inputs * maps[m].outputs); };
  const auto sum = [&](std::size_t m) { return static_cast<double>(maps[m].inputs + maps[m].outputs); };
  for (bool is_done = false; !is_done;) {
    double wanted = 0, unscaled = 0;
    for (std::size_t m = 0; m < maps.size(); ++m) {
      wanted += is_dense[m] ? (density - 1) * size(m) : density * size(m);
      unscaled += is_dense[m] ? 0.0 : sum(m);  // a share of sum / size keeps `sum` weights
    }
    is_done = true;
    for (std::size_t m = 0; m < maps.size(); ++m) {
      shares[m] = is_dense[m] ? 1.0 : wanted / unscaled * sum(m) / size(m);
      if (is_dense[m] || shares[m] <= 1) continue;
      is_dense[m] = true;
      is_done = false;
    }
  }
  return shares;
}

/// Moves the `count` numbers of `order` that are drawn at random to its front.
inline void draw_to_front(std::vector<std::size_t>& order, std::size_t count, Rng& rng) {
  for (std::size_t i = 0; i < count; ++i)
    std::swap(order[i], order[i + static_cast<std::size_t>(rng.below(static_cast<int>(order.size() - i)))]);
}

/// Moves the `count` numbers of `order` whose scores are lowest to its front; among equal ones, the smallest numbers.
inline void sort_to_front(std::vector<std::size_t>& order, std::size_t count, const std::vector<double>& scores) {
  if (count == order.size()) return;
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                   [&](std::size_t a, std::size_t b) {
                     return std::pair{scores[a], a} < std::pair{scores[b], b};
                   });
}

}  // namespace detail

/// Trains a sparse model from a random sparse start: a GradientPruner for `distil`. Right before update 0 it keeps a
/// random set of weights, with their values; the model's other weights are lost, so begin with a new model.
///
/// Then, every `every` updates, each map drops its smallest weights and gets as many others, from all that it now lacks
/// (Evci et al., 2020, algorithm 1). What is new begins at zero, with moments of zero; what is dropped and comes back
/// at once stays as it was. Gradients are those of the batch of this very update, which already trains what is new,
/// where RigL leaves that update out. Random numbers depend on seed, update and map only, so a resumed run draws the
/// same.
struct SparseTraining {
  SparseTrainingConfig config{};  ///< how many weights, and how they are exchanged

  /// Whether weights are exchanged at this update.
  [[nodiscard]] bool is_due(int update) const {
    return update > 0 && update < config.end && update % config.every == 0;
  }
  /// The share of a map's weights that is exchanged at an update that is due.
  [[nodiscard]] double drop_share(int update) const {
    if (config.decay == DropDecay::constant) return config.drop_fraction;
    return config.drop_fraction / 2 * (1 + std::cos(std::numbers::pi * update / config.end));
  }

  template <Parameterized M>
  [[nodiscard]] std::optional<WeightMasks> next_masks(int update, const M& model, const WeightMasks& masks) const {
    if (update == 0) return first_masks(model);
    if (config.growth != Growth::random || !is_due(update)) return {};
    return exchange(update, model, masks,
                    [&](std::size_t map, const auto&, std::vector<std::size_t>& order, std::size_t count) {
                      Rng rng = rng_of(update, map);
                      detail::draw_to_front(order, count, rng);
                    });
  }
  /// Whether weights are exchanged by their gradients at this update.
  [[nodiscard]] bool reads_gradient(int update) const { return config.growth == Growth::gradient && is_due(update); }
  /// The masks from this update on.
  template <Parameterized M, std::floating_point S>
  [[nodiscard]] std::optional<WeightMasks> on_gradient(int update, const M& model, const WeightMasks& masks,
                                                       const LossGradient<S>& gradient, WeightScores&) const {
    return exchange(
        update, model, masks, [&](std::size_t, const auto& p, std::vector<std::size_t>& order, std::size_t count) {
          const std::span<const S> sum = gradient.tensor(p.name).sum;
          const auto squares = detail::sum_blocks(p, blocks(), nullptr, [&](Index i, Index o) {
            const auto g = gradient.scale * static_cast<double>(sum[static_cast<std::size_t>(i * p.columns + o)]);
            return -g * g;
          });
          detail::sort_to_front(order, count, squares.scores);
        });
  }
  /// False: it needs no scores.
  [[nodiscard]] static bool keeps_scores() { return false; }

  [[nodiscard]] std::string describe() const {
    const SparseTrainingConfig& c = config;
    return fmt::format(
        "sparse training, sparsity {}, density {}, growth {}, drops {} {} every {} until {}, blocks of {} outputs x {} "
        "inputs, weights {}, seed {}",
        c.sparsity, to_string(c.density), to_string(c.growth), c.drop_fraction, to_string(c.decay), c.every, c.end,
        c.block_outputs, c.block_inputs, c.weights.empty() ? "of all blocks" : joined(c.weights, " "), c.seed);
  }
  /// Throws Error for invalid values, and if weights would still be exchanged when training ends.
  void validate(int updates) const {
    icrl::validate(config);
    if (config.end > updates) {
      fail(
          "sparse training: weights are exchanged until update {}, but the run has only {} (train longer, or end "
          "earlier)",
          config.end, updates);
    }
  }

private:
  [[nodiscard]] PruneConfig blocks() const {
    return {.block_outputs = config.block_outputs, .block_inputs = config.block_inputs};
  }
  [[nodiscard]] Rng rng_of(int update, std::size_t map) const {
    return Rng{config.seed}.fork(static_cast<std::uint64_t>(update)).fork(map);
  }

  template <Parameterized M>
  [[nodiscard]] WeightMasks first_masks(const M& model) const {
    const auto tensors = detail::tensors_to_prune(model, config.weights);
    std::vector<detail::MapShape> shapes;
    for (const auto& p : tensors) shapes.push_back({p.rows, p.columns});
    const std::vector<double> densities = detail::map_densities(shapes, 1 - config.sparsity, config.density);
    WeightMasks masks;
    for (std::size_t map = 0; map < tensors.size(); ++map) {
      detail::BlockScores all = detail::sum_blocks(tensors[map], blocks(), nullptr, [](Index, Index) { return 0.0; });
      const auto wanted = std::llround(densities[map] * static_cast<double>(all.kept.size()));
      std::vector<std::size_t> order = numbers_below(all.kept.size(), [](std::size_t) { return true; });
      Rng rng = rng_of(0, map);
      const auto count = static_cast<std::size_t>(std::max(wanted, 1LL));  // a map without weights would never get one
      detail::draw_to_front(order, count, rng);
      all.kept.assign(all.kept.size(), 0);
      for (std::size_t i = 0; i < count; ++i) all.kept[order[i]] = 1;
      masks.push_back(detail::to_mask(all, blocks(), nullptr));
    }
    return masks;
  }

  /// Drops the smallest blocks of each map. `bring_to_front(map, tensor, order, count)` chooses as many of those that
  /// the map then lacks.
  template <Parameterized M, typename BringToFront>
  [[nodiscard]] WeightMasks exchange(int update, const M& model, const WeightMasks& masks,
                                     BringToFront&& bring_to_front) const {
    WeightMasks next;
    const auto tensors = detail::tensors_to_prune(model, config.weights);
    for (std::size_t map = 0; map < tensors.size(); ++map) {
      const auto& p = tensors[map];
      detail::BlockScores all = detail::sum_blocks(p, blocks(), find_mask(masks, p.name), [&](Index i, Index o) {
        const auto weight = static_cast<double>(p.data[i * p.columns + o]);
        return weight * weight;
      });
      for (std::size_t i = 0; i < all.kept.size(); ++i) all.kept[i] = all.scores[i] == detail::pruned_score ? 0 : 1;
      std::vector<std::size_t> order = numbers_below(all.kept.size(), [&](std::size_t i) { return all.kept[i] != 0; });
      const auto count = static_cast<std::size_t>(std::llround(drop_share(update) * static_cast<double>(order.size())));
      detail::sort_to_front(order, count, all.scores);
      for (std::size_t i = 0; i < count; ++i) all.kept[order[i]] = 0;
      order = numbers_below(all.kept.size(), [&](std::size_t i) { return all.kept[i] == 0; });
      bring_to_front(map, p, order, count);
      for (std::size_t i = 0; i < count; ++i) all.kept[order[i]] = 1;
      next.push_back(detail::to_mask(all, blocks(), nullptr));
    }
    return next;
  }

  template <typename Belongs>
  [[nodiscard]] static std::vector<std::size_t> numbers_below(std::size_t count, Belongs&& belongs) {
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < count; ++i)
      if (belongs(i)) numbers.push_back(i);
    return numbers;
  }
};

}  // namespace icrl
