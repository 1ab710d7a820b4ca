// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/buffer.hpp>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "support/catch.hpp"

using namespace icrl;

TEST_CASE("A buffer keeps its memory while no more is wanted", "[math]") {
  Buffer<float> buffer;
  CHECK(buffer.rows() == 0);
  CHECK(buffer.cols() == 0);

  buffer.resize(6, 5);
  const float* const begin = buffer.data();
  std::fill_n(buffer.data(), 30, 1.0f);
  buffer(5, 4) = 2;
  buffer.resize(3, 10);
  CHECK(buffer.data() == begin);
  CHECK(buffer.rows() == 3);
  CHECK(buffer.cols() == 10);
  CHECK(buffer.outerStride() == 10);
  CHECK(buffer(2, 8) == 1);
  CHECK(buffer(2, 9) == 2);
  CHECK(&buffer(1, 0) == row_data(buffer, 1));

  reserve_rows(buffer, 2, 10);
  CHECK(buffer.rows() == 3);
  reserve_rows(buffer, 4, 10);
  CHECK(buffer.rows() == 4);
  const float* const grown = buffer.data();
  reserve_rows(buffer, 5, 9);  // it has grown by more than was asked for
  CHECK(buffer.data() == grown);
  std::fill_n(buffer.data(), 45, 3.0f);
}

TEST_CASE("A buffer that was moved from is empty, and may be used again", "[math]") {
  Buffer<int> from{2, 3};
  from(1, 2) = 7;
  const int* const begin = from.data();
  Buffer<int> to{std::move(from)};
  CHECK(to.data() == begin);
  CHECK(to(1, 2) == 7);
  CHECK(from.rows() == 0);
  CHECK(from.data() == nullptr);
  from.resize(1, 1);
  from(0, 0) = 5;
  to = std::move(from);
  CHECK(to.rows() == 1);
  CHECK(to(0, 0) == 5);
  CHECK(from.rows() == 0);
  CHECK(from.data() == nullptr);
}

TEST_CASE("A copy of a buffer has memory of its own", "[math]") {
  Buffer<int> from{2, 3}, assigned;
  std::fill_n(from.data(), 6, 4);
  Buffer<int> copy{from};
  assigned = copy;
  copy(1, 1) = 5;
  CHECK(from(1, 1) == 4);
  CHECK(assigned(1, 1) == 4);
  CHECK(assigned.rows() == 2);
  CHECK(assigned.cols() == 3);
}

TEST_CASE("A buffer larger than any memory is none", "[math]") {
  constexpr Index most = std::numeric_limits<Index>::max();
  Buffer<float> buffer{2, 2};
  CHECK_THROWS_AS(buffer.resize(Index{1} << 33, Index{1} << 32), std::bad_alloc);
  CHECK(buffer.rows() == 2);
  CHECK_THROWS_AS(buffer.resize(most / 4, 1), std::bad_alloc);
  CHECK(buffer.rows() == 0);
  buffer.resize(2, 2);
  buffer(1, 1) = 1;
}
