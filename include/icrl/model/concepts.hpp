// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/config_fields.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/env/action_distribution.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/nn/dropout.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// A model of histories: it has the name of its kind, which files hold; its configuration, which `describe` turns into
/// text (automatic for a configuration with `fields()`, see core/config_fields.hpp); the layout of a step; and an
/// ActionDistribution that reads its outputs.
template <typename M>
concept SequenceModel = requires(const M& model) {
  typename M::Scalar;
  { M::kind } -> std::convertible_to<std::string_view>;
  { describe(model.config) } -> std::convertible_to<std::string>;
  { model.layout } -> std::convertible_to<const StepLayout&>;
  { model.actions } -> std::convertible_to<const ActionDistribution&>;
};

/// The type of a model's configuration.
template <SequenceModel M>
using ConfigOf = std::remove_cvref_t<decltype(std::declval<const M&>().config)>;

/// Optional: a model says where the windows that it is trained on begin. Without it they may begin anywhere.
template <typename M>
concept HasWindowStart = requires(const M& model) {
  { model.window_start() } -> std::same_as<WindowStart>;
};

/// Where the windows of a model begin.
template <SequenceModel M>
[[nodiscard]] WindowStart window_start_of(const M& model) {
  if constexpr (HasWindowStart<M>) return model.window_start();
  return WindowStart::anywhere;
}

/// Optional: the number of outputs per step, if there are more than its `actions` read, such as values. `actions` reads
/// the first.
template <typename M>
concept HasOutputCount = requires(const M& model) {
  { model.output_count() } -> std::convertible_to<int>;
};

/// P, the outputs of a model per step.
template <SequenceModel M>
[[nodiscard]] int output_count_of(const M& model) {
  if constexpr (HasOutputCount<M>) return model.output_count();
  return model.actions.parameter_count();
}

/// A model that can be trained: windows forward and back, and a list of its weights. `max_window()`: the rows of its
/// windows; none if windows may have any length.
template <typename M>
concept Trainable = SequenceModel<M> && Parameterized<M> && std::copyable<M> &&
    requires(const M& model, std::span<const float> features, typename M::Cache& cache, M& grad,
             Matrix<typename M::Scalar>& outputs) {
  { model.max_window() } -> std::same_as<std::optional<int>>;
  model.forward(features, 1, cache, outputs);
  model.backward(features, 1, outputs, cache, grad);
};

/// A training pass over a model: the model itself, or a separate object, such as one with products in bfloat16 or with
/// dropout, whose `model()` returns the model.
template <typename P, typename M>
concept TrainingPass = requires(const P& pass, std::span<const float> features, typename P::Cache& cache, M& grad,
                                Matrix<typename M::Scalar>& outputs) {
  pass.forward(features, 1, cache, outputs);
  pass.backward(features, 1, outputs, cache, grad);
};

/// The pass of a model whose products are in bfloat16; void if it has none, to be specialized by those that do. It is
/// constructed from a model for which `can_be(model)`; call `pack()` after every change of the weights.
template <typename M>
struct Bf16PassOf {
  using Type = void;  ///< there is none
};
/// The type of a model's pass in bfloat16, or void.
template <typename M>
using Bf16Pass = typename Bf16PassOf<M>::Type;
/// A model that has such a pass.
template <typename M>
concept HasBf16Pass = Trainable<M> && TrainingPass<Bf16Pass<M>, M> && requires(const M& model, Bf16Pass<M>& pass) {
  { Bf16Pass<M>::can_be(model) } -> std::same_as<bool>;
  (Bf16Pass<M>{model});
  pass.pack();
};

/// The pass of a model with dropout; void if it has none. It is constructed from a model and rates. Set its
/// cache's `masks`, a generator, before every `forward`: it determines what is dropped.
template <typename M>
struct DropoutPassOf {
  using Type = void;  ///< there is none
};
/// The type of a model's pass with dropout, or void.
template <typename M>
using DropoutPass = typename DropoutPassOf<M>::Type;
/// A model that has such a pass.
template <typename M>
concept HasDropoutPass = Trainable<M> && TrainingPass<DropoutPass<M>, M> &&
    requires(const M& model, const DropoutRates& rates, typename DropoutPass<M>::Cache& cache, const Rng& rng) {
  (DropoutPass<M>{model, rates});
  cache.masks = rng;
};

/// What a model remembers of one stream, a value. `length()`: steps since it was made or cleared. `restore` takes what
/// `save` of a state of the same model wrote, checks it, and throws Error; after that the state has to be cleared.
template <typename State>
concept StreamState = std::copyable<State> &&
    requires(State& state, const State& frozen, ByteWriter& out, ByteReader& in) {
  { frozen.length() } -> std::convertible_to<std::int64_t>;
  state.clear();
  frozen.save(out);
  state.restore(in);
};

/// The next step of one stream in a pass.
template <typename State>
struct StreamInput {
  State* state;              ///< of the stream; changed by the pass
  const float* features;     ///< (F), a row of the model's layout
  bool wants_output = true;  ///< if not, only the state changes, and its row of the outputs is not written
};

/// A model that can act: one step in, outputs out, over states that the caller owns. `max_stream_length()`: the steps
/// that a state can take; none if it takes any number, as a recurrent one does. Made together, states may lie side by
/// side in memory. After `reserve(workspace, n)` a pass over n inputs allocates nothing; it writes row i of `outputs`
/// for input i, and no input affects another.
template <typename M>
concept Streaming = SequenceModel<M> && StreamState<typename M::State> &&
    requires(const M& model, typename M::StreamWorkspace& workspace,
             std::span<const StreamInput<typename M::State>> inputs, Matrix<typename M::Scalar>& outputs) {
  { model.max_stream_length() } -> std::same_as<std::optional<int>>;
  { model.make_states(std::size_t{1}) } -> std::same_as<std::vector<typename M::State>>;
  model.reserve(workspace, Index{1});
  model.step(inputs, workspace, outputs);
};

}  // namespace icrl
