// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/image_encoder.hpp>
#include <icrl/model/step_embedding.hpp>

namespace icrl {

namespace detail {

/// The shape of an encoder for images of this space. `convolutions` as in TransformerConfig; if empty, images of 20
/// pixels or more on the shorter side get those of Mnih et al. (2013), smaller ones 3 x 3 kernels, as many as fit.
/// Numbers are scaled so that the largest bound becomes 1.
[[nodiscard]] inline ImageEncoderConfig image_encoder_config(const Box& image, const std::vector<int>& convolutions) {
  ImageEncoderConfig config;
  float largest = 0;
  for (const auto* bounds : {&image.low, &image.high})
    for (const float bound : *bounds) largest = std::max(largest, std::abs(bound));
  config.input_scale = std::isfinite(largest) && largest > 0 ? 1 / static_cast<double>(largest) : 1;
  if (!convolutions.empty()) {
    config.convolutions.clear();
    for (std::size_t i = 0; i + 2 < convolutions.size(); i += 3)
      config.convolutions.push_back({convolutions[i], convolutions[i + 1], convolutions[i + 2]});
  } else if (image.shape.size() == 3) {
    const int side = std::min(image.shape[0], image.shape[1]);
    if (side < 20) config.convolutions = {{16, std::min(side, 3), 1}};
    if (side < 20 && side >= 5) config.convolutions.push_back({32, 3, 2});
  }
  return config;
}

/// The space of a layout whose observations are images.
[[nodiscard]] inline const Box& image_space(const StepLayout& layout) {
  const auto* box = std::get_if<Box>(&layout.observation_space);
  if (box == nullptr || box->shape.size() != 3) {
    fail("image step encoder: observations are {}, they must be a box of shape (height, width, channels)",
         to_short_string(layout.observation_space));
  }
  return *box;
}

}  // namespace detail

/// Encodes steps whose observation is an image. The image goes through convolutions (ImageEncoder), all else of a step
/// through a StepEmbedding; a fused token is the sum of both; of separate tokens, the last one has the image.
template <std::floating_point S>
struct ImageStepEncoder {
  using Scalar = S;

  ImageEncoder<S> images;  ///< the image's part of a token
  StepEmbedding<S> steps;  ///< of a row without its image
  int image_size;          ///< I, numbers of an image; not a weight, as the one below
  int feature_count;       ///< F, of a row

  /// What backward needs of the forward pass; sized by the first pass, then reused.
  struct Cache {
    Matrix<S> pictures;       ///< (T, I)
    std::vector<float> rest;  ///< (T, F - I) rows without their images
    Matrix<S> tokens;         ///< (T, C) of the images, and their derivative
    typename ImageEncoder<S>::Cache images;
    NoMemory steps;
  };
  /// The memory of steps. Contexts of one stream see the same image, one after another in a pass, and share its token.
  struct Scratch {
    std::vector<float> image;  ///< (I), the last one
    Matrix<S> picture, token;  ///< (1, I) and (1, C)
    bool has_token = false;    ///< `token` is that of `image`
    typename ImageEncoder<S>::Cache images;
    NoMemory steps;
  };

  /// All weights are zero. Throws Error if observations are not images, and for convolutions that do not fit them.
  ImageStepEncoder(const StepEmbeddingConfig& shape, const StepLayout& layout)
      : images{detail::image_space(layout), shape.width,
               detail::image_encoder_config(detail::image_space(layout), shape.convolutions)},
        steps{without_image(shape), without_image(layout)},
        image_size{layout.observation_size()},
        feature_count{layout.feature_count()} {}

  [[nodiscard]] static std::int64_t weight_count(const StepEmbeddingConfig& shape, const StepLayout& layout) {
    const Box& image = detail::image_space(layout);
    return ImageEncoder<S>::weight_count(image, shape.width, detail::image_encoder_config(image, shape.convolutions)) +
           StepEmbedding<S>::weight_count(without_image(shape), without_image(layout));
  }

  /// tokens (T * tokens per step, C) of T = `count` rows of features.
  void forward(std::span<const float> features, int count, Cache& cache, MatrixOut<S> tokens) const {
    split(features, count, cache);
    reserve_rows(cache.tokens, count, tokens.cols());
    auto of_images = cache.tokens.topRows(count);
    steps.forward(cache.rest, count, cache.steps, tokens);
    images.forward(cache.pictures.topRows(count), cache.images, of_images);
    for (Index t = 0; t < count; ++t) tokens.row(image_token(t)) += of_images.row(t);
  }

  /// Adds to `grad`; dtokens is the derivative of what forward wrote.
  void backward(std::span<const float>, int count, MatrixIn<S> dtokens, Cache& cache, ImageStepEncoder& grad) const {
    steps.backward(cache.rest, count, dtokens, cache.steps, grad.steps);
    auto of_images = cache.tokens.topRows(count);
    for (Index t = 0; t < count; ++t) of_images.row(t) = dtokens.row(image_token(t));
    images.backward(of_images, cache.images, grad.images);
  }

  /// Writes token number `token` of the step `row`, which stands at `position`, to `out` (C numbers).
  void step(std::span<const float> row, int token, Index position, Scratch& scratch, S* out) const {
    const auto image = row.first(static_cast<std::size_t>(image_size));
    steps.step(row.subspan(image.size()), token, position, scratch.steps, out);
    if (token + 1 < steps.config.tokens_per_step()) return;
    if (!scratch.has_token || !std::ranges::equal(image, scratch.image)) {
      std::ranges::copy(image, scratch.image.begin());
      std::ranges::transform(image, scratch.picture.data(), [](float number) { return static_cast<S>(number); });
      images.forward(scratch.picture, scratch.images, scratch.token);
      scratch.has_token = true;
    }
    for (Index i = 0; i < scratch.token.cols(); ++i) out[i] += scratch.token(0, i);
  }
  /// Call this at the beginning of a pass: the weights may have changed since the last one.
  void reserve(Scratch& scratch) const {
    scratch.image.resize(static_cast<std::size_t>(image_size));
    reserve_rows(scratch.picture, 1, image_size);
    reserve_rows(scratch.token, 1, images.output.output_size());
    images.reserve(scratch.images, 1);
    scratch.has_token = false;
  }

  /// Images whose pixels have a root mean square of 1/2 begin with tokens of standard deviation `stddev`, as all other
  /// parts of a step do.
  void initialize(double stddev, Rng& rng) {
    images.initialize(rng);
    images.output.weight *= static_cast<S>(2 * stddev);
    steps.initialize(stddev, rng);
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"images", &ImageStepEncoder::images}, Field{"steps", &ImageStepEncoder::steps}};
  }

private:
  static StepEmbeddingConfig without_image(StepEmbeddingConfig shape) {
    shape.convolutions.clear();
    return shape;
  }
  static StepLayout without_image(StepLayout layout) {
    layout.observation_space = MultiDiscrete{};
    return layout;
  }

  /// The row of the token with the image of step t.
  [[nodiscard]] Index image_token(Index t) const { return (t + 1) * steps.config.tokens_per_step() - 1; }

  void split(std::span<const float> features, int count, Cache& cache) const {
    const auto size = static_cast<std::size_t>(image_size), row_size = static_cast<std::size_t>(feature_count);
    ICRL_ASSERT(features.size() >= static_cast<std::size_t>(count) * row_size,
                "image step encoder: features must have count rows");
    reserve_rows(cache.pictures, count, image_size);
    cache.rest.resize(static_cast<std::size_t>(count) * (row_size - size));
    for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
      const auto row = features.subspan(t * row_size, row_size);
      S* const picture = row_data(cache.pictures, static_cast<Index>(t));
      for (std::size_t i = 0; i < size; ++i) picture[i] = static_cast<S>(row[i]);
      std::ranges::copy(row.subspan(size), cache.rest.begin() + static_cast<std::ptrdiff_t>(t * (row_size - size)));
    }
  }
};

/// A transformer that sees images: CausalTransformer<float, ImageParts<float>>. `TransformerConfig::convolutions` says
/// what its convolutions are.
template <std::floating_point S>
struct ImageParts : DenseParts<S> {
  static constexpr std::string_view kind = "image_transformer";
  using Encoder = ImageStepEncoder<S>;
};

}  // namespace icrl
