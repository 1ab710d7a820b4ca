// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#include <icrl/compress/smaller_model.hpp>
#include <icrl/history/context_batch.hpp>
#include <icrl/train/objective.hpp>

namespace icrl {

/// How much each part of a transformer matters: the higher, the more. Scores of one kind of part can be compared over
/// all layers.
struct PartScores {
  std::vector<double> layers;                           ///< one per layer
  std::vector<std::vector<double>> heads{}, neurons{};  ///< by layer
};

namespace detail {

[[nodiscard]] inline PartScores zero_scores(const TransformerConfig& config) {
  PartScores scores{.layers = std::vector<double>(static_cast<std::size_t>(config.layer_count))};
  for (int i = 0; i < config.layer_count; ++i) {
    scores.heads.emplace_back(static_cast<std::size_t>(config.heads_of(i)));
    scores.neurons.emplace_back(static_cast<std::size_t>(config.hidden_of(i)));
  }
  return scores;
}

/// The sum of a * b over the rows through which a part writes to the residual stream.
template <std::floating_point S>
double dot_of_rows(const Matrix<S>& a, const Matrix<S>& b, Index first, Index count) {
  return static_cast<double>(a.middleRows(first, count).cwiseProduct(b.middleRows(first, count)).sum());
}

}  // namespace detail

/// Scores by weights alone. A neuron: norm of its weights in `up` times that in `down`, which bounds what it adds to
/// the residual stream. A head: the same for its values and its rows of `output`. A layer: norm of all weights through
/// which it writes to the residual stream.
template <std::floating_point S>
[[nodiscard]] PartScores norm_scores(const CausalTransformer<S>& model) {
  PartScores scores = detail::zero_scores(model.config);
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const auto& [attention, feed_forward] = std::tie(model.blocks[i].attention, model.blocks[i].feed_forward);
    const Index size = attention.head_size(), inner = attention.inner_width();
    for (Index h = 0; h < attention.head_count; ++h) {
      scores.heads[i][static_cast<std::size_t>(h)] =
          static_cast<double>(attention.qkv.weight.middleCols(2 * inner + h * size, size).norm()) *
          static_cast<double>(attention.output.weight.middleRows(h * size, size).norm());
    }
    for (Index n = 0; n < feed_forward.hidden_size(); ++n) {
      scores.neurons[i][static_cast<std::size_t>(n)] = static_cast<double>(feed_forward.up.weight.col(n).norm()) *
                                                       static_cast<double>(feed_forward.down.weight.row(n).norm());
    }
    scores.layers[i] = std::hypot(static_cast<double>(attention.output.weight.norm()),
                                  static_cast<double>(feed_forward.down.weight.norm()));
  }
  return scores;
}

/// Scores by the change of the loss: |dloss/dgate|, where the gate, which is 1, multiplies what a part adds to the
/// residual stream. The score is the mean over the windows of a batch (Michel et al., 2019, equation 2; Molchanov et
/// al., 2019). To first order that is how much the loss changes when the part is removed. A gate's derivative is the
/// sum of weight * gradient over the weights through which the part writes, so one backward pass per window serves all
/// parts.
template <std::floating_point S, Objective<CausalTransformer<S>> O = ActionCrossEntropy>
[[nodiscard]] PartScores taylor_scores(const CausalTransformer<S>& model, const ContextBatch& batch,
                                       const O& objective = {}) {
  PartScores scores = detail::zero_scores(model.config);
  CausalTransformer<S> gradient = model;
  WindowScratch<CausalTransformer<S>, O> scratch;
  for (int window = 0; window < batch.sequence_count; ++window) {
    set_zero(gradient);
    (void)window_loss(model, objective, batch, window, scratch, gradient);
    const double share = 1.0 / batch.sequence_count;
    for (std::size_t i = 0; i < model.blocks.size(); ++i) {
      const Block<S>&block = model.blocks[i], &slope = gradient.blocks[i];
      const Linear<S>&output = block.attention.output, &down = block.feed_forward.down;
      const Linear<S>&doutput = slope.attention.output, &ddown = slope.feed_forward.down;
      const Index size = block.attention.head_size();
      double of_layer = static_cast<double>(output.bias.dot(doutput.bias) + down.bias.dot(ddown.bias));
      for (std::size_t h = 0; h < scores.heads[i].size(); ++h) {
        const double gate = detail::dot_of_rows(output.weight, doutput.weight, static_cast<Index>(h) * size, size);
        scores.heads[i][h] += share * std::abs(gate);
        of_layer += gate;
      }
      for (std::size_t n = 0; n < scores.neurons[i].size(); ++n) {
        const double gate = detail::dot_of_rows(down.weight, ddown.weight, static_cast<Index>(n), 1);
        scores.neurons[i][n] += share * std::abs(gate);
        of_layer += gate;
      }
      scores.layers[i] += share * std::abs(of_layer);
    }
  }
  return scores;
}

/// How many parts are kept.
struct PartCounts {
  int layers = 0;            ///< of the model; 0 = all
  double heads = 1;          ///< share of the heads of all layers that are kept
  double neurons = 1;        ///< share of the neurons of all layers that are kept
  int neuron_multiple = 16;  ///< neurons per layer are rounded to a multiple of this, which kernels are quick with
  bool per_layer = false;    ///< every layer keeps the same share, instead of the best parts of all layers
};

namespace detail {

/// Indices of the `count` highest scores, in ascending order; among equal scores, the first.
[[nodiscard]] inline std::vector<int> best_numbers(const std::vector<double>& scores, std::size_t count) {
  std::vector<int> numbers = first_numbers(static_cast<int>(scores.size()));
  std::stable_sort(numbers.begin(), numbers.end(), [&](int a, int b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  numbers.resize(count);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

/// Per layer, the parts that are kept: the best ones of the kept layers, as a share of all parts, rounded to a multiple
/// per layer.
[[nodiscard]] inline std::vector<std::vector<int>> best_parts(const std::vector<std::vector<double>>& scores,
                                                              const std::vector<int>& layers, double share,
                                                              int multiple, bool per_layer) {
  std::vector<std::pair<double, std::size_t>> all;  // score and layer of each part
  for (const int layer : layers)
    for (const double score : scores[static_cast<std::size_t>(layer)])
      all.emplace_back(score, static_cast<std::size_t>(layer));
  std::ranges::stable_sort(all, std::greater<>{}, [](const auto& part) { return part.first; });
  const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(all.size())));
  std::vector<double> best(scores.size());  // per layer, how many are among the best of all
  for (std::size_t i = 0; i < wanted; ++i) ++best[all[i].second];
  std::vector<std::vector<int>> kept;
  for (std::size_t layer = 0; layer < scores.size(); ++layer) {
    if (share == 1) multiple = 1;  // all are kept, of whatever number
    const auto size = static_cast<double>(scores[layer].size());
    const double count = std::round((per_layer ? share * size : best[layer]) / multiple) * multiple;
    const double possible = std::clamp(count, std::min(size, static_cast<double>(multiple)), size);
    kept.push_back(best_numbers(scores[layer], static_cast<std::size_t>(possible)));
  }
  return kept;
}

}  // namespace detail

/// The best parts by their scores, at least one head and `neuron_multiple` neurons in every layer. Throws Error for
/// invalid counts.
[[nodiscard]] inline KeptParts best_parts(const PartScores& scores, const PartCounts& counts) {
  const auto layer_count = static_cast<int>(scores.layers.size());
  if (counts.layers < 0 || counts.layers > layer_count)
    fail("best parts: layers is {}, it must lie in 0 .. {}", counts.layers, layer_count);
  for (const auto& [name, share] : {std::pair{"heads", counts.heads}, std::pair{"neurons", counts.neurons}})
    if (!(share >= 0 && share <= 1)) fail("best parts: the share of {} is {}, it must lie in 0 .. 1", name, share);
  if (counts.neuron_multiple < 1)
    fail("best parts: neuron_multiple is {}, it must be positive", counts.neuron_multiple);
  KeptParts kept;
  kept.layers =
      detail::best_numbers(scores.layers, static_cast<std::size_t>(counts.layers > 0 ? counts.layers : layer_count));
  kept.heads = detail::best_parts(scores.heads, kept.layers, counts.heads, 1, counts.per_layer);
  kept.neurons =
      detail::best_parts(scores.neurons, kept.layers, counts.neurons, counts.neuron_multiple, counts.per_layer);
  return kept;
}

}  // namespace icrl
