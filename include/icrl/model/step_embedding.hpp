// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <icrl/core/assert.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/layer.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// What an encoder of steps must know about its model.
struct StepEmbeddingConfig {
  int width;                                ///< C, numbers per token
  TokenScheme tokens = TokenScheme::fused;  ///< how a step becomes tokens
  int position_count = 0;           ///< tokens that get a learned position; 0 if positions are rotary or not used
  double reward_scale = 1;          ///< rewards are multiplied by this first
  std::vector<int> convolutions{};  ///< see TransformerConfig; only for encoders of images

  /// Tokens that a step becomes: 1 or 3.
  [[nodiscard]] int tokens_per_step() const { return tokens == TokenScheme::fused ? 1 : 3; }
};

/// An encoder turns steps, rows of a `StepLayout`, into the tokens that a sequence model reads. `forward` and
/// `backward` take the T steps of a window, `step` one token of one step that stands at `position` of its context. A
/// model calls `reserve(scratch)` at the beginning of every pass of steps.
template <typename E>
concept StepEncoder = std::constructible_from<E, const StepEmbeddingConfig&, const StepLayout&> &&
    requires(const E& encoder, std::span<const float> features, typename E::Scratch& scratch,
             Matrix<typename E::Scalar>& tokens) {
  encoder.step(features, /*token*/ 0, /*position*/ Index{0}, scratch, tokens.data());
};

/// An encoder with a backward pass, weights and random initialization.
template <typename E>
concept TrainableStepEncoder = StepEncoder<E> && Parameterized<E> &&
    requires(const E& encoder, E& other, std::span<const float> features, typename E::Cache& cache,
             Matrix<typename E::Scalar>& tokens, Rng& rng) {
  encoder.forward(features, /*steps*/ 1, cache, tokens);
  encoder.backward(features, /*steps*/ 1, tokens, cache, other);
  other.initialize(/*stddev*/ 1.0, rng);
};

/// Every part of a step is a row of a table (ids) or a product with a map (numbers). A fused token sums all parts, a
/// separate token carries one. Lists of parts that a space does not have are empty.
template <std::floating_point S>
struct StepEmbedding {
  using Scalar = S;
  using Cache = NoMemory;
  using Scratch = NoMemory;

  std::vector<Matrix<S>> observation_tables;  ///< one (ids, C) per component
  std::vector<Matrix<S>> action_tables;       ///< one (ids + 1, C) per component; the last row is "no action yet"
  std::vector<Matrix<S>> observation_maps;    ///< (observation numbers, C), at most one
  std::vector<Matrix<S>> action_maps;         ///< (action numbers, C), at most one
  std::vector<Matrix<S>> extra_maps;          ///< (numbers, C), one per extra feature
  RowVector<S> reward;                        ///< (C), times the scaled reward
  Matrix<S> flags;                            ///< (8, C), by flag id
  RowVector<S> bias;                          ///< (C), in every token
  Matrix<S> positions;                        ///< (positions, C)
  StepEmbeddingConfig config;                 ///< not a weight
  int extra_offset, action_offset, reward_offset, flag_offset, feature_count;  ///< of a row; see StepLayout

  /// All weights are zero. Throws Error for convolutions, which belong to an encoder of images.
  StepEmbedding(const StepEmbeddingConfig& shape, const StepLayout& layout)
      : reward{RowVector<S>::Zero(shape.width)},
        flags{Matrix<S>::Zero(StepFlag::count, shape.width)},
        bias{RowVector<S>::Zero(shape.width)},
        positions{Matrix<S>::Zero(shape.position_count, shape.width)},
        config{shape},
        extra_offset{layout.extra_offset()},
        action_offset{layout.action_offset()},
        reward_offset{layout.reward_offset()},
        flag_offset{layout.flag_offset()},
        feature_count{layout.feature_count()} {
    if (!shape.convolutions.empty()) {
      fail("step embedding: convolutions is ({}), but this model has no image encoder (use ImageParts)",
           joined(shape.convolutions, ", "));
    }
    for (const int count : id_counts(layout.observation_space)) add_zeros(observation_tables, count);
    for (const int count : id_counts(layout.action_space)) add_zeros(action_tables, count + 1);
    if (!has_ids(layout.observation_space)) add_zeros(observation_maps, layout.observation_size());
    if (!has_ids(layout.action_space)) add_zeros(action_maps, layout.action_size());
    for (const ExtraFeature& feature : layout.extra_features) add_zeros(extra_maps, feature.size);
  }

  [[nodiscard]] static std::int64_t weight_count(const StepEmbeddingConfig& shape, const StepLayout& layout) {
    const auto rows = [](const Space& space, int extra_ids) {
      std::int64_t count = has_ids(space) ? 0 : value_count(space);
      for (const int ids : id_counts(space)) count += std::int64_t{ids} + extra_ids;
      return count;
    };
    const std::int64_t reward_and_bias = 2;
    return shape.width * (rows(layout.observation_space, 0) + rows(layout.action_space, 1) + StepFlag::count +
                          reward_and_bias + shape.position_count + layout.extra_size());
  }

  /// tokens (T * tokens per step, C) of T = `steps` rows of features.
  void forward(std::span<const float> features, int steps, Cache&, MatrixOut<S> tokens) const {
    for_each_token(features, steps,
                   [&](const float* row, Parts parts, Index t) { write_token(row, parts, t, row_data(tokens, t)); });
  }

  /// Adds to `grad`; dtokens is the derivative of what forward wrote.
  void backward(std::span<const float> features, int steps, MatrixIn<S> dtokens, const Cache&,
                StepEmbedding& grad) const {
    for_each_token(features, steps, [&](const float* row, Parts parts, Index t) {
      take_derivative(row, parts, t, row_data(dtokens, t), grad);
    });
  }

  /// Writes token number `token` of the step `row`, which stands at `position`, to `out` (C numbers).
  void step(std::span<const float> row, int token, Index position, Scratch&, S* out) const {
    write_token(row.data(), parts_of(token), position, out);
  }
  static void reserve(Scratch&) {}

  /// Draws normal weights of standard deviation `stddev`. The bias is not changed.
  void initialize(double stddev, Rng& rng) {
    for (const Parameter<S>& p : parameters_of(*this))
      if (p.name != "bias") fill_normal(p.numbers(), stddev, rng);
  }

  static constexpr auto parameters() {
    using E = StepEmbedding;
    return std::tuple{Field{"observation_tables", &E::observation_tables},
                      Field{"action_tables", &E::action_tables},
                      Field{"observation_maps", &E::observation_maps},
                      Field{"action_maps", &E::action_maps},
                      Field{"extra_maps", &E::extra_maps},
                      Field{"reward", &E::reward},
                      Field{"flags", &E::flags},
                      Field{"bias", &E::bias},
                      Field{"positions", &E::positions}};
  }

private:
  /// The parts of a step that one token carries.
  struct Parts {
    bool action, reward, observation;
  };
  [[nodiscard]] Parts parts_of(int token) const {
    return config.tokens == TokenScheme::fused ? Parts{true, true, true} : Parts{token == 0, token == 1, token == 2};
  }

  template <typename Visit>
  void for_each_token(std::span<const float> features, int steps, Visit&& visit) const {
    const int each = config.tokens_per_step();
    ICRL_ASSERT(features.size() >= static_cast<std::size_t>(steps) * static_cast<std::size_t>(feature_count),
                "step embedding: features must have a row per step");
    for (int t = 0; t < steps; ++t)
      for (int token = 0; token < each; ++token)
        visit(features.data() + Index{t} * feature_count, parts_of(token), Index{t * each + token});
  }

  /// Not inlined, like `take_derivative`: one call per token costs little, and inlining all kinds of parts at every
  /// call would slow down compilation.
  [[gnu::noinline]] void write_token(const float* row, Parts parts, Index position, S* out) const {
    const Index width = bias.size();
    std::copy_n(bias.data(), width, out);
    if (positions.rows() > 0) add_scaled(width, S(1), row_data(positions, position), out);
    visit_parts(*this, row, parts, [&](const S* weights, S factor) { add_scaled(width, factor, weights, out); });
  }

  [[gnu::noinline]] void take_derivative(const float* row, Parts parts, Index position, const S* dtoken,
                                         StepEmbedding& grad) const {
    const Index width = bias.size();
    add_scaled(width, S(1), dtoken, grad.bias.data());
    if (positions.rows() > 0) add_scaled(width, S(1), dtoken, row_data(grad.positions, position));
    visit_parts(grad, row, parts, [&](S* weights, S factor) { add_scaled(width, factor, dtoken, weights); });
  }

  [[gnu::noinline]] void add_zeros(std::vector<Matrix<S>>& list, Index rows) const {
    list.push_back(Matrix<S>::Zero(rows, bias.size()));
  }

  /// out += factor * in. Not inlined for every kind of part.
  [[gnu::noinline]] static void add_scaled(Index width, S factor, const S* in, S* out) {
    for (Index i = 0; i < width; ++i) out[i] += factor * in[i];
  }

  /// Calls `visit(weights, factor)` for every row of weights that a token adds up; the one place that knows which those
  /// are.
  template <typename Self, typename Visit>
  static void visit_parts(Self& self, const float* row, Parts parts, Visit&& visit) {
    const auto tables = [&](auto& list, const float* ids) {
      for (std::size_t i = 0; i < list.size(); ++i) {
        const auto id = static_cast<Index>(ids[i]);
        ICRL_ASSERT(id >= 0 && id < list[i].rows(), "step embedding: an id lies outside its table");
        visit(row_data(list[i], id), S(1));
      }
    };
    const auto maps = [&](auto& list, const float* values) {
      for (auto& map : list)
        for (Index i = 0; i < map.rows(); ++i) visit(row_data(map, i), static_cast<S>(*values++));
    };
    if (parts.observation) {
      tables(self.observation_tables, row);
      maps(self.observation_maps, row);
      visit(row_data(self.flags, static_cast<Index>(row[self.flag_offset])), S(1));
      maps(self.extra_maps, row + self.extra_offset);
    }
    if (parts.action) {
      tables(self.action_tables, row + self.action_offset);
      maps(self.action_maps, row + self.action_offset);
    }
    if (parts.reward)
      visit(self.reward.data(), static_cast<S>(self.config.reward_scale) * static_cast<S>(row[self.reward_offset]));
  }
};

}  // namespace icrl
