// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/fake_quant_linear.hpp>

#include <cmath>
#include <cstdlib>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/layer_gradients.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr Index map_in = 40, map_out = 6, map_group = 16;

template <std::floating_point S>
Linear<S> plain_map() {
  Linear<S> map{map_in, map_out};
  Rng rng{7};
  fill_normal(map.weight, 0.3, rng);
  fill_normal(map.bias, 0.3, rng);
  return map;
}

template <std::floating_point S, FakeQuant how>
FakeQuantLinear<S, how> fake_map() {
  FakeQuantLinear<S, how> map{map_in, map_out};
  map.adopt(plain_map<S>());
  Rng rng{8};  // steps that are neither the best nor even
  for (Index i = 0; i < map.log_steps.size(); ++i) map.log_steps(i) += static_cast<S>(0.3 * rng.normal());
  return map;
}

/// Calls visit.operator()<how>() for every width and way of finding steps.
template <typename Visit>
void for_each_format(Visit&& visit) {
  visit.template operator()<FakeQuant{.bits = 8}>();
  visit.template operator()<FakeQuant{.bits = 4, .group = map_group}>();
  visit.template operator()<FakeQuant{.bits = 3, .group = map_group}>();
  visit.template operator()<FakeQuant{.bits = 2, .group = map_group}>();
  visit.template operator()<FakeQuant{.bits = 8, .learns_steps = false}>();
  visit.template operator()<FakeQuant{.bits = 4, .group = map_group, .learns_steps = false}>();
  visit.template operator()<FakeQuant{.bits = 2, .group = map_group, .learns_steps = false}>();
}

template <std::floating_point S, typename Map>
Matrix<S> forward_of(const Map& map, const Matrix<S>& x) {
  typename Map::Cache cache;
  typename Map::Scratch scratch;
  Matrix<S> y(x.rows(), map.output_size());
  map.forward(x, cache, scratch, y);
  return y;
}

}  // namespace

TEST_CASE("A fake-quantized map gives the bits of a plain one with the weights that it converts to", "[compress]") {
  for_each_format([]<FakeQuant how>() {
    const auto map = fake_map<float, how>();
    const QuantizedMatrix matrix = map.quantized();
    validate(matrix, "map");
    CHECK(matrix.bits == how.bits);
    Linear<float> plain = plain_map<float>();
    CHECK(dequantized(matrix) != plain.weight);
    plain.weight = dequantized(matrix);
    Rng rng{1};
    const Matrix<float> x = random_matrix(9, map_in, rng).cast<float>();
    Matrix<float> expected(9, map_out), acting(9, map_out);
    plain.forward(x, expected);

    CHECK(forward_of<float>(map, x) == expected);
    typename FakeQuantLinear<float, how>::Scratch scratch;
    map.forward(x, scratch, acting);
    CHECK(acting == expected);
    plain.add_forward(x, expected);
    map.add_forward(x, scratch, acting);
    CHECK(acting == expected);
    CHECK(parameter_count(map) == FakeQuantLinear<float, how>::weight_count(map_in, map_out));
  });
}

TEST_CASE("A fake-quantized map's derivatives by input and bias match finite differences", "[compress][gradient]") {
  for_each_format([]<FakeQuant how>() {
    auto map = fake_map<double, how>();
    Rng rng{2};
    Matrix<double> x = random_matrix(5, map_in, rng), dx(5, map_in);
    const Matrix<double> dy = random_matrix(5, map_out, rng);
    typename FakeQuantLinear<double, how>::Cache cache;
    typename FakeQuantLinear<double, how>::Scratch scratch;
    Matrix<double> y(5, map_out);
    map.forward(x, cache, scratch, y);
    auto grad = map;
    set_zero(grad);
    map.backward(x, dy, cache, scratch, grad, dx);

    const auto loss = [&] { return forward_of<double>(map, x).cwiseProduct(dy).sum(); };
    CHECK(relative_error(dx, numeric_gradient(x, loss)) < gradient_tolerance);
    CHECK(relative_error(grad.bias, numeric_gradient(map.bias, loss)) < gradient_tolerance);
  });
}

TEST_CASE("A fake-quantized map's derivatives by weights and steps are those of their definition", "[compress]") {
  for_each_format([]<FakeQuant how>() {
    const auto map = fake_map<double, how>();
    Rng rng{2};
    const Matrix<double> x = random_matrix(5, map_in, rng), dy = random_matrix(5, map_out, rng);
    typename FakeQuantLinear<double, how>::Cache cache;
    typename FakeQuantLinear<double, how>::Scratch scratch;
    Matrix<double> y(5, map_out), dx(5, map_in);
    map.forward(x, cache, scratch, y);
    auto grad = map;
    set_zero(grad);
    grad.weight.setConstant(0.5);  // backward adds
    map.backward(x, dy, cache, scratch, grad, dx);

    const Matrix<double> dq = x.transpose() * dy;
    if (!how.learns_steps) {
      CHECK((grad.weight.array() - 0.5 - dq.array()).abs().template maxCoeff<Eigen::PropagateNaN>() < 1e-12);
      return;
    }
    const CodeRange range = code_range(how.bits);
    const Index size = how.bits == 8 ? map_in : map_group;
    int cut = 0;
    for (Index o = 0; o < map_out; ++o) {
      for (Index first = 0; first < map_in; first += size) {
        const Index k = first / size;
        const double step = cache.rounded.scales.step(k, o), learned = std::exp(map.log_steps(k * map_out + o));
        if (how.bits < 8) CHECK(std::abs(step - learned) <= 0.51 * cache.rounded.scales.scales(o));
        double dstep = 0;
        for (Index i = first; i < std::min(first + size, map_in); ++i) {
          const double v = map.weight(i, o) / step;
          int code = range.min;
          for (int other = range.min; other <= range.max; other += range.step)
            if (std::abs(v - other) < std::abs(v - code)) code = other;
          const bool is_inside = v > range.min && v < range.max;
          cut += is_inside ? 0 : 1;
          dstep += dq(i, o) * (is_inside ? code - v : code);
          CHECK(grad.weight(i, o) - 0.5 == Approx(is_inside ? dq(i, o) : 0).margin(1e-12));
        }
        const Index weights = std::min(size, map_in - first);
        const double scale = 1 / std::sqrt(static_cast<double>(weights) * range.max);
        CHECK(grad.log_steps(k * map_out + o) == Approx(dstep * learned * scale).margin(1e-10));
      }
    }
    CHECK(cut > 0);
    CHECK(cut < map_in * map_out / 2);
  });
}

TEST_CASE("Where all weights are cut, a step's derivative is the true one", "[compress][gradient]") {
  // In one group the output's scale follows the step exactly, and no code changes with it.
  constexpr FakeQuant how{.bits = 4, .group = 64};
  auto map = fake_map<double, how>();
  map.weight.array() = map.weight.array().sign() * 50.0;
  map.log_steps.setConstant(-2);
  Rng rng{2};
  const Matrix<double> x = random_matrix(5, map_in, rng), dy = random_matrix(5, map_out, rng);
  FakeQuantLinear<double, how>::Cache cache;
  FakeQuantLinear<double, how>::Scratch scratch;
  Matrix<double> y(5, map_out), dx(5, map_in);
  map.forward(x, cache, scratch, y);
  auto grad = map;
  set_zero(grad);
  map.backward(x, dy, cache, scratch, grad, dx);
  const auto loss = [&] { return forward_of<double>(map, x).cwiseProduct(dy).sum(); };
  const Matrix<double> exact = numeric_gradient(map.log_steps, loss) / std::sqrt(map_in * 7.0);
  CHECK(relative_error(grad.log_steps, exact) < gradient_tolerance);
  CHECK(grad.weight.isZero());
}

TEST_CASE("Rounded inputs are what the products of a fake-quantized map see", "[compress]") {
  constexpr FakeQuant per_token{.bits = 4, .group = map_group, .inputs = InputRounding::per_token};
  constexpr FakeQuant ranged{.bits = 4, .group = map_group, .inputs = InputRounding::learned_range};
  constexpr FakeQuant plain{.bits = 4, .group = map_group};
  const auto exact = fake_map<double, plain>();
  const auto rounding = fake_map<double, per_token>();
  auto clipping = fake_map<double, ranged>();
  clipping.log_clip(0) = std::log(1.2);
  CHECK(parameters_of(clipping).size() == 4);
  Rng rng{2};
  const Matrix<double> x = random_matrix(5, map_in, rng), dy = random_matrix(5, map_out, rng);
  Matrix<double> rounded(5, map_in), clipped(5, map_in), dx(5, map_in), dx_exact(5, map_in);
  round_inputs<double>(x, rounded);
  clip_inputs<double>(x, 1.2, clipped);

  CHECK(forward_of<double>(rounding, x) == forward_of<double>(exact, rounded));
  CHECK(forward_of<double>(clipping, x) == forward_of<double>(exact, clipped));
  const auto backward_of = [&](const auto& map, const Matrix<double>& inputs, auto& grad, Matrix<double>& to) {
    typename std::remove_cvref_t<decltype(map)>::Cache cache;
    typename std::remove_cvref_t<decltype(map)>::Scratch scratch;
    Matrix<double> y(5, map_out);
    map.forward(inputs, cache, scratch, y);
    set_zero(grad);
    map.backward(inputs, dy, cache, scratch, grad, to);
  };
  auto grad_exact = exact;
  auto grad_rounding = rounding;
  auto grad_clipping = clipping;
  backward_of(exact, rounded, grad_exact, dx_exact);
  backward_of(rounding, x, grad_rounding, dx);
  CHECK(grad_rounding.weight == grad_exact.weight);
  CHECK(grad_rounding.log_steps == grad_exact.log_steps);
  CHECK(dx == dx_exact);
  backward_of(clipping, x, grad_clipping, dx);
  double dlog_range = 0;
  clip_inputs_backward<double>(x, std::exp(clipping.log_clip(0)), dx_exact, dlog_range);
  CHECK(dx == dx_exact);
  CHECK(grad_clipping.log_clip(0) == dlog_range);
  CHECK(dlog_range != 0);
}

TEST_CASE("After the first pass a fake-quantized map allocates nothing", "[compress]") {
  constexpr FakeQuant how{.bits = 2, .group = map_group, .inputs = InputRounding::per_token};
  const auto map = fake_map<float, how>();
  FakeQuantLinear<float, how>::Cache cache;
  FakeQuantLinear<float, how>::Scratch scratch;
  Rng rng{2};
  const Matrix<float> x = random_matrix(5, map_in, rng).cast<float>();
  Matrix<float> y = Matrix<float>::Zero(5, map_out), dx(5, map_in);
  auto grad = map;
  const auto pass = [&] {
    map.forward(x, cache, scratch, y);
    map.add_forward(x, scratch, y);
    map.backward(x, y, cache, scratch, grad, dx);
  };
  pass();
  const AllocationCount allocations;
  pass();
  CHECK(allocations.count() == 0);
}

TEST_CASE("A fake-quantized map begins with good steps, also of zeros", "[compress]") {
  constexpr FakeQuant how{.bits = 2, .group = map_group};
  FakeQuantLinear<float, how> map{map_in, map_out};
  CHECK(dequantized(map.quantized()).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 1e-5f);
  map.adopt(Linear<float>{map_in, map_out});
  CHECK(dequantized(map.quantized()).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() < 1e-5f);
  Rng rng{4};
  map.initialize({0.1, 0.1}, rng);
  const float error = (dequantized(map.quantized()) - map.weight).squaredNorm() / map.weight.squaredNorm();
  CHECK(error < 0.15f);
}
