// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include <icrl/core/assert.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/math/product.hpp>
#include <icrl/math/row_kernels.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// The sizes of an image in one row of numbers: pixel (i, j) begins at (i * width + j) * channels.
struct ImageSize {
  Index height = 0, width = 0, channels = 0;  ///< in pixels, in pixels, and numbers per pixel

  /// Pixels of the image.
  [[nodiscard]] Index pixel_count() const { return height * width; }
  /// Numbers of the image: of all channels of all pixels.
  [[nodiscard]] Index number_count() const { return pixel_count() * channels; }
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// A two-dimensional convolution without padding. Output pixel (i, j) is a linear map of the kernel x kernel patch that
/// begins at pixel (i * stride, j * stride) of the image; pixels on the right and at the bottom that do not fill a
/// patch are not read. D = kernel * kernel * channels in, the numbers of a patch in the image's order.
template <std::floating_point S>
struct Conv2d {
  Matrix<S> weight;      ///< (D, channels out)
  RowVector<S> bias;     ///< (channels out)
  ImageSize input;       ///< not a weight, as the two below
  Index kernel, stride;  ///< pixels along each side of a patch, and from one patch to the next

  /// Used within one call; all convolutions of a pass may share one.
  struct Scratch {
    RowVector<S> patches, dpatches;  ///< at least output pixels * D: the patches of an image, row by row
  };

  /// All weights are zero. The kernel is at most as large as the image.
  Conv2d(const ImageSize& input_size, Index channels, Index kernel_size, Index stride_size)
      : weight{Matrix<S>::Zero(kernel_size * kernel_size * input_size.channels, channels)},
        bias{RowVector<S>::Zero(channels)},
        input{input_size},
        kernel{kernel_size},
        stride{stride_size} {
    ICRL_ASSERT(kernel >= 1 && stride >= 1 && kernel <= std::min(input.height, input.width),
                "convolution: kernel and stride must be at least 1, and the kernel must fit into the image");
  }

  /// The size of the image that it makes.
  [[nodiscard]] ImageSize output() const {
    return {(input.height - kernel) / stride + 1, (input.width - kernel) / stride + 1, bias.size()};
  }

  /// Sizes what `forward` needs.
  void reserve(Scratch& scratch) const { (void)patches_in(scratch.patches); }

  /// One image per row: x (T, input numbers) -> y (T, output numbers). An image's result does not depend on the others.
  void forward(MatrixIn<S> x, Scratch& scratch, MatrixOut<S> y) const {
    ICRL_ASSERT(x.cols() == input.number_count() && y.rows() == x.rows() && y.cols() == output().number_count(),
                "convolution: x must be (T, input numbers) and y (T, output numbers)");
    PatchMap patches = patches_in(scratch.patches);
    for (Index t = 0; t < x.rows(); ++t) {
      copy_patches(row_data(x, t), patches);
      affine<S>(patches, weight, bias, PatchMap{row_data(y, t), output().pixel_count(), bias.size()});
    }
  }

  /// Adds to `grad`, overwrites dx. `x` is what forward was given. With y = P W + b for the patches P of one image, dW
  /// += P^T dy, db += the sum of dy's pixels, dP = dy W^T; a pixel of dx is the sum over the patches that it lies in.
  void backward(MatrixIn<S> x, MatrixIn<S> dy, Scratch& scratch, Conv2d& grad, MatrixOut<S> dx) const {
    backward_parameters(x, dy, scratch, grad);
    ICRL_ASSERT(dx.rows() == x.rows() && dx.cols() == x.cols(), "convolution: dx must have the shape of x");
    PatchMap dpatches = patches_in(scratch.dpatches);
    for (Index t = 0; t < dy.rows(); ++t) {
      multiply_transposed<S>(pixels_of(dy, t), weight, dpatches);
      std::fill_n(row_data(dx, t), dx.cols(), S(0));
      add_patches(dpatches, row_data(dx, t));
    }
  }

  /// Backward without the derivative with respect to the input, for a first layer.
  void backward_parameters(MatrixIn<S> x, MatrixIn<S> dy, Scratch& scratch, Conv2d& grad) const {
    ICRL_ASSERT(x.cols() == input.number_count() && dy.rows() == x.rows() && dy.cols() == output().number_count(),
                "convolution: x must be (T, input numbers) and dy (T, output numbers)");
    PatchMap patches = patches_in(scratch.patches);
    for (Index t = 0; t < x.rows(); ++t) {
      copy_patches(row_data(x, t), patches);
      add_transposed_product<S>(patches, pixels_of(dy, t), grad.weight);
      add_column_sums<S>(pixels_of(dy, t), grad.bias);
    }
  }

  /// Weights that keep the size of numbers through a ReLU (He et al., 2015): stddev sqrt(2 / D). The bias is zero.
  void initialize(Rng& rng) {
    fill_normal(weight, std::sqrt(2.0 / static_cast<double>(weight.rows())), rng);
    bias.setZero();
  }

  static constexpr auto parameters() {
    return std::tuple{Field{"weight", &Conv2d::weight}, Field{"bias", &Conv2d::bias}};
  }

private:
  using PatchMap = Eigen::Map<Matrix<S>>;

  /// (output pixels, D) in a buffer that grows if necessary.
  PatchMap patches_in(RowVector<S>& buffer) const {
    const Index pixels = output().pixel_count();
    if (buffer.size() < pixels * weight.rows()) buffer.resize(pixels * weight.rows());
    return {buffer.data(), pixels, weight.rows()};
  }

  /// Row t as (output pixels, channels out).
  Eigen::Map<const Matrix<S>> pixels_of(MatrixIn<S> y, Index t) const {
    return {row_data(y, t), output().pixel_count(), bias.size()};
  }

  /// Calls visit(number of the first of a run in the image, the same in the patches, length) for each run of numbers
  /// that is contiguous in both: a row of a patch.
  template <typename Visit>
  void for_each_run(Visit&& visit) const {
    const ImageSize size = output();
    const Index length = kernel * input.channels;
    Index in_patches = 0;
    for (Index i = 0; i < size.height; ++i)
      for (Index j = 0; j < size.width; ++j)
        for (Index k = 0; k < kernel; ++k, in_patches += length)
          visit(((i * stride + k) * input.width + j * stride) * input.channels, in_patches, length);
  }

  void copy_patches(const S* image, PatchMap& patches) const {
    for_each_run([&](Index from, Index to, Index length) { std::copy_n(image + from, length, patches.data() + to); });
  }

  void add_patches(const PatchMap& patches, S* image) const {
    for_each_run([&](Index to, Index from, Index length) {
      for (Index i = 0; i < length; ++i) image[to + i] += patches.data()[from + i];
    });
  }
};

}  // namespace icrl
