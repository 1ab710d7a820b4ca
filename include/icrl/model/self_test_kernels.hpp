// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>
#include <vector>

#include <icrl/core/rng.hpp>
#include <icrl/model/self_test_model.hpp>

// The kernels of this program, each against its definition in double. A check is handed what it checks, so that the
// tests can hand it something wrong.
namespace icrl::detail {

inline constexpr double float_rounding = 0x1p-24;

/// Uniform in [-1, 1).
inline void fill_uniform(Guarded<float>& numbers, Rng& rng) {
  for (Index i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(2 * rng.uniform() - 1);
}
/// The same in bfloat16: floats' upper halves.
inline void fill_uniform(Guarded<Bf16Pair>& pairs, Rng& rng) {
  const auto half = [&] {
    const auto x = static_cast<float>(2 * rng.uniform() - 1);
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits >> 16;
  };
  for (Index i = 0; i < pairs.size(); ++i) {
    const std::uint32_t first = half();
    pairs[i] = first | half() << 16;
  }
}

inline double plain_product(float a, float b) { return static_cast<double>(a) * static_cast<double>(b); }
inline double plain_product(Bf16Pair a, Bf16Pair b) {
  return half_of(a, 0) * half_of(b, 0) + half_of(a, 1) * half_of(b, 1);
}

/// As `product` takes them.
template <typename In>
using ProductFunction = FunctionRef<void(const Gemm<In>& gemm)>;

/// Every height and width of tile with every tail after it, one, two and more blocks of the depth, and plain and
/// transposed factors.
template <typename In>
void check_products(ProductFunction<In> product) {
  constexpr const char* part = std::is_same_v<In, float> ? "products of matrices" : "products in bfloat16";
  struct Shape {
    Index rows, width, depth;
    bool a_transposed = false, b_transposed = false, accumulate = false, bias = false;
  };
  const Index wide = 4 * lanes<float>;
  const Shape shapes[] = {
      {1, 3 * wide + lanes<float> + 3, 33, false, false, false, true},
      {2, wide + 2 * lanes<float> + 5, 40, false, false, true, true},
      {1, 1, 1},
      {3, wide + 1, 7, false, false, false, true},
      {4, 3 * lanes<float>, 21, true, false, true, false},
      {7, 2 * lanes<float> - 1, 65, false, true, false, false},
      {8, wide, 260, false, false, false, true},
      {11, wide + lanes<float>, 19, true, false, true, true},
      {15, 37, 18, false, true, true, false},
      {26, 128, 24, false, false, false, true},
      {13, 5, 530, false, false, true, true},
  };
  Rng rng{11};
  for (const Shape& shape : shapes) {
    const Index rows = opaque(shape.rows), width = opaque(shape.width), depth = opaque(shape.depth);
    const Index stride = width + 3;
    Guarded<In> a{rows * depth}, b{depth * width};
    Guarded<float> c{(rows - 1) * stride + width}, bias{width};
    fill_uniform(a, rng);
    fill_uniform(b, rng);
    fill_uniform(c, rng);
    fill_uniform(bias, rng);
    const std::vector<float> before{c.data(), c.data() + c.size()};
    const Strided<In> left{a.data(), shape.a_transposed ? 1 : depth, shape.a_transposed ? rows : 1};
    const Strided<In> right{b.data(), shape.b_transposed ? 1 : width, shape.b_transposed ? depth : 1};
    product({.rows = rows,
             .width = width,
             .depth = depth,
             .a = left,
             .b = right,
             .c = c.data(),
             .c_stride = stride,
             .accumulate = shape.accumulate,
             .bias = shape.bias ? bias.data() : nullptr});

    const auto place = [&](Index i) {
      return fmt::format("number ({}, {}) of a product of {} x {} and {} x {}{}{}{}{}", i / stride, i % stride, rows,
                         depth, depth, width, shape.a_transposed ? ", left factor transposed" : "",
                         shape.b_transposed ? ", right factor transposed" : "", shape.accumulate ? ", added" : "",
                         shape.bias ? ", with a bias" : "");
    };
    for (Index i = 0; i < c.size(); ++i) {
      const auto old = static_cast<double>(before[static_cast<std::size_t>(i)]);
      const Index row = i / stride, column = i % stride;
      if (column >= width) {  // between two rows
        check_near(part, static_cast<double>(c[i]), old, 0, [&] { return place(i); });
        continue;
      }
      double sum = (shape.accumulate ? old : 0) + (shape.bias ? static_cast<double>(bias[column]) : 0),
             size = 2 + std::abs(sum);
      for (Index k = 0; k < depth; ++k) {
        const double term = plain_product(left.data[row * left.row_stride + k * left.column_stride],
                                          right.data[k * right.row_stride + column * right.column_stride]);
        sum += term;
        size += std::abs(term);
      }
      check_near(part, static_cast<double>(c[i]), sum,
                 2 * float_rounding * std::sqrt(2 + static_cast<double>(depth)) * size, [&] { return place(i); });
    }
    c.check_margins(part, [&] { return place(0); });
  }
}

/// As `softmax_row` takes them.
using SoftmaxFunction = FunctionRef<void(float* x, Index count, Index padded_count, float scale)>;

inline void check_softmax(SoftmaxFunction softmax) {
  constexpr const char* part = "softmax";
  Rng rng{12};
  for (const Index size : {1, 15, 16, 17, 33, 80}) {
    const Index count = opaque(size), padded_count = padded<float>(count);
    Guarded<float> x{padded_count};
    for (Index i = 0; i < count; ++i) x[i] = static_cast<float>(60 * rng.uniform() - 20);
    const float scale = opaque(0.3f);
    double most = -1000, total = 0;
    std::vector<double> expected;
    for (Index i = 0; i < count; ++i) most = std::max(most, static_cast<double>(x[i]));
    for (Index i = 0; i < count; ++i)
      expected.push_back(std::exp((static_cast<double>(x[i]) - most) * static_cast<double>(scale)));
    for (const double e : expected) total += e;
    expected.resize(static_cast<std::size_t>(padded_count));
    softmax(x.data(), count, padded_count, scale);

    for (Index i = 0; i < padded_count; ++i) {
      const double p = expected[static_cast<std::size_t>(i)] / total;
      check_near(part, static_cast<double>(x[i]), p, 5e-6 * p,
                 [&] { return fmt::format("probability {} of {}", i, count); });
    }
    x.check_margins(part, [&] { return fmt::format("a row of {}", count); });
  }
  Guarded<float> row{padded<float>(2)};
  row[0] = 0;
  row[1] = opaque(std::numeric_limits<float>::quiet_NaN());
  softmax(row.data(), 2, row.size(), 1);
  if (is_finite(static_cast<double>(row[1])))
    self_test_failed(part, fmt::format("of the scores 0 and NaN it makes the probability {}", row[1]));
}

/// As `gelu_row` takes them; `slope` receives the derivative, if it is not null.
using GeluFunction = FunctionRef<void(float* y, float* slope, Index size)>;

inline void check_gelu(GeluFunction gelu) {
  constexpr const char* part = "GELU";
  for (const Index count : {1, 16, 37, 203}) {
    const Index size = opaque(count);
    Guarded<float> x{size}, alone{size}, y{size}, slope{size};
    for (Index i = 0; i < size; ++i) x[i] = alone[i] = y[i] = count == 1 ? 0.7f : -10.1f + 0.1f * static_cast<float>(i);
    gelu(alone.data(), nullptr, size);
    gelu(y.data(), slope.data(), size);

    for (Index i = 0; i < size; ++i) {
      const auto v = static_cast<double>(x[i]);
      const double tanh = std::tanh(std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v));
      const double inner = std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * v * v);
      const double derivative = (1 + tanh) / 2 + v / 2 * (1 - tanh * tanh) * inner;
      const auto place = [&](const char* what) {
        return [what, v, i, size] { return fmt::format("{} {}, number {} of {},", what, v, i, size); };
      };
      for (const float value : {alone[i], y[i]}) {
        check_near(part, static_cast<double>(value), PlainTransformer::gelu(v), 1e-6 * (1 + std::abs(v)),
                   place("GELU at"));
      }
      check_near(part, static_cast<double>(slope[i]), derivative, 4e-6, place("the slope of GELU at"));
    }
    for (const Guarded<float>* row : {&alone, &y, &slope})
      row->check_margins(part, [&] { return fmt::format("a row of {}", size); });
  }
}

/// y = the norm of x (1, size) with its gain and bias.
using NormFunction = FunctionRef<void(const LayerNorm<float>& norm, MatrixIn<float> x, MatrixOut<float> y)>;

inline void check_norm(NormFunction norm) {
  constexpr const char* part = "layer norm";
  Rng rng{13};
  for (const Index count : {2, 15, 16, 17, 37, 128}) {
    for (const double spread : {1.0, 0.003}) {  // the variance of the second one is about as large as epsilon
      const Index size = opaque(count);
      LayerNorm<float> layer{size};
      Matrix<float> x(1, size), y(2, size);
      for (Index i = 0; i < size; ++i) {
        x(0, i) = static_cast<float>(spread * (2 + 2 * rng.uniform()));
        layer.gain(i) = static_cast<float>(0.5 + rng.uniform());
        layer.bias(i) = static_cast<float>(rng.uniform());
      }
      fill_margin(&y(1, 0), static_cast<std::size_t>(size) * sizeof(float));
      norm(layer, x, y.topRows(1));

      double mean = 0, variance = 0;
      for (Index i = 0; i < size; ++i) mean += static_cast<double>(x(0, i)) / static_cast<double>(size);
      for (Index i = 0; i < size; ++i)
        variance += std::pow(static_cast<double>(x(0, i)) - mean, 2) / static_cast<double>(size);
      for (Index i = 0; i < size; ++i) {
        const double expected =
            (static_cast<double>(x(0, i)) - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(layer.gain(i)) +
            static_cast<double>(layer.bias(i));
        check_near(part, static_cast<double>(y(0, i)), expected, 1e-5,
                   [&] { return fmt::format("number {} of a row of {}", i, size); });
      }
      check_untouched(part, &y(1, 0), static_cast<std::size_t>(size) * sizeof(float),
                      [&] { return fmt::format("the memory after a row of {}", size); });
    }
  }
}

/// As `attend` takes them.
using AttendFunction = FunctionRef<void(const float* query, Index heads, const StreamKeyValues<float>& past,
                                        Index count, Matrix<float>& scores, float* mixed)>;

/// Wider models than those of check_steps, over more tokens.
inline void check_attention(AttendFunction attend) {
  constexpr const char* part = "attention of one step";
  struct Shape {
    Index heads, size, count;
  };
  const Index lane = lanes<float>;
  Rng rng{14};
  for (const Shape& shape : {Shape{29, lane, 113}, Shape{3, 10, 80}, Shape{2, 2 * lane, 33}, Shape{5, 4, 17}}) {
    const Index heads = opaque(shape.heads), size = shape.size, count = opaque(shape.count), width = heads * size,
                capacity = padded<float>(count);
    Guarded<float> memory{2 * width * capacity}, rows{2 * count * width}, query{width}, mixed{width};
    fill_uniform(rows, rng);
    fill_uniform(query, rng);
    std::fill_n(memory.data(), memory.size(), 0.0f);
    const StreamKeyValues<float> past{memory.data(), memory.data() + width * capacity, width};
    const auto key = [&](Index t) { return rows.data() + 2 * t * width; };
    for (Index t = 0; t < count; ++t) past.put(t, key(t), key(t) + width);
    Matrix<float> scores(heads + 2, capacity);
    fill_margin(scores.data(), static_cast<std::size_t>(scores.size()) * sizeof(float));
    attend(query.data(), heads, past, count, scores, mixed.data());

    const auto place = [&] { return fmt::format("{} heads of {} numbers over {} tokens", heads, size, count); };
    for (Index h = 0; h < heads; ++h) {
      std::vector<double> weights;
      double total = 0;
      for (Index t = 0; t < count; ++t) {
        double score = 0;
        for (Index i = h * size; i < (h + 1) * size; ++i) score += plain_product(query[i], key(t)[i]);
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
        total += weights.back();
      }
      for (Index i = h * size; i < (h + 1) * size; ++i) {
        double sum = 0;
        for (Index t = 0; t < count; ++t)
          sum += weights[static_cast<std::size_t>(t)] / total * static_cast<double>(key(t)[width + i]);
        check_near(part, static_cast<double>(mixed[i]), sum, 1e-6,
                   [&] { return fmt::format("number {} of {}", i, place()); });
      }
    }
    mixed.check_margins(part, place);
    check_untouched(part, &scores(heads, 0), static_cast<std::size_t>(2 * capacity) * sizeof(float),
                    [&] { return "the memory after the scores of " + place(); });
  }
}

}  // namespace icrl::detail
