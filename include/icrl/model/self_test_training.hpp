// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <icrl/model/bf16_transformer.hpp>
#include <icrl/model/self_test_model.hpp>

namespace icrl {
namespace detail {

/// One pass forward and back over the window `features` (steps, 6), with products in bfloat16 if `rounded`: sets
/// `outputs` (steps, 5), and adds to `grad` what follows from their derivatives `doutputs` (steps, 5).
using TrainingFunction =
    FunctionRef<void(const CausalTransformer<float>& model, std::span<const float> features, int steps,
                     MatrixIn<float> doutputs, bool rounded, Matrix<float>& outputs, CausalTransformer<float>& grad)>;

/// A window as long as the context. The derivative of every weight tensor is compared with the change of the plain
/// outputs along one direction, in which all of its numbers change. The derivatives of the pass in bfloat16 are
/// compared with the others one by one.
inline void check_training(const TransformerConfig& config, TrainingFunction pass) {
  constexpr const char* part = "training pass";
  using Model = CausalTransformer<float>;
  const Model model = self_test_model(config);
  const int steps = config.context;
  const std::vector<float> features = self_test_features(steps);
  Rng rng{31};
  Matrix<float> doutputs(steps, 5), outputs(steps, 5), rounded_outputs(steps, 5);
  for (Index i = 0; i < doutputs.size(); ++i) doutputs.data()[i] = static_cast<float>(2 * rng.uniform() - 1);
  Model grad = model, rounded_grad = model;
  set_zero(grad);
  set_zero(rounded_grad);
  pass(model, features, steps, doutputs, false, outputs, grad);
  pass(model, features, steps, doutputs, true, rounded_outputs, rounded_grad);

  PlainTransformer plain{model};
  // The sum of outputs times doutputs; `see` takes every output.
  const auto plain_loss = [&](auto&& see) {
    double loss = 0;
    plain.clear();
    for (int t = 0; t < steps; ++t) {
      const auto expected = plain.step(std::span{features}.subspan(static_cast<std::size_t>(6 * t), 6));
      for (Index i = 0; i < 5; ++i) {
        see(t, i, expected[static_cast<std::size_t>(i)]);
        loss += expected[static_cast<std::size_t>(i)] * static_cast<double>(doutputs(t, i));
      }
    }
    return loss;
  };
  const double loss = plain_loss([&](Index t, Index i, double expected) {
    const auto place = [&](const char* products) {
      return [=] { return fmt::format("output {} of step {}, products in {},", i, t, products); };
    };
    check_near(part, static_cast<double>(outputs(t, i)), expected, 2e-5, place("float32"));
    check_near(part, static_cast<double>(rounded_outputs(t, i)), expected, 0.05, place("bfloat16"));
  });

  const auto derivatives = parameters_of(grad), rounded_derivatives = parameters_of(rounded_grad);
  for (std::size_t p = 0; p < derivatives.size(); ++p) {
    const std::span<const float> numbers = derivatives[p].numbers(), rounded = rounded_derivatives[p].numbers();
    if (numbers.empty()) continue;
    constexpr double change = 1e-7;
    const std::vector<double> weights = plain.weights[p];
    double slope = 0, squares = 0, rounding_squares = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double direction = rng.below(2) == 0 ? -1 : 1, d = static_cast<double>(numbers[i]);
      plain.weights[p][i] += change * direction;
      slope += direction * d;
      squares += d * d;
      rounding_squares += std::pow(static_cast<double>(rounded[i]) - d, 2);
    }
    const double expected = (plain_loss([](Index, Index, double) {}) - loss) / change, size = std::sqrt(squares);
    plain.weights[p] = weights;
    check_near(part, slope, expected, 1e-5 * (1 + size),
               [&] { return "the derivative along a direction of " + derivatives[p].name; });
    check_near(part, std::sqrt(rounding_squares), 0, 0.03 * size, [&] {
      return "what products in bfloat16 change in the derivatives of " + derivatives[p].name + ", as a vector,";
    });
  }
}

}  // namespace detail

/// The same as `self_test` for what training adds: passes forward and back over whole windows of
/// `CausalTransformer<float>`, with products in float and in bfloat16. A separate function, so that programs that only
/// act need not compile backward passes. Takes about 10 ms when optimized. Throws Error as
/// `self_test`.
inline void self_test_training() {
  using Model = CausalTransformer<float>;
  const auto pass = [](const Model& model, std::span<const float> features, int steps, MatrixIn<float> doutputs,
                       bool rounded, Matrix<float>& outputs, Model& grad) {
    const auto run = [&](const auto& over, auto cache) {
      over.forward(features, steps, cache, outputs);
      over.backward(features, steps, doutputs, cache, grad);
    };
    if (!rounded) return run(model, Model::Cache{});
    Bf16Transformer bf16{model};
    bf16.pack();
    run(bf16, Bf16Transformer::Cache{});
  };
  detail::check_training({.width = 20, .layer_count = 1, .head_count = 2, .hidden = 36, .context = detail::opaque(51)},
                         pass);
  detail::check_training({.width = 32,
                          .layer_count = 1,
                          .head_count = 4,
                          .hidden = 33,
                          .context = detail::opaque(18),
                          .positions = PositionScheme::rotary},
                         pass);
}

}  // namespace icrl
