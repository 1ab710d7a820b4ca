// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <icrl/compress/calibration.hpp>
#include <icrl/compress/gptq.hpp>
#include <icrl/compress/pruning.hpp>

// SparseGPT (Frantar and Alistarh, 2023): inputs are gone through one after another. What is pruned of an input's
// weights is made up for, as well as the second moments H = X^T X of the inputs allow, by the weights of the inputs
// that are still to come.
namespace icrl {
namespace detail {

/// Number of inputs that are compared with each other at a time, with their weights after the changes for earlier
/// inputs.
inline constexpr Index sparse_gpt_inputs = 128;

/// Chooses what is pruned of the inputs first .. last of a map, by w^2 / U_ii^2, the error that remains after the best
/// compensation.
inline void choose_pruned(const Matrix<float>& weight, const Matrix<double>& upper, const PruneConfig& config,
                          Index first, Index last, WeightMask& mask) {
  const Index out = weight.cols();
  std::vector<BlockScores> scores(1);
  scores[0] = {mask.name, last - first, out, last - first, out, {}, {}};
  for (Index i = first; i < last; ++i) {
    for (Index o = 0; o < out; ++o) {
      const double score = static_cast<double>(weight(i, o)) / upper(i, i);
      scores[0].scores.push_back(score * score);
      scores[0].kept.push_back(1);
    }
  }
  prune_scopes(scores, config);
  std::copy(scores[0].kept.begin(), scores[0].kept.end(), mask.kept.begin() + first * out);
}

}  // namespace detail

/// Prunes weights (in, out), given the second moments (in, in) of their inputs, and changes those that are kept to make
/// up for it. `damping` times the mean of the second moments' diagonal is added to it. Throws Error for blocks of
/// weights, which are not supported, and if the second moments are singular.
inline WeightMask prune_by_sparse_gpt(const std::string& name, const Matrix<double>& second_moments,
                                      const PruneConfig& config, double damping, Matrix<float>& weight) {
  validate(config);
  if (config.block_outputs != 1 || config.block_inputs != 1) {
    fail("SparseGPT: block_outputs is {} and block_inputs is {}, both must be 1 (it prunes single weights)",
         config.block_outputs, config.block_inputs);
  }
  const Index in = weight.rows(), out = weight.cols();
  ICRL_ASSERT(second_moments.rows() == in && second_moments.cols() == in,
              "SparseGPT: second_moments must be (in, in) of the weights' inputs");
  const double mean = second_moments.trace() / static_cast<double>(in);
  Matrix<double> upper = second_moments;
  for (Index i = 0; i < in; ++i) upper(i, i) += mean > 0 ? damping * mean : 1;
  if (!detail::invert_to_upper(upper)) {
    fail(
        "SparseGPT: the second moments of the inputs of {} are singular (raise damping, {}, or calibrate on more "
        "windows)",
        name, damping);
  }
  WeightMask mask{name, in, out, std::vector<std::uint8_t>(static_cast<std::size_t>(in * out), 1)};
  const Index at_once = config.scope == PruneScope::group ? Index{config.group} : detail::sparse_gpt_inputs;
  RowVector<float> error(out);
  for (Index i = 0; i < in; ++i) {
    if (i % at_once == 0) detail::choose_pruned(weight, upper, config, i, std::min(in, i + at_once), mask);
    const auto own = static_cast<float>(1 / upper(i, i));
    for (Index o = 0; o < out; ++o) {
      const bool is_kept = mask.kept[static_cast<std::size_t>(i * out + o)] != 0;
      error(o) = is_kept ? 0.0f : weight(i, o) * own;
      if (!is_kept) weight(i, o) = 0;
    }
    for (Index j = i + 1; j < in; ++j) weight.row(j) -= static_cast<float>(upper(i, j)) * error;
  }
  return mask;
}

/// Prunes the linear maps of a transformer by SparseGPT, with inputs as the calibration has seen them; `config`'s
/// criterion is not used, and a scope of `all` is that of a `map`. Throws Error, with nothing changed, for a map
/// without a calibration.
inline WeightMasks prune_by_sparse_gpt(CausalTransformer<float>& model, const PruneConfig& config,
                                       const Calibration& calibration, double damping = 0.01) {
  CausalTransformer<float> pruned = model;
  WeightMasks masks;
  const std::vector<std::string> names = config.weights.empty() ? prunable_weights(model) : config.weights;
  for_each_linear_map(pruned, [&](std::string_view map, Linear<float>& linear) {
    const std::string name = std::string{map} + ".weight";
    if (std::find(names.begin(), names.end(), name) == names.end()) return;
    const InputStatistics* const inputs = calibration.find(map);
    if (inputs == nullptr) fail("SparseGPT: the calibration has no inputs of \"{}\"", map);
    masks.push_back(prune_by_sparse_gpt(name, inputs->second_moments, config, damping, linear.weight));
  });
  for (const std::string& name : names)
    if (find_mask(masks, name) == nullptr) fail("SparseGPT: the model has no linear layer with \"{}\"", name);
  copy_weights(pruned, model);
  return masks;
}

}  // namespace icrl
