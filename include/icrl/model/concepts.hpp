// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>

#include <icrl/history/step_layout.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/model/action_distribution.hpp>
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

/// A model whose passes can multiply in bfloat16, by a copy of its weights that `round` makes.
template <typename M>
concept Roundable = Trainable<M> && requires(const M& model, typename M::Rounded& rounded, typename M::Cache& cache) {
  { model.can_round() } -> std::same_as<bool>;
  model.round(rounded);
  cache.rounded = &rounded;
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
