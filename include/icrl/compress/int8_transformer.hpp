// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/compress/exact_actions.hpp>
#include <icrl/compress/int8_block.hpp>
#include <icrl/compress/int8_embedding.hpp>
#include <icrl/compress/int8_transformer_config.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/transformer_shape.hpp>

namespace icrl {

/// A `CausalTransformer` in integers: int8 weights, activations, keys and values, embedding rows. It can act but not be
/// trained; `to_int8` converts a trained model to it. Its outputs are a function of its tensors and inputs alone: they
/// have the same bits on every target and CPU, by every compiler, for one stream and for many in a pass.
struct Int8Transformer {
  /// Type of the outputs.
  using Scalar = float;
  static constexpr std::string_view kind = "int8_transformer";
  using State = Int8Cache;

  Int8TransformerConfig config;
  StepLayout layout;
  ExactActions actions;
  Int8Embedding embedding;
  std::vector<Int8Block> blocks;
  Int8Norm final_norm;
  Int8Linear head;     ///< (C, parameters of the action distribution)
  ExactRotary rotary;  ///< follows from the configuration
  /// Whose kernels are used, the quickest of this CPU unless you say otherwise. `is_available(level)` has to be true.
  CpuLevel level = best_cpu_level();

  /// All weights zero. Throws Error for an invalid configuration or layout.
  Int8Transformer(const Int8TransformerConfig& shape, const StepLayout& steps)
      : config{checked(shape)},
        layout{checked(steps)},
        actions{steps.action_space},
        embedding{detail::embedding_config(shape), steps},
        final_norm{shape.width},
        head{shape.width, actions.parameter_count(), shape.head_bits, shape.group} {
    for (int i = 0; i < shape.layer_count; ++i)
      blocks.emplace_back(detail::block_shape(shape, i), shape.bits_of(i), shape.group);
    if (shape.positions == PositionScheme::rotary) rotary = {shape.token_count(), shape.head_size()};
  }

  /// Count of numbers in the tensors of such a model, without constructing it.
  [[nodiscard]] static std::int64_t weight_count(const Int8TransformerConfig& shape, const StepLayout& steps) {
    const int outputs = ActionDistribution{steps.action_space}.parameter_count();
    std::int64_t count = Int8Embedding::weight_count(detail::embedding_config(shape), steps) +
                         Int8Norm::weight_count(shape.width) +
                         Int8Linear::weight_count(shape.width, outputs, shape.head_bits, shape.group);
    for (int i = 0; i < shape.layer_count; ++i)
      count += Int8Block::weight_count(detail::block_shape(shape, i), shape.bits_of(i), shape.group);
    return count;
  }

  /// Call this after tensors were changed or read from a file: it packs the weights for products. Throws Error, which
  /// begins with `what`, for a number outside its range.
  void finish_loading(const std::string& what) {
    embedding.check_valid(what + ": embedding");
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].pack(fmt::format("{}: blocks.{}", what, i));
    final_norm.pack(what + ": final_norm");
    head.pack(what + ": head");
  }

  [[nodiscard]] WindowStart window_start() const { return config.window_start; }
  [[nodiscard]] std::optional<int> max_stream_length() const { return config.context; }
  [[nodiscard]] State make_state() const { return State{config}; }
  /// The states of `count` streams, side by side in memory.
  [[nodiscard]] std::vector<State> make_states(std::size_t count) const { return State::side_by_side(config, count); }

  /// Scratch memory of `step`.
  struct StreamWorkspace {
    Matrix<float> stream;            ///< (lanes, C)
    Matrix<float> outputs;           ///< (lanes, parameters), those of acting lanes first
    std::vector<Int8Place> places;   ///< of every lane
    std::vector<Index> all, acting;  ///< numbers of lanes
    Int8Scratch scratch;             ///< of all layers
  };

  /// Sizes a workspace, so that passes of up to `lanes` lanes allocate nothing.
  void reserve(StreamWorkspace& workspace, Index lanes) const {
    reserve_rows(workspace.stream, lanes, config.width);
    reserve_rows(workspace.outputs, lanes, actions.parameter_count());
    const auto count = static_cast<std::size_t>(lanes);
    workspace.places.reserve(count);
    workspace.acting.reserve(count);
    for (std::size_t i = workspace.all.size(); i < count; ++i) workspace.all.push_back(static_cast<Index>(i));
    Index widest = std::max<Index>(config.width, actions.parameter_count());
    for (const Int8Block& block : blocks) widest = std::max(widest, block.widest());
    workspace.scratch.reserve(lanes, widest, config.token_count(), config.head_count, config.head_size());
  }

  /// As CausalTransformer::step: appends one step to every lane's cache, none of which may be full, and writes the rows
  /// of outputs (lanes, parameters) that are wanted. A lane's result does not depend on the other lanes.
  void step(std::span<const StreamInput<State>> lanes, StreamWorkspace& workspace, MatrixOut<float> outputs) const {
    ICRL_ASSERT(outputs.rows() >= static_cast<Index>(lanes.size()) && outputs.cols() == actions.parameter_count(),
                "step: outputs must have a row per lane and parameter_count() columns");
    reserve(workspace, static_cast<Index>(lanes.size()));
    detail::with_int8_kernels(level, [&](auto kernels) { step_by(kernels, lanes, workspace); });
    for (std::size_t i = 0; i < workspace.acting.size(); ++i)
      std::copy_n(&workspace.outputs(static_cast<Index>(i), 0), outputs.cols(), &outputs(workspace.acting[i], 0));
  }

  static constexpr auto tensors() {
    using M = Int8Transformer;
    return std::tuple{Field{"embedding", &M::embedding}, Field{"blocks", &M::blocks},
                      Field{"final_norm", &M::final_norm}, Field{"head", &M::head}};
  }

private:
  template <typename Kernels>
  void step_by(Kernels kernels, std::span<const StreamInput<State>> lanes, StreamWorkspace& workspace) const {
    const auto count = static_cast<Index>(lanes.size());
    const std::span<const Index> all{workspace.all.data(), lanes.size()};
    const int tokens = config.tokens_per_step();
    workspace.acting.clear();
    for (int token = 0; token < tokens; ++token) {
      workspace.places.clear();
      for (Index i = 0; i < count; ++i) {
        const StreamInput<State>& lane = lanes[static_cast<std::size_t>(i)];
        const Index position = lane.state->token_count();
        ICRL_ASSERT(position < config.token_count(), "step: a lane's cache is full");
        workspace.places.push_back({lane.state, position});
        embedding.step(kernels, lane.features, token, position, row_data(workspace.stream, i));
        if (lane.wants_output && token == tokens - 1) workspace.acting.push_back(i);
      }
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        blocks[i].step(kernels, rotary, static_cast<Index>(i), workspace.places,
                       i + 1 == blocks.size() ? std::span<const Index>{workspace.acting} : all, workspace.scratch,
                       workspace.stream.topRows(count));
      }
      for (const StreamInput<State>& lane : lanes) lane.state->add_token();
    }
    const auto acting = static_cast<Index>(workspace.acting.size());
    Int8Scratch& scratch = workspace.scratch;
    for (Index r = 0; r < acting; ++r) final_norm.forward(kernels, row_data(workspace.stream, r), &scratch.rows(r, 0));
    const auto rows = scratch.quantize(kernels, scratch.rows.data(), scratch.rows.cols(), acting, config.width);
    kernels.multiply(head.view(), rows, /*add*/ false, workspace.outputs.data(), workspace.outputs.outerStride());
  }

  template <typename T>
  static const T& checked(const T& value) {
    validate(value);
    return value;
  }
};

}  // namespace icrl
