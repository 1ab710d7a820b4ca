// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/model/action_distribution.hpp>
#include <icrl/model/key_value_cache.hpp>
#include <icrl/model/step_embedding.hpp>
#include <icrl/nn/block.hpp>

namespace icrl {

/// The sequence model of Algorithm Distillation: a pre-norm GPT over environment steps, which reads a step's
/// observation and all that happened before, and predicts the action. Trainable by windows (`forward`, `backward`) and
/// streaming (`step`).
template <std::floating_point S>
struct CausalTransformer {
  using Scalar = S;
  using KeyValueCache = icrl::KeyValueCache<S>;

  TransformerConfig config;
  StepLayout layout;
  ActionDistribution actions;
  StepEmbedding<S> embedding;
  std::vector<Block<S>> blocks;
  LayerNorm<S> final_norm;
  Linear<S> head;         ///< (C, parameters of the action distribution)
  RotaryTable<S> rotary;  ///< follows from the configuration; not a weight

  /// All weights zero, all norms one. Throws Error for a configuration or a layout that makes no model.
  CausalTransformer(const TransformerConfig& shape, const StepLayout& steps)
      : config{(validate(shape), shape)},
        layout{(validate(steps), steps)},
        actions{steps.action_space},
        embedding{shape, steps},
        final_norm{shape.width},
        head{shape.width, actions.parameter_count()} {
    for (int i = 0; i < shape.layer_count; ++i) blocks.emplace_back(shape.width, shape.hidden_size(), shape.head_count);
    if (shape.positions == PositionScheme::rotary) rotary = {shape.token_count(), shape.width / shape.head_count};
  }

  /// Normal weights of deviation 0.4 / sqrt(C), those that write into the residual stream divided by sqrt(2 * layers)
  /// (Radford et al., 2019); biases zero. At C = 64 that is 0.05, as the small width wants
  /// more than the usual 0.02.
  void initialise(Rng& rng) {
    const double stddev = 0.4 / std::sqrt(config.width), residual = stddev / std::sqrt(2.0 * config.layer_count);
    embedding.initialise(stddev, rng);
    for (Block<S>& block : blocks) {
      fill_normal(block.attention.qkv.weight, stddev, rng);
      fill_normal(block.attention.output.weight, residual, rng);
      fill_normal(block.mlp.up.weight, stddev, rng);
      fill_normal(block.mlp.down.weight, residual, rng);
    }
    fill_normal(head.weight, stddev, rng);
  }

  /// The weights of the blocks in bfloat16.
  struct Rounded {
    std::vector<typename Block<S>::Rounded> blocks;
    typename Block<S>::RoundingScratch scratch;
  };
  /// Whether training passes can multiply in bfloat16: heads have to be of an even number of numbers.
  [[nodiscard]] bool can_round() const { return config.width / config.head_count % 2 == 0; }
  /// A pass whose cache points to `rounded` multiplies in bfloat16. To be called again after every change of the
  /// weights.
  void round(Rounded& rounded) const requires std::same_as<S, float> {
    ICRL_ASSERT(can_round(), "round: the heads have an odd number of numbers");
    rounded.blocks.resize(blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].round(rounded.blocks[i], rounded.scratch);
  }

  /// The memory of one training pass over one window; sized by the first pass, then reused.
  struct Cache {
    const Rounded* rounded = nullptr;  ///< null: products in S
    Matrix<S> stream, dstream;         ///< (tokens, C), the residual stream and its derivative
    Matrix<S> normed, dnormed;         ///< (T, C), what the head reads
    std::vector<typename Block<S>::Cache> blocks;
    typename Block<S>::Scratch scratch;
    typename LayerNorm<S>::Cache final_norm;
  };

  /// outputs (T, parameters) for a window of T = `steps` rows of features, T <= context.
  void forward(std::span<const float> features, int steps, Cache& cache, MatrixOut<S> outputs) const {
    ICRL_ASSERT(steps > 0 && steps <= config.context, "forward: a window has 1 .. context steps");
    const Index tokens = Index{steps} * config.tokens_per_step();
    reserve_rows(cache.stream, tokens, config.width);
    reserve_rows(cache.normed, steps, config.width);
    if (cache.blocks.size() != blocks.size()) cache.blocks = std::vector<typename Block<S>::Cache>(blocks.size());
    for_each_token(features, steps, [&](const float* row, auto parts, Index t) {
      embedding.forward(row, layout, parts, t, &cache.stream(t, 0));
    });
    for (std::size_t i = 0; i < blocks.size(); ++i)
      blocks[i].forward(rotary, cache.blocks[i], cache.scratch, cache.stream.topRows(tokens), rounded_block(cache, i));
    auto normed = cache.normed.topRows(steps);
    final_norm.forward(acting_rows(cache.stream, steps), cache.final_norm, normed);
    head.forward(normed, outputs);
  }

  /// Adds to `grad`. doutputs (T, parameters); `features` and `cache` are those of the forward pass before.
  void backward(std::span<const float> features, int steps, MatrixIn<S> doutputs, Cache& cache,
                CausalTransformer& grad) const {
    const Index tokens = Index{steps} * config.tokens_per_step();
    reserve_rows(cache.dstream, tokens, config.width);
    reserve_rows(cache.dnormed, steps, config.width);
    auto dnormed = cache.dnormed.topRows(steps);
    auto dstream = cache.dstream.topRows(tokens);
    head.backward(cache.normed.topRows(steps), doutputs, grad.head, dnormed);
    if (config.tokens_per_step() > 1) std::fill_n(dstream.data(), dstream.size(), S(0));
    final_norm.backward(dnormed, cache.final_norm, grad.final_norm, acting_rows(cache.dstream, steps));
    for (std::size_t i = blocks.size(); i-- > 0;)
      blocks[i].backward(rotary, cache.blocks[i], cache.scratch, grad.blocks[i], dstream, rounded_block(cache, i));
    for_each_token(features, steps, [&](const float* row, auto parts, Index t) {
      embedding.backward(row, layout, parts, t, &cache.dstream(t, 0), grad.embedding);
    });
  }

  [[nodiscard]] KeyValueCache make_cache() const { return KeyValueCache{config}; }
  /// So many at once lie side by side in memory, which is quicker to read.
  [[nodiscard]] std::vector<KeyValueCache> make_caches(std::size_t count) const {
    return KeyValueCache::side_by_side(config, count);
  }

  /// One context that takes one step: `features` is a row of the layout. Of one that does not act only the keys and
  /// values are wanted, so that the work after the last layer's is left out.
  struct Lane {
    KeyValueCache* cache;
    const float* features;
    bool acts = true;
  };

  /// Scratch memory of `step`, for any number of lanes; sized by `reserve` or by the largest pass so far.
  struct StreamWorkspace {
    Matrix<S> stream, normed, hidden;  ///< (lanes, C), (lanes, C), (lanes, hidden)
    Matrix<S> qkv, mixed;              ///< (lanes, 3C), (lanes, C)
    Matrix<S> scores;                  ///< (heads, tokens)
    Matrix<S> outputs;                 ///< (lanes, parameters), those of acting lanes first
    std::vector<Index> acting;         ///< numbers of acting lanes
    typename LayerNorm<S>::Cache norm;
  };

  /// Sizes a workspace, so that passes of up to `lanes` lanes allocate nothing.
  void reserve(StreamWorkspace& workspace, Index lanes) const {
    reserve_rows(workspace.stream, lanes, config.width);
    reserve_rows(workspace.normed, lanes, config.width);
    reserve_rows(workspace.mixed, lanes, config.width);
    reserve_rows(workspace.qkv, lanes, 3 * config.width);
    reserve_rows(workspace.hidden, lanes, config.hidden_size());
    reserve_rows(workspace.scores, config.head_count, padded<S>(config.token_count()));
    reserve_rows(workspace.outputs, lanes, actions.parameter_count());
    workspace.acting.reserve(static_cast<std::size_t>(lanes));
    reserve_rows(workspace.norm.x_hat, lanes, config.width);
    reserve_rows(workspace.norm.inverse_stddev, lanes, 1);
  }

  /// Appends one step to every lane's cache, none of which may be full, and writes the rows of outputs (lanes,
  /// parameters) whose lanes act. A lane's result is the last row of `forward` over the steps in its cache, and does
  /// not depend on the other lanes.
  void step(std::span<const Lane> lanes, StreamWorkspace& workspace, MatrixOut<S> outputs) const {
    const auto count = static_cast<Index>(lanes.size());
    ICRL_ASSERT(outputs.rows() >= count && outputs.cols() == actions.parameter_count(), "step: outputs' shape");
    reserve(workspace, count);
    workspace.acting.clear();
    for (int token = 0; token < config.tokens_per_step(); ++token) {
      const auto parts = StepEmbedding<S>::parts_of(config.tokens, token);
      for (Index i = 0; i < count; ++i) {
        const Lane& lane = lanes[static_cast<std::size_t>(i)];
        ICRL_ASSERT(lane.cache->token_count() < config.token_count(), "step: a lane's cache is full");
        embedding.forward(lane.features, layout, parts, lane.cache->token_count(), &workspace.stream(i, 0));
        if (lane.acts && token == config.tokens_per_step() - 1) workspace.acting.push_back(i);
      }
      for (std::size_t layer = 0; layer < blocks.size(); ++layer) step_block(layer, lanes, workspace);
      for (const Lane& lane : lanes) lane.cache->add_token();
    }
    const auto acting = static_cast<Index>(workspace.acting.size());
    auto normed = workspace.normed.topRows(acting);
    final_norm.forward(workspace.stream.topRows(acting), workspace.norm, normed);
    head.forward(normed, workspace.outputs.topRows(acting));
    for (Index i = 0; i < acting; ++i)
      std::copy_n(&workspace.outputs(i, 0), outputs.cols(), &outputs(workspace.acting[static_cast<std::size_t>(i)], 0));
  }

  static constexpr auto parameters() {
    using M = CausalTransformer;
    return std::tuple{Field{"embedding", &M::embedding}, Field{"blocks", &M::blocks},
                      Field{"final_norm", &M::final_norm}, Field{"head", &M::head}};
  }

private:
  static const typename Block<S>::Rounded* rounded_block(const Cache& cache, std::size_t i) {
    if (cache.rounded == nullptr) return nullptr;
    ICRL_ASSERT(i < cache.rounded->blocks.size(), "a pass in bfloat16: round() has to be called first");
    return &cache.rounded->blocks[i];
  }

  /// The last token of every step: the one that has seen the observation, and acts.
  MatrixOut<S> acting_rows(Matrix<S>& tokens, Index steps) const {
    const Index each = config.tokens_per_step();
    return Eigen::Map<Matrix<S>, 0, Eigen::OuterStride<>>{tokens.data() + (each - 1) * config.width, steps,
                                                          config.width, Eigen::OuterStride<>{each * config.width}};
  }

  template <typename Visit>
  void for_each_token(std::span<const float> features, int steps, Visit&& visit) const {
    const int each = config.tokens_per_step();
    ICRL_ASSERT(features.size() >= static_cast<std::size_t>(steps * layout.feature_count()),
                "a window's features are too few");
    for (int t = 0; t < steps; ++t) {
      for (int token = 0; token < each; ++token) {
        visit(features.data() + Index{t} * layout.feature_count(), StepEmbedding<S>::parts_of(config.tokens, token),
              Index{t * each + token});
      }
    }
  }

  /// A layer for one token of every lane. The last one goes on with the acting lanes alone, in the top rows.
  void step_block(std::size_t layer, std::span<const Lane> lanes, StreamWorkspace& workspace) const {
    const Block<S>& block = blocks[layer];
    const bool is_last = layer + 1 == blocks.size();
    const auto all = static_cast<Index>(lanes.size()),
               count = is_last ? static_cast<Index>(workspace.acting.size()) : all;
    const auto cache_of = [&](Index i) { return lanes[static_cast<std::size_t>(i)].cache; };
    // Those of a few lanes are still in the cache.
    for (Index i = 0; all > 4 && i < all; ++i)
      cache_of(i)->layer(static_cast<Index>(layer)).expect(cache_of(i)->token_count());
    block.attention_norm.forward(workspace.stream.topRows(all), workspace.norm, workspace.normed.topRows(all));
    block.attention.qkv.forward(workspace.normed.topRows(all), workspace.qkv.topRows(all));
    for (Index i = 0; i < all; ++i) {
      S* const qkv = &workspace.qkv(i, 0);
      const Index t = cache_of(i)->token_count();
      if (!rotary.empty()) rotary.rotate(qkv, 2 * config.width, t);
      cache_of(i)->layer(static_cast<Index>(layer)).put(t, qkv + config.width, qkv + 2 * config.width);
    }
    for (Index i = 0; i < count; ++i) {
      const Index lane = is_last ? workspace.acting[static_cast<std::size_t>(i)] : i;
      attend(&workspace.qkv(lane, 0), config.head_count, cache_of(lane)->layer(static_cast<Index>(layer)),
             cache_of(lane)->token_count() + 1, workspace.scores, &workspace.mixed(i, 0));
      if (lane != i) std::copy_n(&workspace.stream(lane, 0), config.width, &workspace.stream(i, 0));
    }
    auto stream = workspace.stream.topRows(count);
    auto normed = workspace.normed.topRows(count);
    auto hidden = workspace.hidden.topRows(count);
    block.attention.output.add_forward(workspace.mixed.topRows(count), stream);
    block.mlp_norm.forward(stream, workspace.norm, normed);
    block.mlp.up.forward(normed, hidden);
    gelu_row(hidden.data(), hidden.size());
    block.mlp.down.add_forward(hidden, stream);
  }
};

}  // namespace icrl
