// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include <icrl/core/config_fields.hpp>
#include <icrl/env/action_distribution.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/step_embedding.hpp>
#include <icrl/nn/recurrent_block.hpp>

namespace icrl {

/// The shape of a `RecurrentModel`.
struct RecurrentConfig {
  int width = 64;            ///< C, numbers per step
  int layer_count = 4;       ///< blocks
  int state_size = 64;       ///< N, numbers that each block remembers
  int hidden = 256;          ///< width inside the feed-forward layers
  int longest_memory = 200;  ///< environment steps that fresh weights reach back, at most
  double reward_scale = 1;   ///< rewards are multiplied by this before they are embedded

  static constexpr auto fields() {
    using C = RecurrentConfig;
    constexpr double max_scale = static_cast<double>(std::numeric_limits<float>::max());
    return std::tuple{
        IntField<C>{"width", &C::width, 1, 8192, "width {}", "numbers per step"},
        IntField<C>{"layer_count", &C::layer_count, 1, 256, "layers {}", "blocks"},
        IntField<C>{"state_size", &C::state_size, 1, 65536, "state {}", "numbers that each block remembers"},
        IntField<C>{"hidden", &C::hidden, 1, 65536, "hidden {}", "width inside the feed-forward layers"},
        IntField<C>{"longest_memory", &C::longest_memory, 1, 1 << 20, "memory of {}",
                    "environment steps that fresh weights reach back, at most"},
        RealField<C>{"reward_scale", &C::reward_scale, -max_scale, max_scale, "reward scale {}",
                     "rewards are multiplied by it"}};
  }

  friend bool operator==(const RecurrentConfig&, const RecurrentConfig&) = default;
};

/// Throws Error naming the first invalid value.
inline void validate(const RecurrentConfig& config) { validate_fields(config, "recurrent model"); }

/// A sequence model of Algorithm Distillation whose memory is a state of fixed size: it reads one step at a time, is
/// trained on windows of any length, and streams forever at a constant time per step. H: of its outputs, a Linear or a
/// ValueHead.
template <std::floating_point S, typename H = Linear<S>>
struct RecurrentModel {
  using Scalar = S;
  using Head = H;  ///< from the last norm to the outputs
  /// What files and errors call the model.
  static constexpr std::string_view kind =
      std::same_as<Head, Linear<S>> ? "gated_recurrence" : "value_gated_recurrence";

  RecurrentConfig config;
  StepLayout layout;
  ActionDistribution actions;
  StepEmbedding<S> embedding;
  std::vector<RecurrentBlock<S>> blocks;
  LayerNorm<S> final_norm;
  Head head;  ///< (C, outputs); `actions` reads the first of them, with a plain head all

  /// All weights zero, all norms one. Throws Error for an invalid configuration or layout.
  RecurrentModel(const RecurrentConfig& shape, const StepLayout& steps)
      : config{checked(shape)},
        layout{checked(steps)},
        actions{steps.action_space},
        embedding{embedding_config(shape), steps},
        blocks(static_cast<std::size_t>(shape.layer_count),
               RecurrentBlock<S>{shape.width, shape.state_size, shape.hidden}),
        final_norm{shape.width},
        head{shape.width, actions.parameter_count()} {}

  /// Number of weights of such a model, without constructing it.
  [[nodiscard]] static std::int64_t weight_count(const RecurrentConfig& shape, const StepLayout& steps) {
    return StepEmbedding<S>::weight_count(embedding_config(shape), steps) +
           shape.layer_count * RecurrentBlock<S>::weight_count(shape.width, shape.state_size, shape.hidden) +
           LayerNorm<S>::weight_count(shape.width) +
           Head::weight_count(shape.width, ActionDistribution{steps.action_space}.parameter_count());
  }

  /// For a fresh model: weights as in CausalTransformer; see GatedRecurrence for its gates.
  void initialize(Rng& rng) {
    const double stddev = 0.4 / std::sqrt(config.width), residual = stddev / std::sqrt(2.0 * config.layer_count);
    embedding.initialize(stddev, rng);
    for (RecurrentBlock<S>& block : blocks) block.initialize({stddev, residual}, config.longest_memory, rng);
    head.initialize(stddev, rng);
  }

  /// The memory of one training pass over one window; sized by the first pass, then reused.
  struct Cache {
    Matrix<S> stream, dstream, normed, dnormed;  ///< (T, C)
    NoMemory embedding;
    std::vector<typename RecurrentBlock<S>::Cache> blocks;
    typename RecurrentBlock<S>::Scratch scratch;  ///< of all blocks
    typename LayerNorm<S>::Cache final_norm;
  };

  /// P: outputs per step.
  [[nodiscard]] int output_count() const { return static_cast<int>(head.output_size()); }

  /// outputs (T, P) for a window of T = `steps` rows of features.
  void forward(std::span<const float> features, int steps, Cache& cache, MatrixOut<S> outputs) const {
    reserve_rows(cache.stream, steps, config.width);
    reserve_rows(cache.normed, steps, config.width);
    cache.blocks.resize(blocks.size());
    auto stream = cache.stream.topRows(steps), normed = cache.normed.topRows(steps);
    embedding.forward(features, steps, cache.embedding, stream);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].forward(cache.blocks[i], cache.scratch, stream);
    final_norm.forward(stream, cache.final_norm, normed);
    head.forward(normed, outputs);
  }

  /// Adds to `grad`. doutputs (T, P); `features` and `cache` are those of the forward pass before.
  void backward(std::span<const float> features, int steps, MatrixIn<S> doutputs, Cache& cache,
                RecurrentModel& grad) const {
    reserve_rows(cache.dstream, steps, config.width);
    reserve_rows(cache.dnormed, steps, config.width);
    auto dstream = cache.dstream.topRows(steps), dnormed = cache.dnormed.topRows(steps);
    head.backward(cache.normed.topRows(steps), doutputs, grad.head, dnormed);
    final_norm.backward(dnormed, cache.final_norm, grad.final_norm, dstream);
    for (std::size_t i = blocks.size(); i-- > 0;)
      blocks[i].backward(cache.blocks[i], cache.scratch, grad.blocks[i], dstream);
    embedding.backward(features, steps, dstream, cache.embedding, grad.embedding);
  }

  /// Windows may have any length, and streams have no end.
  [[nodiscard]] std::optional<int> max_window() const { return {}; }
  [[nodiscard]] std::optional<int> max_stream_length() const { return {}; }

  /// The state of one stream: N numbers per block.
  class State {
  public:
    /// `size` zeros: N per block.
    explicit State(std::size_t size) : numbers_(size) {}
    /// Steps since the state was made or cleared.
    [[nodiscard]] std::int64_t length() const { return length_; }
    void clear() {
      std::fill(numbers_.begin(), numbers_.end(), S(0));
      length_ = 0;
    }
    /// Bytes: i64 length, then all numbers.
    void save(ByteWriter& out) const {
      out.value(length_);
      out.values(std::span{numbers_});
    }
    /// Throws Error for a number that is not finite.
    void restore(ByteReader& in) {
      length_ = in.value_in<std::int64_t>("length of a state", 0, std::int64_t{1} << 62);
      in.values(std::span{numbers_});
      for (std::size_t i = 0; i < numbers_.size(); ++i)
        if (!std::isfinite(numbers_[i]))
          fail("{}: number {} of a state is {}, it must be finite", in.what(), i, numbers_[i]);
    }

  private:
    friend struct RecurrentModel;
    std::vector<S> numbers_;
    std::int64_t length_ = 0;
  };
  [[nodiscard]] std::vector<State> make_states(std::size_t count) const {
    return std::vector<State>(count, State{blocks.size() * static_cast<std::size_t>(config.state_size)});
  }

  /// Scratch memory of `step`.
  struct StreamWorkspace {
    Matrix<S> stream, normed, outputs;  ///< (streams, C), (streams, C), (streams, parameters)
    std::vector<S*> states;             ///< of the present block
    NoMemory embedding;
    typename RecurrentBlock<S>::StreamScratch scratch;  ///< of all blocks
    typename LayerNorm<S>::Scratch norm;
  };
  void reserve(StreamWorkspace& workspace, Index streams) const {
    reserve_rows(workspace.stream, streams, config.width);
    reserve_rows(workspace.normed, streams, config.width);
    reserve_rows(workspace.outputs, streams, head.output_size());
    workspace.states.reserve(static_cast<std::size_t>(streams));
    blocks.front().reserve(workspace.scratch, streams);
    final_norm.reserve(workspace.norm);
  }

  /// One step of every stream; writes the rows of outputs (streams, parameters) that are wanted. A stream's result is
  /// the last row of `forward` over all its steps, and does not depend on the other streams.
  void step(std::span<const StreamInput<State>> inputs, StreamWorkspace& workspace, MatrixOut<S> outputs) const {
    const auto count = static_cast<Index>(inputs.size());
    ICRL_ASSERT(outputs.rows() >= count && outputs.cols() == head.output_size(),
                "step: outputs must have a row per input and the head's output_size() columns");
    reserve(workspace, count);
    auto stream = workspace.stream.topRows(count), normed = workspace.normed.topRows(count);
    for (Index i = 0; i < count; ++i) {
      const float* const row = inputs[static_cast<std::size_t>(i)].features;
      embedding.step({row, static_cast<std::size_t>(layout.feature_count())}, 0, 0, workspace.embedding, &stream(i, 0));
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      workspace.states.clear();
      for (const StreamInput<State>& input : inputs)
        workspace.states.push_back(input.state->numbers_.data() + i * static_cast<std::size_t>(config.state_size));
      blocks[i].step(workspace.states, workspace.scratch, stream);
    }
    for (const StreamInput<State>& input : inputs) ++input.state->length_;
    final_norm.forward(stream, workspace.norm, normed);
    head.forward(normed, workspace.outputs.topRows(count));
    for (Index i = 0; i < count; ++i)
      if (inputs[static_cast<std::size_t>(i)].wants_output)
        std::copy_n(&workspace.outputs(i, 0), outputs.cols(), &outputs(i, 0));
  }

  static constexpr auto parameters() {
    using M = RecurrentModel;
    return std::tuple{Field{"embedding", &M::embedding}, Field{"blocks", &M::blocks},
                      Field{"final_norm", &M::final_norm}, Field{"head", &M::head}};
  }

private:
  template <typename T>
  static const T& checked(const T& value) {
    validate(value);
    return value;
  }
  static StepEmbeddingConfig embedding_config(const RecurrentConfig& shape) {
    return {.width = shape.width, .reward_scale = shape.reward_scale};
  }
};

}  // namespace icrl
