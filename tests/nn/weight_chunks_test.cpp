// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/weight_chunks.hpp>

#include <cmath>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// A layer, for as much as chunks need of it.
struct Pair {
  using Scalar = float;
  Matrix<float> weight;
  RowVector<float> bias;

  static constexpr auto parameters() { return std::tuple{Field{"weight", &Pair::weight}, Field{"bias", &Pair::bias}}; }
};

Pair pair_of(Index rows, Index columns, float value = 0) {
  return {Matrix<float>::Constant(rows, columns, value), RowVector<float>::Constant(columns, value)};
}

}  // namespace

TEST_CASE("Chunks are all weights in order, and only matrices are said to be matrices", "[nn]") {
  Pair model = pair_of(50, 90);
  const auto chunks = weight_chunks<float>(model);

  REQUIRE(chunks.size() == 4);
  CHECK(chunks[0].weights.data() == model.weight.data());
  CHECK(chunks[1].weights.data() == model.weight.data() + 2048);
  CHECK(chunks[2].weights.size() == 50 * 90 - 2 * 2048);
  CHECK(chunks[3].weights.data() == model.bias.data());
  CHECK(chunks[3].weights.size() == 90);
  CHECK((chunks[0].is_matrix && chunks[1].is_matrix && chunks[2].is_matrix));
  CHECK_FALSE(chunks[3].is_matrix);
}

TEST_CASE("A tensor without numbers has no chunk and one of a whole chunk has one", "[nn]") {
  Pair none = pair_of(0, 3), one = pair_of(2, 1024);

  CHECK(weight_chunks<float>(none).size() == 1);
  CHECK(weight_chunks<float>(one).size() == 2);
}

TEST_CASE("Frozen weights have no chunk", "[nn]") {
  struct HalfFrozen {
    Pair frozen, trained;
    static constexpr auto parameters() {
      return std::tuple{Frozen{"frozen", &HalfFrozen::frozen}, Field{"trained", &HalfFrozen::trained}};
    }
  };
  HalfFrozen model{pair_of(50, 90), pair_of(2, 3)};

  const auto chunks = weight_chunks<float>(model);

  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].weights.data() == model.trained.weight.data());
  CHECK(chunks[1].weights.data() == model.trained.bias.data());
}

TEST_CASE("The chunks of a const model are the same runs, const", "[nn]") {
  Pair model = pair_of(50, 90);
  const auto chunks = weight_chunks<float>(model);
  const auto const_chunks = weight_chunks<const float>(std::as_const(model));

  REQUIRE(const_chunks.size() == chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    CHECK(const_chunks[i].weights.data() == chunks[i].weights.data());
    CHECK(const_chunks[i].weights.size() == chunks[i].weights.size());
    CHECK(const_chunks[i].is_matrix == chunks[i].is_matrix);
  }
}

TEST_CASE("Squares are summed in double, at any length", "[nn]") {
  for (std::size_t size = 0; size < 70; ++size) {
    std::vector<float> numbers(size);
    double expected = 0;
    for (std::size_t i = 0; i < size; ++i) {
      numbers[i] = 1e25f * static_cast<float>(i + 1);
      expected += static_cast<double>(numbers[i]) * static_cast<double>(numbers[i]);
    }
    CHECK(detail::sum_of_squares<float>(numbers) == Approx(expected));
  }
}
