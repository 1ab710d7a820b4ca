// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/compress/calibration.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/nn/parameters.hpp>
#include <icrl/train/gradient_pruner.hpp>
#include <icrl/train/weight_masks.hpp>

namespace icrl {

/// The scores by which weights are compared; those with the lowest are pruned.
enum class PruneCriterion {
  magnitude,  ///< |weight|
  wanda,      ///< |weight| times the norm of the input that it multiplies (Sun et al., 2023, equation 1)
  movement    ///< -(dloss/dweight) weight, summed over updates (Sanh et al., 2020); only in training (GradualPruning)
};
/// Which weights are compared with each other. The same share of each such set is pruned.
enum class PruneScope {
  all,     ///< of all tensors
  map,     ///< of one tensor
  output,  ///< of one output of a linear map, or of one column of blocks
  group    ///< `group` neighboring inputs of one output: N:M sparsity
};

/// "magnitude", "wanda" or "movement".
[[nodiscard]] inline const char* to_string(PruneCriterion criterion) {
  constexpr const char* names[] = {"magnitude", "wanda", "movement"};
  return names[static_cast<int>(criterion)];
}
/// "all", "map", "output" or "group".
[[nodiscard]] inline const char* to_string(PruneScope scope) {
  constexpr const char* names[] = {"all", "map", "output", "group"};
  return names[static_cast<int>(scope)];
}

/// What is pruned. 2:4 is {.sparsity = 0.5, .scope = group, .group = 4}, 1:4 has a sparsity of 0.75, 4:8 a group of 8;
/// blocks of 16 outputs by 1 input, which BlockSparseLinear skips, are {.block_outputs = 16}; those of 16 outputs by 4
/// inputs, which integer models skip, {.block_outputs = 16, .block_inputs = 4}.
struct PruneConfig {
  double sparsity = 0.5;                                 ///< share of the weights that is pruned
  PruneCriterion criterion = PruneCriterion::magnitude;  ///< how weights are scored
  PruneScope scope = PruneScope::map;                    ///< which weights compete
  int group = 4;                                         ///< of the scope `group`
  int block_outputs = 1;  ///< weights are pruned in blocks of this many neighboring outputs
  /// by this many neighboring inputs; a block's score is the norm of its weights' scores, or the sum for `movement`
  int block_inputs = 1;
  std::vector<std::string> weights{};  ///< names of tensors; none: `prunable_weights`
};

/// Norms of the inputs of linear maps over many windows, by the map's name ("blocks.0.mlp.up"), one per input.
using InputNorms = std::map<std::string, std::vector<float>, std::less<>>;

/// The norms of the inputs that a calibration has seen.
[[nodiscard]] inline InputNorms input_norms(const Calibration& calibration) {
  InputNorms norms;
  for (const Calibration::Map& map : calibration.maps()) {
    std::vector<float>& of_map = norms[map.name];
    for (Index i = 0; i < map.inputs.input_size(); ++i)
      of_map.push_back(static_cast<float>(std::sqrt(map.inputs.second_moments(i, i))));
  }
  return norms;
}

inline void validate(const PruneConfig& c) {
  if (!(c.sparsity >= 0 && c.sparsity <= 1)) fail("pruning: sparsity is {}, it must lie in 0 .. 1", c.sparsity);
  const auto positive = [](const char* name, int value) {
    if (value < 1) fail("pruning: {} is {}, it must be positive", name, value);
  };
  positive("group", c.group);
  positive("block_outputs", c.block_outputs);
  positive("block_inputs", c.block_inputs);
}

/// All values, for telling runs apart: of two that differ, the descriptions differ.
[[nodiscard]] inline std::string describe(const PruneConfig& c) {
  return fmt::format("sparsity {}, criterion {}, scope {}, group {}, blocks of {} outputs x {} inputs, weights {}",
                     c.sparsity, to_string(c.criterion), to_string(c.scope), c.group, c.block_outputs, c.block_inputs,
                     c.weights.empty() ? "of all blocks" : joined(c.weights, " "));
}

/// The names of the weights of all linear maps inside a model's blocks. Embedding and head are left out: they are
/// small, and sensitive.
template <Parameterized M>
[[nodiscard]] std::vector<std::string> prunable_weights(const M& model) {
  std::vector<std::string> names;
  for (const auto& p : parameters_of(model))
    if (p.is_trained && p.is_matrix && p.name.starts_with("blocks.") && p.name.ends_with(".weight"))
      names.push_back(p.name);
  return names;
}

namespace detail {

/// A tensor cut into blocks. Whole blocks are pruned; a block may be a single weight.
struct BlockScores {
  std::string name;
  Index rows, columns;              ///< of the tensor
  Index block_rows, block_columns;  ///< of the blocks
  std::vector<double> scores;       ///< (block_rows, block_columns); -infinity where a block is pruned already
  std::vector<std::uint8_t> kept;   ///< the same shape
};
/// The score of a block that is pruned.
inline constexpr double pruned_score = -std::numeric_limits<double>::infinity();

/// Scores of blocks are the sums of `score(i, o)` over their weights that are not pruned.
template <typename S, typename Score>
BlockScores sum_blocks(const Parameter<const S>& p, const PruneConfig& c, const WeightMask* before, Score&& score) {
  const Index in = c.block_inputs, out = c.block_outputs;
  BlockScores blocks{p.name, p.rows, p.columns, (p.rows + in - 1) / in, (p.columns + out - 1) / out, {}, {}};
  blocks.kept.assign(static_cast<std::size_t>(blocks.block_rows * blocks.block_columns), 1);
  blocks.scores.assign(blocks.kept.size(), pruned_score);
  for (Index i = 0; i < p.rows; ++i) {
    for (Index o = 0; o < p.columns; ++o) {
      if (before != nullptr && before->kept[static_cast<std::size_t>(i * p.columns + o)] == 0) continue;
      double& of_block = blocks.scores[static_cast<std::size_t>(i / in * blocks.block_columns + o / out)];
      of_block = (of_block == pruned_score ? 0.0 : of_block) + score(i, o);
    }
  }
  return blocks;
}

template <typename S>
BlockScores score_blocks(const Parameter<const S>& p, const PruneConfig& c, const InputNorms& norms,
                         const WeightScores& movement, const WeightMask* before) {
  if (c.criterion == PruneCriterion::movement) {
    const TensorScores* const scores = find_scores(movement, p.name);
    if (scores == nullptr)
      fail("pruning: the movement scores of {} are missing, which only training can measure (use GradualPruning)",
           p.name);
    ICRL_ASSERT(scores->numbers.size() == p.numbers().size(), "pruning: there must be one movement score per weight");
    return sum_blocks(p, c, before,
                      [&](Index i, Index o) { return scores->numbers[static_cast<std::size_t>(i * p.columns + o)]; });
  }
  const float* norm = nullptr;
  if (c.criterion == PruneCriterion::wanda) {
    const std::string map = p.name.substr(0, p.name.rfind('.'));
    const auto found = norms.find(map);
    if (found == norms.end())
      fail("pruning: Wanda needs the input norms of the linear layer \"{}\", which are missing (see input_norms)", map);
    if (static_cast<Index>(found->second.size()) != p.rows)
      fail("pruning: there are {} input norms for the linear layer \"{}\", which has {} inputs", found->second.size(),
           map, p.rows);
    norm = found->second.data();
  }
  return sum_blocks(p, c, before, [&](Index i, Index o) {
    const double score =
        static_cast<double>(p.data[i * p.columns + o]) * (norm == nullptr ? 1.0 : static_cast<double>(norm[i]));
    return score * score;
  });
}

/// The tensors that `config` names, or those of all blocks. Throws Error for a name that does not exist.
template <Parameterized M>
[[nodiscard]] auto tensors_to_prune(const M& model, const std::vector<std::string>& names) {
  const auto parameters = parameters_of(model);
  std::remove_const_t<decltype(parameters)> found;
  for (const std::string& name : names.empty() ? prunable_weights(model) : names) {
    const auto p = std::find_if(parameters.begin(), parameters.end(), [&](const auto& q) { return q.name == name; });
    if (p == parameters.end()) fail("pruning: the model has no tensor \"{}\"", name);
    found.push_back(*p);
  }
  if (found.empty()) fail("pruning: the model has no blocks with linear maps; name the tensors to be pruned");
  return found;
}

/// A block of one of several tensors.
struct BlockPlace {
  double score;
  std::size_t tensor, block;
};

/// Prunes the `count` lowest scores; among equal ones, the first.
inline void prune_lowest(std::vector<BlockPlace>& places, std::size_t count, std::vector<BlockScores>& tensors) {
  const auto is_lower = [](const BlockPlace& a, const BlockPlace& b) {
    return std::tie(a.score, a.tensor, a.block) < std::tie(b.score, b.tensor, b.block);
  };
  const auto end = places.begin() + static_cast<std::ptrdiff_t>(count);
  if (end != places.end()) std::nth_element(places.begin(), end, places.end(), is_lower);
  for (auto place = places.begin(); place != end; ++place) tensors[place->tensor].kept[place->block] = 0;
}

/// Calls `visit` with every set of blocks that are compared with each other.
template <typename Visit>
void for_each_scope(const std::vector<BlockScores>& tensors, const PruneConfig& c, Visit&& visit) {
  std::vector<BlockPlace> places;
  const auto finish = [&] {
    if (!places.empty()) visit(places);
    places.clear();
  };
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const BlockScores& blocks = tensors[t];
    for (Index column = 0; column < blocks.block_columns; ++column) {
      for (Index row = 0; row < blocks.block_rows; ++row) {
        const auto block = static_cast<std::size_t>(row * blocks.block_columns + column);
        places.push_back({blocks.scores[block], t, block});
        if (c.scope == PruneScope::group && (row + 1) % c.group == 0) finish();
      }
      if (c.scope >= PruneScope::output) finish();
    }
    if (c.scope >= PruneScope::map) finish();
  }
  finish();
}

/// Prunes the same share of every scope.
inline void prune_scopes(std::vector<BlockScores>& tensors, const PruneConfig& c) {
  const auto pruned_of = [&](std::size_t count) {
    return static_cast<std::size_t>(std::llround(c.sparsity * static_cast<double>(count)));
  };
  for_each_scope(tensors, c, [&](std::vector<BlockPlace>& places) {
    const std::size_t full = c.scope == PruneScope::group ? static_cast<std::size_t>(c.group) : places.size();
    const std::size_t kept = std::min(full - pruned_of(full), places.size());
    prune_lowest(places, places.size() - kept, tensors);
  });
}

[[nodiscard]] inline WeightMask to_mask(const BlockScores& blocks, const PruneConfig& c, const WeightMask* before) {
  WeightMask mask{blocks.name, blocks.rows, blocks.columns, {}};
  mask.kept.resize(static_cast<std::size_t>(blocks.rows * blocks.columns));
  for (Index i = 0; i < blocks.rows; ++i) {
    for (Index o = 0; o < blocks.columns; ++o) {
      const auto weight = static_cast<std::size_t>(i * blocks.columns + o);
      const Index block = i / c.block_inputs * blocks.block_columns + o / c.block_outputs;
      const bool was_kept = before == nullptr || before->kept[weight] != 0;
      mask.kept[weight] = was_kept && blocks.kept[static_cast<std::size_t>(block)] != 0;
    }
  }
  return mask;
}

}  // namespace detail

/// The masks that prune a model in this way; the model is not changed. Weights that the masks `before`, which must be
/// of this model, have pruned stay pruned and count towards the sparsity. A last group that is not full keeps as many
/// weights as a full one. `movement` has the scores of that criterion. Throws Error for tensors, norms and scores that
/// do not exist.
template <Parameterized M>
[[nodiscard]] WeightMasks pruning_masks(const M& model, const PruneConfig& config, const InputNorms& norms = {},
                                        const WeightMasks& before = {}, const WeightScores& movement = {}) {
  validate(config);
  std::vector<detail::BlockScores> tensors;
  for (const auto& p : detail::tensors_to_prune(model, config.weights))
    tensors.push_back(detail::score_blocks(p, config, norms, movement, find_mask(before, p.name)));
  detail::prune_scopes(tensors, config);
  WeightMasks masks;
  for (const auto& blocks : tensors) masks.push_back(detail::to_mask(blocks, config, find_mask(before, blocks.name)));
  return masks;
}

/// Prunes a model at once, without training, and returns what has been pruned. Throws Error for `movement`, which is a
/// criterion of training.
template <Parameterized M>
WeightMasks prune(M& model, const PruneConfig& config, const InputNorms& norms = {}) {
  WeightMasks masks = pruning_masks(std::as_const(model), config, norms);
  apply_masks(masks, model);
  return masks;
}

}  // namespace icrl
