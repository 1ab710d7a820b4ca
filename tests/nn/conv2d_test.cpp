// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/conv2d.hpp>

#include <algorithm>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// The definition, number by number, of one image.
RowVector<double> plain_convolution(const Conv2d<double>& layer, const RowVector<double>& image) {
  const ImageSize in = layer.input;
  const Index height = (in.height - layer.kernel) / layer.stride + 1,
              width = (in.width - layer.kernel) / layer.stride + 1;
  const Index channels = layer.bias.size();
  RowVector<double> out(height * width * channels);
  for (Index i = 0; i < height; ++i)
    for (Index j = 0; j < width; ++j)
      for (Index to = 0; to < channels; ++to) {
        double sum = layer.bias[to];
        for (Index y = 0; y < layer.kernel; ++y)
          for (Index x = 0; x < layer.kernel; ++x)
            for (Index from = 0; from < in.channels; ++from) {
              const Index row = i * layer.stride + y, column = j * layer.stride + x;
              sum += image[(row * in.width + column) * in.channels + from] *
                     layer.weight((y * layer.kernel + x) * in.channels + from, to);
            }
        out[(i * width + j) * channels + to] = sum;
      }
  return out;
}

template <typename Visit>
void for_all_sizes(Visit&& visit) {
  for (const Index height : {1, 2, 5, 7})
    for (const Index width : {1, 3, 6})
      for (const Index channels_in : {1, 3})
        for (const Index channels_out : {1, 2, 17})
          for (const Index kernel : {1, 2, 3, 5})
            for (const Index stride : {1, 2, 3})
              if (kernel <= std::min(height, width))
                visit(Conv2d<double>{{height, width, channels_in}, channels_out, kernel, stride});
}

}  // namespace

TEST_CASE("A convolution by hand", "[nn]") {
  Conv2d<double> layer{{2, 3, 1}, 2, 2, 1};
  layer.weight << 1, 0,  // above left
      10, 0,             // above right
      100, 0,            // below left
      1000, 1;           // below right
  layer.bias << 0, 0.5;
  Matrix<double> x(1, 6), y(1, 4);
  x << 1, 2, 3,  //
      4, 5, 6;
  Conv2d<double>::Scratch scratch;

  layer.forward(x, scratch, y);

  CHECK(layer.output() == ImageSize{1, 2, 2});
  CHECK(y == Matrix<double>{{5421, 5.5, 6532, 6.5}});
}

TEST_CASE("A convolution of any size is its definition", "[nn]") {
  Rng rng{1};
  Conv2d<double>::Scratch scratch;  // shared by all sizes
  int count = 0;
  for_all_sizes([&](Conv2d<double> layer) {
    randomise(layer, rng);
    const Matrix<double> x = random_matrix(3, layer.input.number_count(), rng);
    Matrix<double> y(3, layer.output().number_count());
    layer.forward(x, scratch, y);
    for (Index t = 0; t < 3; ++t) {
      const RowVector<double> expected = plain_convolution(layer, x.row(t));
      REQUIRE(y.cols() == expected.size());
      REQUIRE((y.row(t) - expected).norm() <= 1e-12 * (1 + expected.norm()));
    }
    ++count;
  });
  CHECK(count > 200);
}

TEST_CASE("Conv2d backward matches finite differences at any size", "[nn][gradient]") {
  Rng rng{2};
  for_all_sizes([&](Conv2d<double> layer) {
    if (layer.bias.size() > 2 || layer.input.height > 5) return;  // no other path, only more time
    randomise(layer, rng);
    Matrix<double> x = random_matrix(2, layer.input.number_count(), rng), dx(2, x.cols());
    const Matrix<double> dy = random_matrix(2, layer.output().number_count(), rng);
    Conv2d<double>::Scratch scratch;
    Conv2d<double> grad = layer, grad_alone = layer;
    set_zero(grad);
    set_zero(grad_alone);
    dx.setConstant(99);  // it is overwritten

    layer.backward(x, dy, scratch, grad, dx);
    layer.backward_parameters(x, dy, scratch, grad_alone);

    const auto loss = [&] {
      Matrix<double> y(2, dy.cols());
      layer.forward(x, scratch, y);
      return y.cwiseProduct(dy).sum();
    };
    REQUIRE(relative_error(dx, numeric_gradient(x, loss)) < 1e-8);
    const auto [error, name] = worst_parameter_error(layer, grad, loss);
    INFO("worst tensor: " << name);
    REQUIRE(error < 1e-8);
    REQUIRE(grad.weight == grad_alone.weight);
    REQUIRE(grad.bias == grad_alone.bias);
  });
}

TEST_CASE("A convolution adds to its gradient", "[nn][gradient]") {
  Rng rng{3};
  Conv2d<double> layer{{4, 4, 2}, 3, 2, 2}, once = layer, twice = layer;
  const Matrix<double> x = random_matrix(2, 32, rng), dy = random_matrix(2, 12, rng);
  Conv2d<double>::Scratch scratch;
  layer.backward_parameters(x, dy, scratch, once);
  layer.backward_parameters(x, dy, scratch, twice);
  layer.backward_parameters(x, dy, scratch, twice);

  CHECK((twice.weight - 2 * once.weight).norm() < 1e-12);
  CHECK((twice.bias - 2 * once.bias).norm() < 1e-12);
}

TEST_CASE("An image's convolution does not depend on the images beside it", "[nn]") {
  Rng rng{4};
  Conv2d<float> layer{{9, 8, 3}, 5, 3, 2};
  layer.initialize(rng);
  Matrix<float> x(7, layer.input.number_count()), y(7, layer.output().number_count()), alone(1, y.cols());
  fill_normal(x, 1.0, rng);
  Conv2d<float>::Scratch scratch, fresh;
  layer.forward(x, scratch, y);

  for (Index t = 0; t < 7; ++t) {
    layer.forward(x.row(t), fresh, alone);
    CHECK(alone == y.row(t));
  }
}

TEST_CASE("Rows of an image may lie in larger rows", "[nn]") {
  Rng rng{5};
  Conv2d<double> layer{{3, 3, 1}, 2, 2, 1};
  randomise(layer, rng);
  const Matrix<double> wide = random_matrix(4, 12, rng), x = wide.middleCols(2, 9);
  Matrix<double> y(4, 8), in_wide = Matrix<double>::Constant(4, 10, 7);
  Conv2d<double>::Scratch scratch;

  layer.forward(x, scratch, y);
  layer.forward(wide.middleCols(2, 9), scratch, in_wide.middleCols(1, 8));

  CHECK(in_wide.middleCols(1, 8) == y);
  CHECK(in_wide.col(0) == Matrix<double>::Constant(4, 1, 7));
  CHECK(in_wide.col(9) == Matrix<double>::Constant(4, 1, 7));
}

TEST_CASE("Passes of a convolution allocate nothing after the first", "[nn]") {
  Rng rng{6};
  Conv2d<float> layer{{12, 12, 2}, 4, 3, 2}, grad = layer;
  layer.initialize(rng);
  Matrix<float> x(5, layer.input.number_count()), dx = x, y(5, layer.output().number_count());
  fill_normal(x, 1.0, rng);
  Conv2d<float>::Scratch scratch;
  const auto pass = [&] {
    layer.forward(x, scratch, y);
    layer.backward(x, y, scratch, grad, dx);
  };
  pass();
  const AllocationCount allocations;

  pass();

  CHECK(allocations.count() == 0);
}

TEST_CASE("A convolution's initial weights keep the size of what they read", "[nn]") {
  Rng rng{7}, same_rng{7};
  Conv2d<float> layer{{20, 20, 4}, 64, 5, 1}, same = layer;
  layer.bias.setOnes();
  layer.initialize(rng);
  same.initialize(same_rng);

  CHECK(layer.weight == same.weight);
  CHECK(layer.bias.isZero(0));
  CHECK(layer.weight.squaredNorm() / static_cast<float>(layer.weight.size()) == Approx(2.0 / 100).epsilon(0.05));
}
