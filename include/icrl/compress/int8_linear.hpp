// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <icrl/compress/packed_codes.hpp>
#include <icrl/compress/quantized_matrix.hpp>
#include <icrl/core/tensor_view.hpp>
#include <icrl/math/buffer.hpp>
#include <icrl/math/int8_kernels.hpp>
#include <icrl/nn/parameters.hpp>

namespace icrl {

/// Half-precision numbers as stored in files; they are only converted, never used in arithmetic.
template <>
inline constexpr std::string_view dtype_of<Eigen::half> = "F16";

namespace detail {

/// Throws Error for a number that half precision does not hold.
[[nodiscard]] inline RowVector<Eigen::half> to_half(const RowVector<float>& numbers, std::string_view what) {
  RowVector<Eigen::half> halves(numbers.size());
  for (Index i = 0; i < numbers.size(); ++i) {
    if (!(std::abs(numbers(i)) <= 65504.0f))
      fail("{}: number {} is {}, but half precision holds at most 65504", what, i, numbers(i));
    halves(i) = Eigen::half(numbers(i));
  }
  return halves;
}
/// Throws Error for a number that is not finite.
inline void from_half(const RowVector<Eigen::half>& halves, std::string_view what, float* out) {
  for (Index i = 0; i < halves.size(); ++i) {
    out[i] = static_cast<float>(halves(i));
    if (!std::isfinite(out[i])) fail("{}: number {} is {}, it must be finite", what, i, out[i]);
  }
}

/// Scales are stored in half precision, in units of 2^-10: so that those of weights up to 8000 fit, and those of
/// weights from 10^-5 up have all digits.
inline constexpr float scale_unit = 0x1p-10f;

}  // namespace detail

/// The smallest scale that a model file holds and that is not smaller than `scale`. Codes computed with such a scale
/// lose nothing when they are stored.
[[nodiscard]] inline float storable_scale(float scale) {
  auto half = Eigen::half(scale / detail::scale_unit);
  if (static_cast<float>(half) * detail::scale_unit < scale)
    half = Eigen::numext::bit_cast<Eigen::half>(
        static_cast<std::uint16_t>(Eigen::numext::bit_cast<std::uint16_t>(half) + 1));
  return static_cast<float>(half) * detail::scale_unit;
}

namespace detail {

/// Codes of `count` numbers that lie `stride` apart, and their common scale: that of the largest one, as files hold it.
/// Throws Error, which begins with `what`, for numbers that are not finite or too large.
[[nodiscard]] inline float quantize_weights(const float* numbers, Index count, Index stride, std::string_view what,
                                            std::int8_t* codes) {
  float largest = 0;
  for (Index i = 0; i < count; ++i) {
    const float magnitude = std::abs(numbers[i * stride]);
    if (!(magnitude <= 8000))
      fail("{}: a weight is {}, but integer models hold at most 8000", what, numbers[i * stride]);
    largest = std::max(largest, magnitude);
  }
  const float scale = storable_scale(largest / 127);
  for (Index i = 0; i < count; ++i) {
    const float code = scale > 0 ? numbers[i * stride] / scale : 0.0f;
    codes[i * stride] = static_cast<std::int8_t>(std::clamp(exact_round(code), -127, 127));
  }
  return scale;
}

}  // namespace detail

/// y = x W + b in integers: weights and inputs are int8, sums are exact. It acts and cannot be trained. Files store
/// `weight`, `group_scale`, `scale` and `bias`; `pack` expands them into the int8 panels that products read, for any
/// number of bits per weight. If most blocks of 16 outputs by 4 inputs have no weight, the panels leave these out and
/// products skip them; results have the same bits.
struct Int8Linear {
  Index in, out;               ///< numbers of a row of x and of y
  int bits, group;             ///< per weight: 8, 4, 3 or 2; inputs per group scale, 0 = no groups
  Matrix<std::int8_t> weight;  ///< codes: (in, out) of 8 bits; of fewer their indices (CodeRange), packed: (bytes, out)
  std::vector<Matrix<std::uint8_t>> group_scale;  ///< packed: (bytes, out), only with groups
  RowVector<Eigen::half> scale;                   ///< (out), in units of 2^-10
  RowVector<Eigen::half> bias;                    ///< (out)

  /// So that sums of products of codes fit into 32 bits.
  static constexpr Index max_inputs = Index{1} << 17;

  /// All zero. `group` counts below 8 bits only.
  Int8Linear(Index inputs, Index outputs, int weight_bits = 8, int group_size = 0)
      : in{inputs},
        out{outputs},
        bits{weight_bits},
        group{weight_bits == 8 ? 0 : group_size},
        weight{Matrix<std::int8_t>::Zero(static_cast<Index>(detail::packed_size(inputs, weight_bits)), outputs)},
        scale{RowVector<Eigen::half>::Constant(outputs, Eigen::half(0.0f))},
        bias{RowVector<Eigen::half>::Constant(outputs, Eigen::half(0.0f))} {
    if (group > 0) {
      group_scale.push_back(empty_group_scales());
      for (Index k = 0; k < group_count(); ++k)
        for (Index o = 0; o < out; ++o) detail::set_packed(group_scale.front(), k, o, scale_bits(bits), 1);
    }
    pack("int8 linear map");
  }

  /// Throws Error, which begins with `what`, for a matrix that is not valid or a bias of another size.
  Int8Linear(const QuantizedMatrix& matrix, const RowVector<float>& biases, std::string_view what)
      : Int8Linear{checked(matrix, what).in, matrix.out, matrix.bits, matrix.group} {
    if (biases.size() != out) fail("{}: has {} biases for {} outputs", what, biases.size(), out);
    bias = detail::to_half(biases, what);
    scale = detail::to_half(Eigen::Map<const RowVector<float>>(matrix.scales.data(), out) / detail::scale_unit, what);
    const CodeRange range = code_range(bits);
    for (Index i = 0; i < in; ++i) {
      for (Index o = 0; o < out; ++o) {
        const int code = matrix.codes[static_cast<std::size_t>(i * out + o)];
        if (bits == 8) {
          weight(i, o) = static_cast<std::int8_t>(code);
        } else {
          detail::set_packed(weight, i, o, bits, static_cast<unsigned>(range.index_of(code)));
        }
      }
    }
    if (group > 0) {
      group_scale.front() = empty_group_scales();
      for (Index k = 0; k < group_count(); ++k) {
        for (Index o = 0; o < out; ++o) {
          detail::set_packed(group_scale.front(), k, o, scale_bits(bits),
                             matrix.group_scales[static_cast<std::size_t>(k * out + o)]);
        }
      }
    }
    pack(what);
  }

  [[nodiscard]] Index input_size() const { return in; }
  [[nodiscard]] Index output_size() const { return out; }
  /// Numbers in the tensors of such a map.
  [[nodiscard]] static std::int64_t weight_count(std::int64_t in, std::int64_t out, int bits, int group) {
    const std::int64_t groups = group > 0 && bits < 8 ? (in + group - 1) / group : 0;
    return (detail::packed_size(in, bits) + detail::packed_size(groups, scale_bits(bits)) + 2) * out;
  }

  /// Packs the tensors for products. Throws Error, which begins with `what`, and leaves the packed ones as they are,
  /// for numbers outside their ranges and too many inputs.
  void pack(std::string_view what) {
    if (in > max_inputs) fail("{}: has {} inputs, an integer linear layer has at most {}", what, in, max_inputs);
    const QuantizedMatrix matrix = quantized();
    validate(matrix, what);
    RowVector<float> biases(out);
    detail::from_half(bias, what, biases.data());
    for (Index o = 0; o < out; ++o) {
      if (!detail::ends_in_zeros(weight, in, o, bits))
        fail("{}: the padding after the last weight of output {} is not zero (is the file damaged?)", what, o);
      if (group > 0 && !detail::ends_in_zeros(group_scale.front(), group_count(), o, scale_bits(bits)))
        fail("{}: the padding after the last group scale of output {} is not zero (is the file damaged?)", what, o);
    }
    const Index words = detail::whole_words(in), outputs = detail::whole_blocks(out);
    panels_.resize(outputs, words);
    offsets_.resize(1, outputs);
    numbers_.resize(2, outputs);
    std::fill_n(panels_.data(), outputs * words, std::int8_t{0});
    std::fill_n(offsets_.data(), outputs, 0);
    std::fill_n(numbers_.data(), 2 * outputs, 0.0f);
    for (Index i = 0; i < in; ++i) {
      for (Index o = 0; o < out; ++o) {
        const int value = matrix.value(i, o);
        panels_.data()[o / 16 * words * 16 + i / 4 * 64 + o % 16 * 4 + i % 4] = static_cast<std::int8_t>(value);
        offsets_(0, o) += 128 * value;
      }
    }
    std::copy(matrix.scales.begin(), matrix.scales.end(), numbers_.data());
    std::copy_n(biases.data(), out, numbers_.data() + outputs);
    leave_out_zeros();
  }

  /// Whether products skip blocks without weights.
  [[nodiscard]] bool is_sparse() const { return !begins_.empty(); }

  /// For kernels; valid until the next `pack`.
  [[nodiscard]] detail::Int8MapView view() const {
    return {panels_.data(),
            offsets_.data(),
            numbers_.data(),
            numbers_.data() + numbers_.cols(),
            detail::whole_words(in) / 4,
            out,
            is_sparse() ? begins_.data() : nullptr,
            kept_.data()};
  }

  /// The weights as quantizers give them.
  [[nodiscard]] QuantizedMatrix quantized() const {
    QuantizedMatrix matrix{
        .in = in, .out = out, .bits = bits, .group = group, .codes = {}, .group_scales = {}, .scales = {}};
    matrix.codes.resize(static_cast<std::size_t>(in * out));
    for (Index i = 0; i < in; ++i)
      for (Index o = 0; o < out; ++o) matrix.codes[static_cast<std::size_t>(i * out + o)] = code(i, o);
    for (Index k = 0; group > 0 && k < group_count(); ++k) {
      for (Index o = 0; o < out; ++o) {
        matrix.group_scales.push_back(
            static_cast<std::uint8_t>(detail::packed_at(group_scale.front(), k, o, scale_bits(bits))));
      }
    }
    for (Index o = 0; o < out; ++o) matrix.scales.push_back(static_cast<float>(scale(o)) * detail::scale_unit);
    return matrix;
  }

  static constexpr auto tensors() {
    using L = Int8Linear;
    return std::tuple{Field{"weight", &L::weight}, Field{"group_scale", &L::group_scale}, Field{"scale", &L::scale},
                      Field{"bias", &L::bias}};
  }

private:
  static const QuantizedMatrix& checked(const QuantizedMatrix& matrix, std::string_view what) {
    validate(matrix, what);
    return matrix;
  }

  /// Of a packed group scale.
  [[nodiscard]] static int scale_bits(int weight_bits) {
    return static_cast<int>(std::bit_width(static_cast<unsigned>(code_range(weight_bits).max_group_scale)));
  }

  [[nodiscard]] Index group_count() const { return (in + group - 1) / group; }

  [[nodiscard]] Matrix<std::uint8_t> empty_group_scales() const {
    return Matrix<std::uint8_t>::Zero(static_cast<Index>(detail::packed_size(group_count(), scale_bits(bits))), out);
  }

  [[nodiscard]] std::int8_t code(Index i, Index o) const {
    if (bits == 8) return weight(i, o);
    const auto index = static_cast<int>(detail::packed_at(weight, i, o, bits));
    return static_cast<std::int8_t>(code_range(bits).code_at(index));
  }

  /// Makes sparse panels of dense ones, if so many words are zero that products are quicker without them. Measured: a
  /// word that is kept takes up to 8/5 of the time that it takes in a dense panel, and every panel that of 6 such
  /// words.
  void leave_out_zeros() {
    static_assert(max_inputs / 4 <= 1 << 16, "the numbers of words fit into 16 bits");
    begins_.clear();
    kept_.clear();
    const Index words = panels_.cols() / 4, panels = panels_.rows() / 16;
    const auto word_at = [&](Index i) { return panels_.data() + i * 64; };
    const auto is_zero = [&](Index i) { return std::all_of(word_at(i), word_at(i + 1), [](int c) { return c == 0; }); };
    Index zeros = 0;
    for (Index i = 0; i < words * panels; ++i) zeros += is_zero(i) ? 1 : 0;
    const Index kept = words * panels - zeros;
    if (8 * (kept + 6 * panels) > 5 * words * panels) return;
    Buffer<std::int8_t> sparse;
    sparse.resize(kept, 64);
    std::vector<std::int32_t> begins;
    std::vector<std::uint16_t> numbers;
    for (Index i = 0; i < words * panels; ++i) {
      if (i % words == 0) begins.push_back(static_cast<std::int32_t>(numbers.size()));
      if (is_zero(i)) continue;
      std::copy(word_at(i), word_at(i + 1), sparse.data() + static_cast<Index>(numbers.size()) * 64);
      numbers.push_back(static_cast<std::uint16_t>(i % words));
    }
    begins.push_back(static_cast<std::int32_t>(numbers.size()));
    panels_ = std::move(sparse);  // from here on nothing throws
    begins_ = std::move(begins);
    kept_ = std::move(numbers);
  }

  Buffer<std::int8_t> panels_;        // (whole blocks of outputs, whole words of inputs), or the words that are
                                      // kept (kept, 64), in the order of Int8MapView
  Buffer<std::int32_t> offsets_;      // (1, whole blocks of outputs)
  Buffer<float> numbers_;             // (2, whole blocks of outputs): scales, biases
  std::vector<std::int32_t> begins_;  // of sparse panels, see Int8MapView
  std::vector<std::uint16_t> kept_;   // of sparse panels
};

/// Weights (in, out) of 8 bits, rounded to the nearest, each output by its largest one. Throws Error, which begins with
/// `what`, for a weight that is not finite or exceeds 8000.
[[nodiscard]] inline QuantizedMatrix nearest_int8(MatrixIn<float> weights, std::string_view what) {
  QuantizedMatrix matrix{.in = weights.rows(), .out = weights.cols(), .codes = {}, .group_scales = {}, .scales = {}};
  matrix.codes.resize(static_cast<std::size_t>(weights.size()));
  const Matrix<float> numbers = weights;
  for (Index o = 0; o < matrix.out; ++o) {
    matrix.scales.push_back(detail::quantize_weights(numbers.data() + o, matrix.in, matrix.out,
                                                     fmt::format("{}, output {}", what, o), matrix.codes.data() + o));
  }
  return matrix;
}

}  // namespace icrl
