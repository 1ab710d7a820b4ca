// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/rotary.hpp>

#include <cmath>
#include <vector>

#include <icrl/core/rng.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

std::vector<double> random_row(std::size_t size, std::uint64_t seed) {
  Rng rng{seed};
  std::vector<double> row(size);
  for (double& number : row) number = rng.normal();
  return row;
}

std::vector<double> rotated(const RotaryTable<double>& table, std::vector<double> row, Index t) {
  table.rotate(row.data(), static_cast<Index>(row.size()), t);
  return row;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

TEST_CASE("A table that was not sized is empty", "[nn]") {
  CHECK(RotaryTable<float>{}.empty());
  CHECK_FALSE(RotaryTable<float>{1, 2}.empty());
}

TEST_CASE("Number i and its partner half a head on are turned by t * 10000^(-2i/D)", "[nn]") {
  const RotaryTable<double> table{9, 4};
  const std::vector<double> row = rotated(table, {1, 1, 0, 0, 0, 0, 1, 1}, 7);
  const double slow = 7 * std::pow(10000.0, -0.5);
  const std::vector<double> expected{std::cos(7.0),  std::cos(slow),  std::sin(7.0), std::sin(slow),
                                     -std::sin(7.0), -std::sin(slow), std::cos(7.0), std::cos(slow)};
  for (std::size_t i = 0; i < row.size(); ++i) CHECK(row[i] == Approx(expected[i]).margin(1e-15));
}

TEST_CASE("Products of turned rows depend on the distance of their positions alone", "[nn]") {
  const RotaryTable<double> table{60, 8};
  const auto query = random_row(8, 1), key = random_row(8, 2);
  const double expected = dot(rotated(table, query, 5), rotated(table, key, 2));

  CHECK(dot(rotated(table, query, 53), rotated(table, key, 50)) == Approx(expected).epsilon(1e-12));
  CHECK(dot(rotated(table, query, 53), rotated(table, key, 49)) != Approx(expected).epsilon(1e-3));
  CHECK(rotated(table, query, 0) == query);
}

TEST_CASE("Turning back undoes turning", "[nn]") {
  const RotaryTable<double> table{60, 8};
  const auto row = random_row(24, 3);
  auto there_and_back = rotated(table, row, 41);
  CHECK(there_and_back != row);
  table.rotate_back(there_and_back.data(), 24, 41);
  for (std::size_t i = 0; i < row.size(); ++i) CHECK(there_and_back[i] == Approx(row[i]).epsilon(1e-13));
}
