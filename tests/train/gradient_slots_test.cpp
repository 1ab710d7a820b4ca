// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/gradient_slots.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// A layer, for as much as a gradient needs of it.
struct Pair {
  using Scalar = float;
  Matrix<float> weight;
  RowVector<float> bias;

  static constexpr auto parameters() { return std::tuple{Field{"weight", &Pair::weight}, Field{"bias", &Pair::bias}}; }
};

Pair pair_of(Index rows, Index columns, float value = 0) {
  return {Matrix<float>::Constant(rows, columns, value), RowVector<float>::Constant(columns, value)};
}

std::vector<float> sum_of(const GradientSlots<Pair>& slots) {
  std::vector<float> sum;
  for (int chunk = 0; chunk < slots.chunk_count(); ++chunk)
    sum.insert(sum.end(), slots.sum(chunk).begin(), slots.sum(chunk).end());
  return sum;
}

void fill(GradientSlots<Pair>& slots, std::uint64_t seed) {
  Rng rng{seed};
  for (int slot = 0; slot < slots.slot_count(); ++slot) {
    Pair& gradient = slots.cleared(slot);
    fill_normal(gradient.weight, 1, rng);
    fill_normal(gradient.bias, 1, rng);
  }
}

}  // namespace

TEST_CASE("Slots are summed, and the sum's norm is returned", "[train]") {
  for (const int count : {1, 2, 3, 5, 8}) {
    GradientSlots<Pair> slots{pair_of(1, 2, 100), count};
    WorkerPool pool{1};
    for (int slot = 0; slot < count; ++slot) {
      Pair& gradient = slots.cleared(slot);
      gradient.weight.setConstant(static_cast<float>(slot + 1));
      gradient.bias.setConstant(static_cast<float>(slot + 1));
    }

    const double norm = slots.reduce(pool);

    const float total = static_cast<float>(count * (count + 1)) / 2;
    CHECK(sum_of(slots) == std::vector<float>(4, total));
    CHECK(norm == Approx(2 * static_cast<double>(total)));
  }
}

TEST_CASE("Clearing a slot leaves the others", "[train]") {
  GradientSlots<Pair> slots{pair_of(2, 2, 7), 2};
  WorkerPool pool{1};
  slots.cleared(0).weight(1, 1) = 3;
  slots.cleared(1).weight(1, 1) = 4;
  (void)slots.cleared(1);

  CHECK(slots.reduce(pool) == 3);
  CHECK(sum_of(slots) == std::vector<float>{0, 0, 0, 3, 0, 0});
}

TEST_CASE("The sum has the same bits at any number of threads, and follows a tree", "[train]") {
  constexpr int count = 7;
  GradientSlots<Pair> slots{pair_of(67, 101), count};
  std::vector<float> first;
  double first_norm = 0;
  for (const int threads : {1, 2, 4}) {
    WorkerPool pool{threads};
    fill(slots, 3);

    const double norm = slots.reduce(pool);

    const auto sum = sum_of(slots);
    if (threads == 1) first = sum;
    if (threads == 1) first_norm = norm;
    CHECK(std::memcmp(sum.data(), first.data(), sum.size() * sizeof(float)) == 0);
    CHECK(norm == first_norm);
  }

  fill(slots, 3);
  std::vector<std::vector<float>> parts;
  Rng rng{3};
  for (int slot = 0; slot < count; ++slot) {
    Pair part = pair_of(67, 101);
    fill_normal(part.weight, 1, rng);
    fill_normal(part.bias, 1, rng);
    parts.emplace_back(part.weight.data(), part.weight.data() + part.weight.size());
  }
  for (std::size_t i = 0; i < parts[0].size(); ++i)
    REQUIRE(first[i] ==
            ((parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i])) + ((parts[4][i] + parts[5][i]) + parts[6][i]));
}

TEST_CASE("The norm is exact for numbers whose squares leave float, and tells of those that are not finite",
          "[train]") {
  GradientSlots<Pair> slots{pair_of(3, 20), 2};
  WorkerPool pool{2};
  slots.cleared(0).weight(2, 19) = 3e30f;
  slots.cleared(1).bias(0) = 4e30f;
  CHECK(slots.reduce(pool) == Approx(5e30));

  slots.cleared(0).weight(0, 0) = std::numeric_limits<float>::infinity();
  CHECK(std::isinf(slots.reduce(pool)));
  slots.cleared(0).bias(19) = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(slots.reduce(pool)));
}
