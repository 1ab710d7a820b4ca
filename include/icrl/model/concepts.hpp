// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>

#include <icrl/env/action_distribution.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// What any model of histories tells about itself: its configuration, how a step is laid out for it, how its outputs
/// are read.
template <typename M>
concept SequenceModel = requires(const M& model) {
  typename M::Scalar;
  { model.config.context } -> std::convertible_to<int>;
  { model.config.window_start } -> std::convertible_to<WindowStart>;
  { model.layout } -> std::convertible_to<const StepLayout&>;
  { model.actions } -> std::convertible_to<const ActionDistribution&>;
};

/// A model that can be trained: windows forward and back, and a list of its weights.
template <typename M>
concept Trainable = SequenceModel<M> && Parameterized<M> && std::copyable<M> &&
    requires(const M& model, std::span<const float> features, typename M::Cache& cache, M& grad,
             Matrix<typename M::Scalar>& outputs) {
  model.forward(features, 1, cache, outputs);
  model.backward(features, 1, outputs, cache, grad);
};

/// A training pass over a model: the model itself or an object of its own, such as one with products in bfloat16.
template <typename P, typename M>
concept TrainingPass = requires(const P& pass, std::span<const float> features, typename P::Cache& cache, M& grad,
                                Matrix<typename M::Scalar>& outputs) {
  pass.forward(features, 1, cache, outputs);
  pass.backward(features, 1, outputs, cache, grad);
};

/// The pass of a model whose products are in bfloat16; void where it has none. Such a pass is made of a model, if
/// `can_be(model)`, and `pack()` takes over its weights.
template <typename M>
struct Bf16PassOf {
  using Type = void;
};
template <typename M>
using Bf16Pass = typename Bf16PassOf<M>::Type;
template <typename M>
concept HasBf16Pass = Trainable<M> && TrainingPass<Bf16Pass<M>, M> && std::constructible_from < Bf16Pass<M>,
const M& > &&requires(const M& model, Bf16Pass<M>& pass) {
  { Bf16Pass<M>::can_be(model) } -> std::same_as<bool>;
  pass.pack();
};

/// A model that can act: one step in, outputs out, over caches that the caller owns.
template <typename M>
concept Streaming = SequenceModel<M> &&
    requires(const M& model, typename M::KeyValueCache& cache, typename M::StreamWorkspace& workspace,
             const float* features, std::span<const typename M::Lane> lanes, Matrix<typename M::Scalar>& outputs) {
  { model.make_caches(std::size_t{1}) } -> std::same_as<std::vector<typename M::KeyValueCache>>;
  { cache.length() } -> std::convertible_to<int>;
  cache.set_length(1);
  cache.storage();
  cache.clear();
  (typename M::Lane{&cache, features, /*acts*/ true});
  model.reserve(workspace, Index{1});
  model.step(lanes, workspace, outputs);
};

}  // namespace icrl
