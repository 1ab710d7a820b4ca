// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/image_encoder.hpp>

#include <limits>
#include <string>
#include <vector>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

const ImageEncoderConfig small_encoder{.convolutions = {{3, 3, 2}, {4, 2, 1}}};

/// Pictures as an environment shows them: whole numbers in 0 .. 255.
template <typename S>
Matrix<S> random_pictures(Index count, Index numbers, Rng& rng) {
  Matrix<S> pictures(count, numbers);
  for (Index i = 0; i < pictures.size(); ++i) pictures.data()[i] = static_cast<S>(rng.below(256));
  return pictures;
}

std::string error_of_encoder(const Box& image, const ImageEncoderConfig& config) {
  return error_of([&] { (void)ImageEncoder<float>{image, 8, config}; });
}

}  // namespace

TEST_CASE("An image encoder is convolutions with ReLU and a linear map", "[model]") {
  Rng rng{1};
  ImageEncoder<double> encoder{image_box(7, 6, 2), 5, small_encoder};
  randomise(encoder, rng);
  const Matrix<double> pictures = random_pictures<double>(3, 84, rng);
  ImageEncoder<double>::Cache cache;
  Matrix<double> tokens(3, 5);
  encoder.forward(pictures, cache, tokens);

  Conv2d<double>::Scratch scratch;
  Matrix<double> first(3, 3 * 2 * 3), second(3, 2 * 1 * 4);
  encoder.convolutions[0].forward(pictures / 255, scratch, first);
  encoder.convolutions[1].forward(first.cwiseMax(0), scratch, second);
  Matrix<double> expected(3, 5);
  encoder.output.forward(second.cwiseMax(0), expected);

  CHECK((tokens - expected).norm() < 1e-12 * expected.norm());
  CHECK((first.array() < 0).any());
  CHECK((second.array() < 0).any());
}

TEST_CASE("ImageEncoder backward matches finite differences", "[model][gradient]") {
  Rng rng{2};
  ImageEncoder<double> encoder{image_box(7, 6, 2), 5, small_encoder};
  randomise(encoder, rng, 0.1);
  // Far from a ReLU's edge, which finite differences must not cross: channels that are on, and one that is off.
  encoder.convolutions[0].bias << 3, -9, 3;
  encoder.convolutions[1].bias << 9, 9, -9, 9;
  const Matrix<double> pictures = random_pictures<double>(3, 84, rng), dtokens = random_matrix(3, 5, rng);
  ImageEncoder<double>::Cache cache, other;
  Matrix<double> tokens(3, 5);
  ImageEncoder<double> grad = encoder;
  set_zero(grad);

  encoder.forward(pictures, cache, tokens);
  encoder.backward(dtokens, cache, grad);

  const auto loss = [&] {
    encoder.forward(pictures, other, tokens);
    return tokens.cwiseProduct(dtokens).sum();
  };
  const auto [error, name] = worst_parameter_error(encoder, grad, loss);
  INFO("worst tensor: " << name);
  CHECK(error < 1e-8);
  CHECK(grad.convolutions[0].weight.col(1).isZero(0));
  CHECK(grad.convolutions[0].weight.col(0).norm() > 0);
  CHECK(grad.convolutions[1].weight.col(2).isZero(0));
  CHECK(parameters_of(encoder).size() == 6);
}

TEST_CASE("An image streams to the token that it has in a window, bit for bit", "[model]") {
  Rng rng{3};
  const Box image = image_box(84, 84, 1);
  ImageEncoder<float> encoder{image, 64};
  encoder.initialize(rng);
  const Matrix<float> pictures = random_pictures<float>(5, 84 * 84, rng);
  ImageEncoder<float>::Cache window, stream;
  Matrix<float> tokens(5, 64), token(1, 64);
  encoder.forward(pictures, window, tokens);

  for (Index t = 0; t < 5; ++t) {
    encoder.forward(pictures.row(t), stream, token);
    CHECK(token == tokens.row(t));
  }
  CHECK(tokens.row(0) != tokens.row(1));
  CHECK(tokens.allFinite());
}

TEST_CASE("Passes of an image encoder over no more rows allocate nothing", "[model]") {
  Rng rng{4};
  ImageEncoder<float> encoder{image_box(20, 20, 3), 16, {.convolutions = {{8, 4, 2}, {8, 3, 1}}}}, grad = encoder;
  encoder.initialize(rng);
  const Matrix<float> pictures = random_pictures<float>(6, 1200, rng);
  Matrix<float> tokens(6, 16);
  ImageEncoder<float>::Cache cache;
  const auto pass = [&](Index rows) {
    encoder.forward(pictures.topRows(rows), cache, tokens.topRows(rows));
    encoder.backward(tokens.topRows(rows), cache, grad);
  };
  pass(6);
  const AllocationCount allocations;

  pass(6);
  pass(1);
  pass(4);

  CHECK(allocations.count() == 0);
}

TEST_CASE("A pass of fewer rows gives the gradient of these rows alone", "[model]") {
  Rng rng{5};
  ImageEncoder<double> encoder{image_box(7, 6, 2), 5, small_encoder};
  encoder.initialize(rng);
  const Matrix<double> pictures = random_pictures<double>(6, 84, rng), dtokens = random_matrix(6, 5, rng);
  ImageEncoder<double>::Cache used, fresh;
  Matrix<double> tokens(6, 5);
  ImageEncoder<double> grad = encoder, expected = encoder;
  set_zero(grad);
  set_zero(expected);
  encoder.forward(pictures, used, tokens);

  for (auto* const cache : {&used, &fresh}) {
    encoder.forward(pictures.topRows(2), *cache, tokens.topRows(2));
    encoder.backward(dtokens.topRows(2), *cache, cache == &used ? grad : expected);
  }

  for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK(a == b); }, grad, expected);
  CHECK(grad.convolutions[0].weight.norm() > 0);
}

TEST_CASE("An image encoder learns to tell pictures apart", "[model]") {
  Rng rng{6};
  ImageEncoder<double> encoder{image_box(6, 6, 1), 1, {.convolutions = {{4, 3, 1}}}};
  encoder.initialize(rng);
  const Matrix<double> pictures = random_pictures<double>(8, 36, rng);
  Matrix<double> wanted(8, 1), tokens(8, 1);
  wanted << 1, -1, 1, -1, 1, -1, 1, -1;
  ImageEncoder<double>::Cache cache;
  const auto step = [&] {
    ImageEncoder<double> grad = encoder;
    set_zero(grad);
    encoder.forward(pictures, cache, tokens);
    const Matrix<double> dtokens = tokens - wanted;
    encoder.backward(dtokens, cache, grad);
    for_each_parameter([](std::string_view, auto& p, const auto& g) { p -= 0.02 * g; }, encoder, grad);
    return dtokens.squaredNorm();
  };
  const double before = step();
  double after = before;
  for (int i = 0; i < 500; ++i) after = step();

  CHECK(before > 4);
  CHECK(after < 0.1);
}

TEST_CASE("An encoder's initial weights depend on the generator alone", "[model]") {
  Rng rng{7}, same_rng{7}, other_rng{8};
  ImageEncoder<float> encoder{image_box(20, 20, 1), 8, small_encoder}, same = encoder, other = encoder;
  encoder.initialize(rng);
  same.initialize(same_rng);
  other.initialize(other_rng);

  for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK(a == b); }, encoder, same);
  CHECK(encoder.output.weight != other.output.weight);
  CHECK(encoder.convolutions[1].weight != other.convolutions[1].weight);
}

TEST_CASE("An encoder that no image fits is refused", "[model]") {
  const Box image = image_box(8, 9, 1);
  const auto error = [&](const ImageEncoderConfig& config) { return error_of_encoder(image, config); };
  CHECK_FALSE(error({}).empty());  // the default is for larger images
  CHECK(error({.convolutions = {{1, 8, 1}}}).empty());

  CHECK(error({.convolutions = {{1, 9, 1}}}) ==
        "image encoder: convolution 0 has kernel size 9, which must fit into its image of 8 x 9 pixels");
  CHECK(error({.convolutions = {{1, 4, 2}, {1, 4, 1}}}) ==
        "image encoder: convolution 1 has kernel size 4, which must fit into its image of 3 x 3 pixels");
  CHECK(error({.convolutions = {{1, 0, 1}}}) ==
        "image encoder: convolution 0 has kernel size 0, which must fit into its image of 8 x 9 pixels");
  CHECK(error({.convolutions = {{1, 2, 0}}}) == "image encoder: convolution 0 has stride 0, it must be at least 1");
  CHECK(error({.convolutions = {{0, 2, 1}}}) == "image encoder: convolution 0 has 0 channels, it must have 1 .. 4096");
  CHECK(error({.convolutions = {{4096, 1, 1}, {4096, 8, 1}}}) ==
        "image encoder: convolution 1 has 1073741824 weights, at most 67108864 are possible");
  CHECK(error({.convolutions = {}}) == "image encoder: there are no convolutions, it needs at least one");
  CHECK(error({.convolutions = {{1, 8, 1}}, .input_scale = 0}) ==
        "image encoder: input_scale is 0, it must be finite and not 0");
  CHECK(has(error({.convolutions = {{1, 8, 1}}, .input_scale = std::numeric_limits<double>::quiet_NaN()}),
            "input_scale is nan"));
  CHECK(error_of_encoder(Box{{0, 0}, {1, 1}}, {}) ==
        "image encoder: the box has the shape (), it must be (height, width, channels)");
  CHECK(error_of_encoder(Box{{0, 0}, {1, 1}, {3, 1, 1}}, {}) ==
        "image encoder: a box of shape 3 x 1 x 1 has 3 numbers, but bounds for 2");
}
