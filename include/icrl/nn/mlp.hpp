// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// The activation between the linear maps of an Mlp.
enum class Activation { tanh, relu };

/// A multilayer perceptron: linear maps with an activation between them, none after the last. For policies and values;
/// the transformer's residual network is FeedForward.
template <std::floating_point S>
struct Mlp {
  std::vector<Linear<S>> layers;  ///< in the order of the pass
  Activation activation;          ///< after all layers but the last

  /// The results of the forward pass that backward needs.
  struct Cache {
    std::vector<Matrix<S>> hidden;  ///< (T, size) after the activation, of every layer but the last
  };
  /// Temporary memory of one call.
  struct Scratch {
    std::vector<Matrix<S>> dhidden;  ///< (T, size), of every layer but the last
  };

  /// `sizes`: of the input, of each hidden layer, of the output. Weights are zero until `initialize`. Throws Error for
  /// fewer than two sizes, or for one below 1.
  explicit Mlp(const std::vector<Index>& sizes, Activation between = Activation::tanh) : activation{between} {
    if (sizes.size() < 2)
      fail("mlp: sizes has {} entries, it needs at least an input size and an output size", sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (sizes[i] < 1) fail("mlp: size {} of {} is {}, it must be at least 1", i, sizes.size(), sizes[i]);
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) layers.emplace_back(sizes[i], sizes[i + 1]);
  }

  [[nodiscard]] Index input_size() const { return layers.front().weight.rows(); }
  [[nodiscard]] Index output_size() const { return layers.back().weight.cols(); }

  /// Normal weights that preserve the variance of activations: standard deviation sqrt(1 / in) before tanh (LeCun et
  /// al., 1998), sqrt(2 / in) before ReLU (He et al., 2015). The last layer's is `output_scale` times sqrt(1 / in): a
  /// small one makes a policy begin with nearly equal probabilities. Biases are zero.
  void initialize(Rng& rng, double output_scale = 1) {
    for (Linear<S>& layer : layers) {
      const bool is_last = &layer == &layers.back();
      const double gain = is_last ? output_scale : activation == Activation::relu ? std::sqrt(2.0) : 1.0;
      fill_normal(layer.weight, gain / std::sqrt(static_cast<double>(layer.weight.rows())), rng);
      layer.bias.setZero();
    }
  }

  /// y = W_n(... f(W_1 x)). x (T, in) -> y (T, out).
  void forward(MatrixIn<S> x, Cache& cache, MatrixOut<S> y) const {
    const Index rows = x.rows();
    cache.hidden.resize(layers.size() - 1);
    for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
      reserve_rows(cache.hidden[i], rows, layers[i].weight.cols());
      auto hidden = cache.hidden[i].topRows(rows);
      layers[i].forward(input_of(i, x, cache), hidden);
      if (activation == Activation::tanh)
        hidden = hidden.array().tanh().matrix();
      else
        hidden = hidden.unaryExpr([](S z) { return z < 0 ? S(0) : z; });
    }
    layers.back().forward(input_of(layers.size() - 1, x, cache), y);
  }

  /// Adds to `grad`, overwrites dx (T, in). `x` and `cache` are those of forward. With h = f(z) the derivative f'(z) is
  /// 1 - h^2 for tanh, and 1 where h > 0, else 0, for ReLU.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, Mlp& grad, MatrixOut<S> dx) const {
    backward_hidden(dy, cache, scratch, grad);
    layers.front().backward(x, derivative_of(0, dy, scratch), grad.layers.front(), dx);
  }

  /// Backward without the derivative with respect to the input.
  void backward_parameters(MatrixIn<S> x, MatrixIn<S> dy, const Cache& cache, Scratch& scratch, Mlp& grad) const {
    backward_hidden(dy, cache, scratch, grad);
    Linear<S>::backward_parameters(x, derivative_of(0, dy, scratch), grad.layers.front());
  }

  static constexpr auto parameters() { return std::tuple{Field{"layers", &Mlp::layers}}; }

private:
  using Rows = Eigen::Ref<const Matrix<S>>;

  static Rows input_of(std::size_t layer, MatrixIn<S> x, const Cache& cache) {
    return layer == 0 ? Rows{x} : Rows{cache.hidden[layer - 1].topRows(x.rows())};
  }
  /// The derivative with respect to a layer's output before the activation.
  Rows derivative_of(std::size_t layer, MatrixIn<S> dy, const Scratch& scratch) const {
    return layer + 1 == layers.size() ? Rows{dy} : Rows{scratch.dhidden[layer].topRows(dy.rows())};
  }

  /// All layers but the first, from the last one on.
  void backward_hidden(MatrixIn<S> dy, const Cache& cache, Scratch& scratch, Mlp& grad) const {
    const Index rows = dy.rows();
    scratch.dhidden.resize(layers.size() - 1);
    for (std::size_t i = layers.size() - 1; i > 0; --i) {
      const auto hidden = cache.hidden[i - 1].topRows(rows);
      reserve_rows(scratch.dhidden[i - 1], rows, hidden.cols());
      auto dhidden = scratch.dhidden[i - 1].topRows(rows);
      layers[i].backward(hidden, derivative_of(i, dy, scratch), grad.layers[i], dhidden);
      if (activation == Activation::tanh)
        dhidden.array() *= S(1) - hidden.array().square();
      else
        dhidden = (hidden.array() > S(0)).select(dhidden, S(0));
    }
  }
};

}  // namespace icrl
