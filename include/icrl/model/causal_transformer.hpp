// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <icrl/env/action_distribution.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/key_value_cache.hpp>
#include <icrl/model/step_embedding.hpp>
#include <icrl/model/transformer_shape.hpp>
#include <icrl/nn/block.hpp>

namespace icrl {

/// The types that a transformer is made of. Derive from it and name another type to replace one: quantized maps,
/// experts, an encoder of images, a head of more outputs. If a part has no backward pass, the model acts but cannot be
/// trained.
template <std::floating_point S>
struct DenseParts {
  static constexpr std::string_view kind = "causal_transformer";  ///< what files and errors call the model
  /// TransformerConfig, or a type derived from it; a feed-forward layer with a constructor (width, hidden, config) gets
  /// it.
  using Config = TransformerConfig;
  using Encoder = StepEmbedding<S>;
  using Linear = icrl::Linear<S>;  ///< of attention
  using FeedForward = icrl::FeedForward<S, Linear>;
  template <typename L, typename F>
  using Block = icrl::Block<S, L, F>;  ///< of such linear maps and feed-forward layers
  using FinalNorm = LayerNorm<S>;      ///< after the last block
  using Head = icrl::Linear<S>;        ///< from the last norm to the outputs
};

/// The sequence model of Algorithm Distillation: a GPT (pre-norm, unless its parts say otherwise) over environment
/// steps, which reads a step's observation and all that happened before, and predicts the action. Trainable by windows
/// (`forward`, `backward`) and streaming (`step`).
template <std::floating_point S, typename Parts = DenseParts<S>>
struct CausalTransformer {
  using Scalar = S;
  static constexpr std::string_view kind = Parts::kind;
  using Config = typename Parts::Config;
  using State = KeyValueCache<S>;
  using Encoder = typename Parts::Encoder;
  /// One block.
  using Layer = typename Parts::template Block<typename Parts::Linear, typename Parts::FeedForward>;
  using FinalNorm = typename Parts::FinalNorm;  ///< after the last block
  using Head = typename Parts::Head;
  static constexpr bool is_trainable = TrainableStepEncoder<Encoder> && Layer::is_trainable && TrainableLinearMap<Head>;

  Config config;
  StepLayout layout;
  ActionDistribution actions;
  Encoder embedding;
  std::vector<Layer> blocks;
  FinalNorm final_norm;
  Head head;              ///< (C, outputs); `actions` reads the first of them, with a plain head all
  RotaryTable<S> rotary;  ///< follows from the configuration; not a weight

  /// All weights zero, all norms one. Throws Error for an invalid configuration or layout.
  CausalTransformer(const Config& shape, const StepLayout& steps)
      : config{checked(shape)},
        layout{checked(steps)},
        actions{steps.action_space},
        embedding{detail::embedding_config(shape), steps},
        final_norm{shape.width},
        head{shape.width, actions.parameter_count()} {
    for (int i = 0; i < shape.layer_count; ++i) {
      if constexpr (configures_feed_forward) {
        blocks.emplace_back(detail::block_shape(shape, i), shape);
      } else {
        blocks.emplace_back(detail::block_shape(shape, i));
      }
    }
    if (shape.positions == PositionScheme::rotary) rotary = {shape.token_count(), shape.head_size()};
  }

  /// Number of weights of such a model, without constructing it.
  [[nodiscard]] static std::int64_t weight_count(const Config& shape, const StepLayout& steps) {
    std::int64_t count = Encoder::weight_count(detail::embedding_config(shape), steps) +
                         FinalNorm::weight_count(shape.width) +
                         Head::weight_count(shape.width, ActionDistribution{steps.action_space}.parameter_count());
    for (int i = 0; i < shape.layer_count; ++i) {
      if constexpr (configures_feed_forward) {
        count += Layer::weight_count(detail::block_shape(shape, i), shape);
      } else {
        count += Layer::weight_count(detail::block_shape(shape, i));
      }
    }
    return count;
  }

  /// For a fresh model: normal weights of standard deviation 0.4 / sqrt(C), divided by sqrt(2 * layers) for weights
  /// that write into the residual stream (Radford et al., 2019); biases and norms stay. At C = 64 this is 0.05, because
  /// a small width needs more than the usual 0.02.
  void initialize(Rng& rng) requires is_trainable {
    const double stddev = 0.4 / std::sqrt(config.width), residual = stddev / std::sqrt(2.0 * config.layer_count);
    embedding.initialize(stddev, rng);
    for (Layer& block : blocks) block.initialize({stddev, residual}, rng);
    head.initialize({stddev, stddev}, rng);
  }

  /// Memory of the parts before and after the blocks in one training pass over one window.
  struct EndsCache {
    Matrix<S> stream, dstream;  ///< (tokens, C), the residual stream and its derivative
    Matrix<S> normed, dnormed;  ///< (T, C), what the head reads
    LayerCache<Encoder> embedding;
    typename FinalNorm::Cache final_norm;
    LayerCache<Head> head;
    typename Head::Scratch head_scratch;  ///< of the head, for both directions
  };
  /// Outputs per step, P here and below.
  [[nodiscard]] int output_count() const { return static_cast<int>(head.output_size()); }

  /// The memory of one training pass over one window; sized by the first pass, then reused.
  struct Cache {
    EndsCache ends;
    std::vector<typename Layer::Cache> blocks;
    std::vector<typename Layer::Scratch> scratch;  ///< one, or one per block where their sizes differ
  };

  /// outputs (T, P) for a window of T = `steps` rows of features, T <= context.
  void forward(std::span<const float> features, int steps, Cache& cache,
               MatrixOut<S> outputs) const requires is_trainable {
    cache.blocks.resize(blocks.size());
    cache.scratch.resize(scratch_count());
    MatrixOut<S> stream = embed(features, steps, cache.ends);
    for (std::size_t i = 0; i < blocks.size(); ++i)
      blocks[i].forward(rotary, cache.blocks[i], cache.scratch[scratch_of(i)], stream);
    read_out(steps, cache.ends, outputs);
  }

  /// Adds to `grad`. doutputs (T, P); `features` and `cache` are those of the forward pass before.
  void backward(std::span<const float> features, int steps, MatrixIn<S> doutputs, Cache& cache,
                CausalTransformer& grad) const requires is_trainable {
    MatrixOut<S> dstream = read_out_backward(steps, doutputs, cache.ends, grad);
    for (std::size_t i = blocks.size(); i-- > 0;)
      blocks[i].backward(rotary, cache.blocks[i], cache.scratch[scratch_of(i)], grad.blocks[i], dstream);
    embed_backward(features, steps, cache.ends, grad);
  }

  // The ends of a training pass, for passes that bring their own blocks.

  /// The tokens of a window, which are the residual stream: (tokens, C).
  [[nodiscard]] MatrixOut<S> embed(std::span<const float> features, int steps,
                                   EndsCache& cache) const requires is_trainable {
    ICRL_ASSERT(steps > 0 && steps <= config.context, "forward: steps must lie in 1 .. context");
    const Index tokens = Index{steps} * config.tokens_per_step();
    reserve_rows(cache.stream, tokens, config.width);
    embedding.forward(features, steps, cache.embedding, cache.stream.topRows(tokens));
    return cache.stream.topRows(tokens);
  }
  /// outputs (T, P) from the residual stream after the blocks.
  void read_out(int steps, EndsCache& cache, MatrixOut<S> outputs) const requires is_trainable {
    reserve_rows(cache.normed, steps, config.width);
    auto normed = cache.normed.topRows(steps);
    final_norm.forward(acting_rows(cache.stream, steps), cache.final_norm, normed);
    head.forward(normed, cache.head, cache.head_scratch, outputs);
  }
  /// The derivative of the residual stream.
  [[nodiscard]] MatrixOut<S> read_out_backward(int steps, MatrixIn<S> doutputs, EndsCache& cache,
                                               CausalTransformer& grad) const requires is_trainable {
    const Index tokens = Index{steps} * config.tokens_per_step();
    reserve_rows(cache.dstream, tokens, config.width);
    reserve_rows(cache.dnormed, steps, config.width);
    auto dnormed = cache.dnormed.topRows(steps);
    auto dstream = cache.dstream.topRows(tokens);
    head.backward(cache.normed.topRows(steps), doutputs, cache.head, cache.head_scratch, grad.head, dnormed);
    if (config.tokens_per_step() > 1) std::fill_n(dstream.data(), dstream.size(), S(0));
    final_norm.backward(dnormed, cache.final_norm, grad.final_norm, acting_rows(cache.dstream, steps));
    return dstream;
  }
  /// The last step of a backward pass: from the derivative of the residual stream to the encoder's gradient.
  void embed_backward(std::span<const float> features, int steps, EndsCache& cache,
                      CausalTransformer& grad) const requires is_trainable {
    const Index tokens = Index{steps} * config.tokens_per_step();
    embedding.backward(features, steps, cache.dstream.topRows(tokens), cache.embedding, grad.embedding);
  }

  /// Blocks of one size share their scratch memory, so that it stays in a core's cache.
  [[nodiscard]] std::size_t scratch_count() const { return has_equal_blocks() ? 1 : blocks.size(); }
  /// Which of the scratch memories a block uses.
  [[nodiscard]] std::size_t scratch_of(std::size_t block) const { return has_equal_blocks() ? 0 : block; }

  /// Where its training windows begin, and the most rows of a window and of a stream.
  [[nodiscard]] WindowStart window_start() const { return config.window_start; }
  [[nodiscard]] std::optional<int> max_window() const { return config.context; }
  [[nodiscard]] std::optional<int> max_stream_length() const { return config.context; }

  [[nodiscard]] State make_state() const { return State{config}; }
  /// The states of `count` streams, side by side in memory, which is faster to read.
  [[nodiscard]] std::vector<State> make_states(std::size_t count) const { return State::side_by_side(config, count); }

  /// Scratch memory of `step`, for any number of lanes; sized by `reserve` or by the largest pass so far.
  struct StreamWorkspace {
    Matrix<S> stream, normed;                            ///< (lanes, C)
    Matrix<S> outputs;                                   ///< (lanes, P), those of acting lanes first
    std::vector<StreamPlace<S>> places;                  ///< of every lane in the present layer
    std::vector<Index> all, acting;                      ///< numbers of lanes
    std::vector<typename Layer::StreamScratch> scratch;  ///< one, or one per block where their sizes differ
    typename Encoder::Scratch embedding;
    typename FinalNorm::Scratch norm;
    typename Head::Scratch head;
  };

  /// Sizes a workspace, so that passes of up to `lanes` lanes allocate nothing.
  void reserve(StreamWorkspace& workspace, Index lanes) const {
    reserve_rows(workspace.stream, lanes, config.width);
    reserve_rows(workspace.normed, lanes, config.width);
    reserve_rows(workspace.outputs, lanes, head.output_size());
    const auto count = static_cast<std::size_t>(lanes);
    workspace.places.reserve(count);
    workspace.acting.reserve(count);
    for (std::size_t i = workspace.all.size(); i < count; ++i) workspace.all.push_back(static_cast<Index>(i));
    workspace.scratch.resize(scratch_count());
    for (std::size_t i = 0; i < workspace.scratch.size(); ++i)
      blocks[i].reserve(workspace.scratch[i], lanes, config.token_count());
    embedding.reserve(workspace.embedding);
    final_norm.reserve(workspace.norm);
    head.reserve(workspace.head, lanes);
  }

  /// Appends one step to every lane's cache, none of which may be full, and writes the rows of outputs (lanes, P) that
  /// are wanted. A lane's result is the last row of `forward` over the steps in its cache, unless experts have a
  /// capacity in training, and does not depend on the other lanes. If no output is wanted, the work after the last
  /// layer's keys and values is skipped.
  void step(std::span<const StreamInput<State>> lanes, StreamWorkspace& workspace, MatrixOut<S> outputs) const {
    const auto count = static_cast<Index>(lanes.size());
    ICRL_ASSERT(outputs.rows() >= count && outputs.cols() == head.output_size(),
                "step: outputs must have a row per lane and the head's output_size() columns");
    reserve(workspace, count);
    workspace.acting.clear();
    const std::span<const Index> all{workspace.all.data(), lanes.size()};
    const int tokens = config.tokens_per_step();
    for (int token = 0; token < tokens; ++token) {
      for (Index i = 0; i < count; ++i) {
        const StreamInput<State>& lane = lanes[static_cast<std::size_t>(i)];
        ICRL_ASSERT(lane.state->token_count() < config.token_count(), "step: a lane's cache is full");
        embedding.step({lane.features, static_cast<std::size_t>(layout.feature_count())}, token,
                       lane.state->token_count(), workspace.embedding, &workspace.stream(i, 0));
        if (lane.wants_output && token == tokens - 1) workspace.acting.push_back(i);
      }
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        workspace.places.clear();
        for (const StreamInput<State>& lane : lanes)
          workspace.places.push_back({lane.state->layer(static_cast<Index>(i)), lane.state->token_count()});
        blocks[i].step(rotary, workspace.places, i + 1 == blocks.size() ? workspace.acting : all,
                       workspace.scratch[scratch_of(i)], workspace.stream.topRows(count));
      }
      for (const StreamInput<State>& lane : lanes) lane.state->add_token();
    }
    const auto acting = static_cast<Index>(workspace.acting.size());
    auto normed = workspace.normed.topRows(acting);
    final_norm.forward(workspace.stream.topRows(acting), workspace.norm, normed);
    head.forward(normed, workspace.head, workspace.outputs.topRows(acting));
    for (Index i = 0; i < acting; ++i)
      std::copy_n(&workspace.outputs(i, 0), outputs.cols(), &outputs(workspace.acting[static_cast<std::size_t>(i)], 0));
  }

  static constexpr auto parameters() {
    using M = CausalTransformer;
    return std::tuple{Field{"embedding", &M::embedding}, Field{"blocks", &M::blocks},
                      Field{"final_norm", &M::final_norm}, Field{"head", &M::head}};
  }

private:
  static constexpr bool configures_feed_forward =
      std::constructible_from<typename Parts::FeedForward, Index, Index, const Config&>;

  [[nodiscard]] bool has_equal_blocks() const { return config.layer_heads.empty() && config.layer_hidden.empty(); }

  template <typename T>
  static const T& checked(const T& value) {
    validate(value);
    return value;
  }

  /// The last token of every step: the one that has seen the observation, and acts.
  MatrixOut<S> acting_rows(Matrix<S>& tokens, Index steps) const {
    const Index each = config.tokens_per_step();
    return Eigen::Map<Matrix<S>, 0, Eigen::OuterStride<>>{tokens.data() + (each - 1) * config.width, steps,
                                                          config.width, Eigen::OuterStride<>{each * config.width}};
  }
};

}  // namespace icrl
