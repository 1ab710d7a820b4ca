// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include "support/catch.hpp"
#include "support/gradient.hpp"

// Checks of layers' backward passes against finite differences, in double precision.
namespace icrl::test {

inline constexpr double gradient_tolerance = 1e-8;

/// Checks a layer given as forward(layer, x) -> y and backward(layer, x, dy, grad) -> dx against finite differences of
/// sum(y * dy), for random weights, input and dy.
template <typename Layer, typename Forward, typename Backward>
void check_gradients(Layer layer, Index rows, Index in, Index out, Forward forward, Backward backward) {
  Rng rng{7};
  randomise(layer, rng);
  Matrix<double> x = random_matrix(rows, in, rng);
  const Matrix<double> dy = random_matrix(rows, out, rng);
  Layer grad = layer;
  set_zero(grad);

  const Matrix<double> dx = backward(layer, x, dy, grad);

  const auto loss = [&] { return forward(layer, x).cwiseProduct(dy).sum(); };
  CHECK(relative_error(dx, numeric_gradient(x, loss)) < gradient_tolerance);
  const auto [error, name] = worst_parameter_error(layer, grad, loss);
  INFO("worst tensor: " << name);
  CHECK(error < gradient_tolerance);
}

/// The same for layers that add to a residual stream.
template <typename Layer, typename AddForward, typename Backward>
void check_residual_gradients(const Layer& layer, Index rows, Index width, AddForward add_forward, Backward backward) {
  check_gradients(
      layer, rows, width, width,
      [&](const Layer& l, const Matrix<double>& x) {
        typename Layer::Cache cache;
        typename Layer::Scratch scratch;
        Matrix<double> y = Matrix<double>::Zero(rows, width);
        add_forward(l, x, cache, scratch, y);
        return y;
      },
      [&](const Layer& l, const Matrix<double>& x, const Matrix<double>& dy, Layer& grad) {
        typename Layer::Cache cache;
        typename Layer::Scratch scratch;
        Matrix<double> y = Matrix<double>::Zero(rows, width), dx(rows, width);
        typename Layer::Scratch fresh;
        add_forward(l, x, cache, scratch, y);
        backward(l, x, dy, cache, fresh, grad, dx);
        return dx;
      });
}

}  // namespace icrl::test
