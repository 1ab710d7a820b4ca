// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <icrl/core/fail.hpp>
#include <icrl/env/space.hpp>
#include <icrl/nn/conv2d.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// The shape of an `ImageEncoder`.
struct ImageEncoderConfig {
  /// One convolution without padding, over square patches.
  struct Convolution {
    /// Channels out; pixels along each side of a patch; pixels from one patch to the next.
    int channels, kernel, stride;
    friend bool operator==(const Convolution&, const Convolution&) = default;
  };
  std::vector<Convolution> convolutions{{16, 8, 4}, {32, 4, 2}};  ///< each followed by a ReLU
  double input_scale = 1.0 / 255;                                 ///< pixels are multiplied by this first

  friend bool operator==(const ImageEncoderConfig&, const ImageEncoderConfig&) = default;
};

/// Throws Error for a configuration that does not fit such images.
inline void validate(const ImageEncoderConfig& config, const Box& image) {
  validate(image, "image encoder");
  if (image.shape.size() != 3) {
    fail("image encoder: the box has the shape ({}), it must be (height, width, channels)", joined(image.shape, ", "));
  }
  if (config.convolutions.empty()) fail("image encoder: there are no convolutions, it needs at least one");
  if (!std::isfinite(static_cast<float>(config.input_scale)) || config.input_scale == 0)
    fail("image encoder: input_scale is {}, it must be finite and not 0", config.input_scale);
  constexpr std::int64_t most_weights = 1 << 26, most_numbers = 1 << 28;  // a damaged file must not take all memory
  int height = image.shape[0], width = image.shape[1], channels_in = image.shape[2];
  for (std::size_t i = 0; i < config.convolutions.size(); ++i) {
    const auto& [channels, kernel, stride] = config.convolutions[i];
    if (channels < 1 || channels > 4096)
      fail("image encoder: convolution {} has {} channels, it must have 1 .. 4096", i, channels);
    if (stride < 1) fail("image encoder: convolution {} has stride {}, it must be at least 1", i, stride);
    if (kernel < 1 || kernel > height || kernel > width) {
      fail("image encoder: convolution {} has kernel size {}, which must fit into its image of {} x {} pixels", i,
           kernel, height, width);
    }
    const std::int64_t weights = std::int64_t{kernel} * kernel * channels_in * channels;
    if (weights > most_weights)
      fail("image encoder: convolution {} has {} weights, at most {} are possible", i, weights, most_weights);
    height = (height - kernel) / stride + 1;
    width = (width - kernel) / stride + 1;
    const std::int64_t numbers =
        std::int64_t{height} * width * (std::int64_t{kernel} * kernel * channels_in + channels);
    if (numbers > most_numbers)
      fail("image encoder: convolution {} takes {} numbers per image, at most {} are possible", i, numbers,
           most_numbers);
    channels_in = channels;
  }
}

/// Images to tokens: convolutions with ReLU, then a linear map. One image per row, each encoded separately: streaming
/// is a forward pass over one row and gives the same tokens as the pass over a window.
template <std::floating_point S>
struct ImageEncoder {
  std::vector<Conv2d<S>> convolutions;  ///< each followed by a ReLU
  Linear<S> output;                     ///< (numbers of the last convolution, C)
  S input_scale;                        ///< of the configuration; not a weight

  /// What backward needs of the forward pass, and temporary memory of both passes. Sized by the first pass; a pass over
  /// no more rows allocates nothing.
  struct Cache {
    Matrix<S> images;                     ///< (T, numbers) scaled
    std::vector<Matrix<S>> activations;   ///< one (T, numbers of its output) per convolution, after its ReLU
    std::vector<Matrix<S>> dactivations;  ///< their derivatives, in the same shapes
    typename Conv2d<S>::Scratch scratch;  ///< of all convolutions
  };

  /// All weights are zero. Throws Error for a configuration that does not fit such images.
  ImageEncoder(const Box& image, Index width, const ImageEncoderConfig& config = {})
      : convolutions{convolutions_of(image, config)},
        output{convolutions.back().output().number_count(), width},
        input_scale{static_cast<S>(config.input_scale)} {}

  /// Number of weights of such an encoder, without constructing it. Throws Error for an invalid configuration.
  [[nodiscard]] static std::int64_t weight_count(const Box& image, Index width, const ImageEncoderConfig& config = {}) {
    validate(config, image);
    std::int64_t height = image.shape[0], columns = image.shape[1], channels_in = image.shape[2], count = 0;
    for (const auto& [channels, kernel, stride] : config.convolutions) {
      count += (kernel * kernel * channels_in + 1) * channels;
      height = (height - kernel) / stride + 1;
      columns = (columns - kernel) / stride + 1;
      channels_in = channels;
    }
    return count + Linear<S>::weight_count(height * columns * channels_in, width);
  }

  /// Sizes a cache, so that `forward` of up to T = `rows` images allocates nothing.
  void reserve(Cache& cache, Index rows) const {
    reserve_rows(cache.images, rows, convolutions.front().input.number_count());
    cache.activations.resize(convolutions.size());
    cache.dactivations.resize(convolutions.size());
    for (std::size_t i = 0; i < convolutions.size(); ++i) {
      const Index numbers = convolutions[i].output().number_count();
      reserve_rows(cache.activations[i], rows, numbers);
      reserve_rows(cache.dactivations[i], rows, numbers);
      convolutions[i].reserve(cache.scratch);
    }
  }

  /// observations (T, numbers of an image) -> tokens (T, C).
  void forward(MatrixIn<S> observations, Cache& cache, MatrixOut<S> tokens) const {
    const Index rows = observations.rows();
    ICRL_ASSERT(observations.cols() == convolutions.front().input.number_count() && tokens.rows() == rows,
                "image encoder: observations must be (T, numbers of an image) and tokens (T, C)");
    reserve(cache, rows);
    cache.images.topRows(rows) = input_scale * observations;
    for (std::size_t i = 0; i < convolutions.size(); ++i) {
      auto activation = cache.activations[i].topRows(rows);
      convolutions[i].forward(input_of(cache, i).topRows(rows), cache.scratch, activation);
      S* const numbers = activation.data();
      for (Index n = 0; n < activation.size(); ++n) numbers[n] = numbers[n] < 0 ? S(0) : numbers[n];  // NaN stays
    }
    output.forward(cache.activations.back().topRows(rows), tokens);
  }

  /// Adds to `grad`; dtokens (T, C) is the derivative of what forward wrote. Images are data and get no derivative.
  void backward(MatrixIn<S> dtokens, Cache& cache, ImageEncoder& grad) const {
    const Index rows = dtokens.rows();
    output.backward(cache.activations.back().topRows(rows), dtokens, grad.output,
                    cache.dactivations.back().topRows(rows));
    for (std::size_t i = convolutions.size(); i-- > 0;) {
      auto doutput = cache.dactivations[i].topRows(rows);
      for (Index n = 0; n < doutput.size(); ++n)
        if (!(cache.activations[i].data()[n] > 0)) doutput.data()[n] = 0;
      const auto input = input_of(cache, i).topRows(rows);
      if (i == 0) {
        convolutions[i].backward_parameters(input, doutput, cache.scratch, grad.convolutions[i]);
      } else {
        convolutions[i].backward(input, doutput, cache.scratch, grad.convolutions[i],
                                 cache.dactivations[i - 1].topRows(rows));
      }
    }
  }

  /// Random weights, the same for the same generator. Biases are zero.
  void initialize(Rng& rng) {
    for (Conv2d<S>& convolution : convolutions) convolution.initialize(rng);
    fill_normal(output.weight, 1 / std::sqrt(static_cast<double>(output.weight.rows())), rng);
    output.bias.setZero();
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"convolutions", &ImageEncoder::convolutions}, Field{"output", &ImageEncoder::output}};
  }

private:
  static std::vector<Conv2d<S>> convolutions_of(const Box& image, const ImageEncoderConfig& config) {
    validate(config, image);
    std::vector<Conv2d<S>> layers;
    ImageSize size{image.shape[0], image.shape[1], image.shape[2]};
    for (const auto& [channels, kernel, stride] : config.convolutions)
      size = layers.emplace_back(size, channels, kernel, stride).output();
    return layers;
  }

  /// What convolution i reads.
  static const Matrix<S>& input_of(const Cache& cache, std::size_t i) {
    return i == 0 ? cache.images : cache.activations[i - 1];
  }
};

}  // namespace icrl
