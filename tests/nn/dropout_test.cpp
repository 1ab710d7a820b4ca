// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/dropout.hpp>

#include <cmath>
#include <limits>

#include <icrl/nn/parameters.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/largest_magnitude.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename S>
Matrix<S> dropped_ones(const Dropout& dropout, Index rows, Index columns) {
  Matrix<S> x = Matrix<S>::Ones(rows, columns);
  dropout.drop<S>(x);
  return x;
}

}  // namespace

TEST_CASE("A number is dropped, or divided by the share that stays", "[nn]") {
  const Dropout dropout{0.2, Rng{3}};
  Matrix<double> x(40, 31);
  Rng rng{4};
  fill_normal(x, 1.0, rng);
  Matrix<double> y = x;

  dropout.drop<double>(y);

  Index zeros = 0;
  for (Index i = 0; i < x.size(); ++i) {
    zeros += y.data()[i] == 0 ? 1 : 0;
    if (y.data()[i] != 0) CHECK(y.data()[i] == x.data()[i] * (1 / 0.8));
  }
  CHECK(static_cast<double>(zeros) == Approx(0.2 * static_cast<double>(x.size())).epsilon(0.15));
}

TEST_CASE("What is dropped depends on the generator, row and column alone", "[nn]") {
  const Dropout dropout{0.5, Rng{3}};
  const Matrix<double> all = dropped_ones<double>(dropout, 9, 21);

  CHECK(dropped_ones<double>(dropout, 9, 21) == all);
  CHECK(dropped_ones<double>(dropout, 4, 21) == all.topRows(4));
  CHECK(dropped_ones<double>(dropout, 9, 8) == all.leftCols(8));
  CHECK(dropped_ones<double>(dropout, 9, 7) == all.leftCols(7));
  CHECK(dropped_ones<float>(dropout, 9, 21).cast<double>() == all);
  CHECK(dropped_ones<double>(Dropout{0.5, Rng{4}}, 9, 21) != all);
  CHECK(all.row(0) != all.row(1));
}

TEST_CASE("The share that is dropped is the rate, and the mean of all masks is the number", "[nn]") {
  for (const double share : {0.1, 0.3, 0.5, 0.9}) {
    Matrix<double> sum = Matrix<double>::Zero(2, 5);
    constexpr int masks = 20000;
    for (std::uint64_t i = 0; i < masks; ++i) sum += dropped_ones<double>(Dropout{share, Rng{7}.fork(i)}, 2, 5);

    // Five standard deviations of a mean.
    const double tolerance = 5 * std::sqrt(share / (1 - share) / masks);
    CHECK(largest_magnitude(sum / masks - Matrix<double>::Ones(2, 5)) < tolerance);
  }
}

TEST_CASE("Rate 0 changes nothing, and neighbors in a row are independent", "[nn]") {
  Matrix<float> x = Matrix<float>::Constant(3, 4, 0.1f);
  x(0, 0) = -0.0f;
  const Dropout none{0, Rng{1}};
  CHECK_FALSE(none.is_used());
  CHECK(Dropout{0.1, Rng{1}}.is_used());
  Matrix<float> y = x;
  none.drop<float>(y);
  CHECK(y == x);

  // Two neighbors share 64 random bits.
  const Matrix<double> many = dropped_ones<double>(Dropout{0.5, Rng{5}}, 4000, 2);
  const double both = (many.col(0).array() * many.col(1).array()).mean() / 4;
  CHECK(both == Approx(0.25).epsilon(0.1));
}

TEST_CASE("A dropped number is zero, whatever it was", "[nn]") {
  Matrix<double> x = Matrix<double>::Constant(1, 64, std::numeric_limits<double>::infinity());
  Dropout{0.5, Rng{1}}.drop<double>(x);
  CHECK((x.array() == 0).any());
  CHECK_FALSE(x.array().isNaN().any());
}

TEST_CASE("A rate that makes no sense is named with its range", "[nn]") {
  const auto refusal = [](const DropoutRates& rates) { return error_of([&] { validate(rates); }); };
  CHECK(refusal({}).empty());
  CHECK(refusal({.embedding = 0.3, .residual = 0.1, .attention = 0.5}).empty());
  CHECK(refusal({.embedding = 1}) == "dropout: embedding is 1, it must lie in [0, 1)");
  CHECK(has(refusal({.residual = -0.1}), "residual is -0.1"));
  CHECK(has(refusal({.attention = std::numeric_limits<double>::quiet_NaN()}), "attention is nan"));
  CHECK_FALSE(DropoutRates{}.is_used());
  CHECK(DropoutRates{.attention = 0.1}.is_used());
}
