// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/bf16_rows.hpp>

#include <array>
#include <cmath>
#include <limits>

#include <icrl/math/row_kernels.hpp>

#include "support/catch.hpp"
#include "support/products.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr double precision = 1.0 / 256;  // of bfloat16, rounded

/// A block in both orders, as the functions leave it.
struct Both {
  Buffer<Bf16Pair> rows, pairs;

  Both(Index first, Index count, Index size) : rows(count, pair_count(size)), pairs(pair_count(first + count), size) {
    for (Buffer<Bf16Pair>* order : {&rows, &pairs})
      std::fill_n(order->data(), order->rows() * order->cols(), 0xffffffffu);  // NaN
  }
};

float upper(Bf16Pair pair) { return detail::to_float(pair & 0xffffu); }
float lower(Bf16Pair pair) { return detail::to_float(pair >> 16); }

/// Checks that a block from `first` on holds `expected`, and that the missing half of a last pair is zero.
void check(const Both& both, Index first, const Matrix<float>& expected) {
  const Index count = expected.rows(), size = expected.cols();
  for (Index r = 0; r < count; ++r) {
    for (Index i = 0; i < size; ++i) {
      const Bf16Pair pair = both.pairs((first + r) / 2, i);
      const float along = detail::number_at(row_data(both.rows, r), i), across = r % 2 == 0 ? upper(pair) : lower(pair);
      REQUIRE(along == Approx(expected(r, i)).epsilon(precision).margin(1e-30));
      REQUIRE(along == across);
      if (r + 1 == count && r % 2 == 0) REQUIRE(lower(pair) == 0);
    }
    if (size % 2 == 1) REQUIRE(detail::number_at(row_data(both.rows, r), size) == 0);
  }
  if (first > 0) REQUIRE(both.pairs(0, 0) == 0xffffffffu);  // an earlier block's
}

/// Calls run(first, count, size) for blocks that begin and end in all ways.
template <typename Run>
void for_shapes(Run&& run) {
  for (const Index first : {0, 4}) {
    for (const Index count : {1, 2, 5, 8}) {
      for (const Index size : {1, 2, 15, 16, 17, 33, 64, 70}) {
        CAPTURE(first, count, size);
        run(first, count, size);
      }
    }
  }
}

}  // namespace

TEST_CASE("The rough exponential is within 1.02e-4, and NaN stays NaN", "[math]") {
  const auto at = [](float x) { return detail::rough_exp2(detail::broadcast(x))[0]; };
  for (float x = -124.9f; x < 126; x += 0.0137f) {
    CAPTURE(x);
    REQUIRE(static_cast<double>(at(x)) == Approx(std::exp2(static_cast<double>(x))).epsilon(1.02e-4));
  }
  CHECK(at(0) == 1);
#if defined(__AVX512DQ__)
  const float least = 0, most = infinity;
#else
  const float least = std::exp2(-125.0f), most = std::exp2(126.0f);
#endif
  for (const float x : {-1000.0f, -infinity}) CHECK(at(x) == least);
  for (const float x : {1000.0f, infinity}) CHECK(at(x) == most);
  CHECK(std::isnan(at(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("A block leaves in both orders of bfloat16, as it is or scaled", "[math]") {
  for_shapes([](Index first, Index count, Index size) {
    const Matrix<float> x = random_matrix<float>(count, size, 1);
    const RowVector<float> gain = random_matrix<float>(1, size, 2), bias = random_matrix<float>(1, size, 3);
    Both plain{first, count, size}, scaled{first, count, size};

    round_both(x, first, plain.rows, plain.pairs);
    round_scaled(x, gain, bias, first, scaled.rows, scaled.pairs);

    check(plain, first, x);
    check(scaled, first, (x.array().rowwise() * gain.array()).matrix().rowwise() + bias);
  });
}

TEST_CASE("GELU and products with its slope agree with floats to bfloat16's precision", "[math]") {
  for_shapes([](Index first, Index count, Index size) {
    const Matrix<float> x = 2 * random_matrix<float>(count, size, 4), d = random_matrix<float>(count, size, 5);
    Matrix<float> y = x, slope(count, size);
    gelu_row(y.data(), slope.data(), x.size());
    Both gelu{first, count, size}, product{first, count, size};
    Buffer<Bf16Pair> slopes(pair_count(first + count), size);
    RowVector<float> total = RowVector<float>::Ones(size);

    round_gelu(x, first, gelu.rows, gelu.pairs, slopes);
    round_product(d, first, slopes, product.rows, product.pairs, total);

    check(gelu, first, y);
    Matrix<float> rounded_slope(count, size);
    for (Index r = 0; r < count; ++r) {
      for (Index i = 0; i < size; ++i) {
        const Bf16Pair pair = slopes((first + r) / 2, i);
        rounded_slope(r, i) = r % 2 == 0 ? upper(pair) : lower(pair);
        // Where the slope passes through zero, what is rough counts absolutely.
        REQUIRE(rounded_slope(r, i) == Approx(slope(r, i)).epsilon(precision + 2e-4).margin(2e-4));
      }
    }
    const Matrix<float> expected = d.cwiseProduct(rounded_slope);
    check(product, first, expected);
    for (Index i = 0; i < size; ++i) CHECK(total(i) == Approx(1 + expected.col(i).sum()).margin(1e-5));
  });
}

TEST_CASE("GELU and its slope hold for numbers of any size", "[math]") {
  constexpr Index count = 30000;
  Matrix<float> x(1, count);
  for (Index i = 0; i < count; ++i) x(0, i) = 0.0137f * static_cast<float>(i - count / 2);
  Matrix<float> y = x, slope(1, count);
  gelu_row(y.data(), slope.data(), count);
  Both gelu{0, 1, count};
  Buffer<Bf16Pair> slopes(1, count);
  round_gelu(x, 0, gelu.rows, gelu.pairs, slopes);
  for (Index i = 0; i < count; ++i) {
    CAPTURE(x(0, i));
    REQUIRE(upper(gelu.pairs(0, i)) == Approx(y(0, i)).epsilon(precision + 2e-4).margin(1e-30));
    REQUIRE(upper(slopes(0, i)) == Approx(slope(0, i)).epsilon(precision + 2e-4).margin(1e-3));
  }
}

TEST_CASE("A scaled row is rounded and multiplied by another", "[math]") {
  for (const Index size : {2, 6, 16, 32, 38}) {
    CAPTURE(size);
    const Matrix<float> x = random_matrix<float>(1, size, 6), other = random_matrix<float>(1, size, 7);
    Buffer<Bf16Pair> rounded_other, to(1, pair_count(size)), with_sum(1, pair_count(size));
    round_rows(other, rounded_other);
    round_scaled_row(x.data(), 3, size, to.data());
    const float sum = round_scaled_row(x.data(), 3, size, with_sum.data(), rounded_other.data());
    CHECK(std::equal(to.data(), to.data() + to.cols(), with_sum.data()));
    double expected = 0;
    for (Index i = 0; i < size; ++i) {
      CHECK(detail::number_at(to.data(), i) == Approx(3 * x(0, i)).epsilon(precision));
      expected += static_cast<double>(detail::number_at(to.data(), i)) *
                  static_cast<double>(detail::number_at(rounded_other.data(), i));
    }
    CHECK(sum == Approx(expected).margin(1e-5));
  }
}

TEST_CASE("Exponentials of two rows of scores, over their sums, are softmax; their derivatives follow", "[math]") {
  constexpr float scale = 0.25f;
  for (const Index count : {1, 3, 15, 17, 31, 45}) {
    CAPTURE(count);
    const Index size = padded<float>(count + 1);
    Matrix<float> scores = 5 * random_matrix<float>(2, size, 8), softmax = scores;
    const Matrix<float> d = random_matrix<float>(2, size, 9);
    scores.row(0).tail(size - count).setConstant(1e30f);  // of later tokens: may be anything finite
    scores.row(1).tail(size - count - 1).setConstant(1e30f);
    softmax_row(row_data(softmax, 0), count, size, scale);
    softmax_row(row_data(softmax, 1), count + 1, size, scale);
    Both e{0, 2, size}, ds{0, 2, size};
    const auto to = [](Buffer<Bf16Pair>& pairs) { return [&](Index i) { return &pairs(0, i); }; };

    const auto inverse = round_exponentials({scores.data(), row_data(scores, 1)}, count, size, scale,
                                            {e.rows.data(), row_data(e.rows, 1)}, to(e.pairs));
    const std::array<float, 2> mean{0.3f, -0.7f};
    round_score_derivatives({d.data(), row_data(d, 1)}, mean, size, scale, to(e.pairs),
                            {ds.rows.data(), row_data(ds.rows, 1)}, to(ds.pairs));

    Matrix<float> found(2, size), derivative(2, size);
    for (Index r = 0; r < 2; ++r) {
      for (Index i = 0; i < size; ++i) {
        const float p = detail::number_at(row_data(e.rows, r), i);
        found(r, i) = p * inverse[static_cast<std::size_t>(r)];
        derivative(r, i) = p * scale * (d(r, i) - mean[static_cast<std::size_t>(r)]);
        CHECK(found(r, i) == Approx(softmax(r, i)).epsilon(precision).margin(1e-9));
        if (i >= count + r) CHECK(p == 0);
      }
    }
    check(ds, 0, derivative);
    check(e, 0, (found.array().colwise() / Eigen::Map<const Eigen::Array2f>(inverse.data())).matrix());
  }
}

TEST_CASE("Scores far apart or not a number do no harm or are seen", "[math]") {
  Matrix<float> scores(2, padded<float>(2));
  scores.setZero();
  scores.row(0).head(1) << 3e9f;
  scores.row(1).head(2) << -3e9f, 3e9f;
  Both e{0, 2, scores.cols()};
  const auto run = [&] {
    return round_exponentials({scores.data(), row_data(scores, 1)}, 1, scores.cols(), 1.0f,
                              {e.rows.data(), row_data(e.rows, 1)}, [&](Index i) { return &e.pairs(0, i); });
  };
  const auto inverse = run();
  CHECK(inverse[0] == 1);
  CHECK(inverse[1] == 1);
  CHECK(detail::number_at(row_data(e.rows, 1), 1) == 1);
  scores(1, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(run()[1]));
}
