// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/two_four_linear.hpp>

#include <icrl/compress/pruning.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/guard_pages.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using StridedRows = Eigen::Map<Matrix<float>, 0, Eigen::OuterStride<>>;

/// Two of four, or fewer where `sparsity` is higher.
Linear<float> two_four_map(Index in, Index out, double sparsity = 0.5) {
  Linear<float> map{in, out};
  Rng rng{3};
  map.initialize(1, rng);
  fill_normal(map.bias, 1, rng);
  (void)prune(map, {.sparsity = sparsity, .scope = PruneScope::group, .group = 4, .weights = {"weight"}});
  return map;
}

}  // namespace

TEST_CASE("A 2:4 map gives what the dense one gives, at any shape and number of rows", "[compress]") {
  Rng rng{7};
  NoMemory none;
  for (const auto& [in, out] : {std::pair<Index, Index>{64, 192},
                                {5, 16},
                                {33, 17},
                                {1, 1},
                                {2, 5},
                                {20, 63},
                                {70, 300},
                                {512, 128},
                                {262, 48}}) {
    for (const double sparsity : {0.5, 0.75, 1.0}) {
      const Linear<float> dense = two_four_map(in, out, sparsity);
      const TwoFourLinear sparse{dense};
      CHECK(sparse.input_size() == in);
      CHECK(sparse.output_size() == out);
      for (const Index rows : {1, 2, 3, 4, 7, 47, 48, 61}) {
        CAPTURE(in, out, rows, sparsity);
        Matrix<float> x(rows, in), expected(rows, out), y(rows, out);
        fill_normal(x, 1, rng);
        dense.forward(x, expected);
        sparse.forward(x, none, y);
        CHECK(y == expected);
        fill_normal(y, 1, rng);
        expected = y;
        dense.add_forward(x, expected);
        sparse.add_forward(x, none, y);
        CHECK(y == expected);
      }
    }
  }
}

TEST_CASE("Any two of four inputs can have the weights", "[compress]") {
  Linear<float> dense{8, 16};
  Index o = 0;
  for (Index a = 0; a < 4; ++a) {
    for (Index b = a; b < 4; ++b, ++o) {  // of a == b, one alone
      dense.weight(4 + a, o) = 2;
      dense.weight(4 + b, o) = 3;
    }
  }
  const Matrix<float> x{{9, 9, 9, 9, 1, 10, 100, 1000}};
  Matrix<float> y(1, 16), expected(1, 16);
  NoMemory none;
  TwoFourLinear{dense}.forward(x, none, y);
  dense.forward(x, expected);
  CHECK(y == expected);
  CHECK(y(0, 1) == 32);  // inputs 0 and 1
  CHECK(y(0, 9) == 3000);
  CHECK(y(0, 10) == 0);
}

TEST_CASE("A 2:4 map holds little more than half of the dense one's weights", "[compress]") {
  const TwoFourLinear sparse{two_four_map(256, 256)};
  const std::size_t dense_bytes = 4 * (256 * 256 + 256);
  CHECK(sparse.byte_count() <= (detail::selects_lanes ? dense_bytes * 9 / 16 + 1024 : dense_bytes));
}

TEST_CASE("A 2:4 map touches nothing beside its rows and allocates nothing", "[compress]") {
  NoMemory none;
  for (const Index out : {17, 32, 70}) {
    const Linear<float> dense = two_four_map(14, out);
    const TwoFourLinear sparse{dense};
    for (const Index rows : {1, 5, 50}) {
      for (const Guard guard : {Guard::behind, Guard::before}) {
        const GuardedArray<float> in_memory(static_cast<std::size_t>(rows * 14), guard),
            out_memory(static_cast<std::size_t>(rows * out), guard);
        std::fill(in_memory.begin(), in_memory.end(), 0.5f);
        const StridedRows x{in_memory.data(), rows, 14, Eigen::OuterStride<>{14}};
        StridedRows y{out_memory.data(), rows, out, Eigen::OuterStride<>{out}};
        const AllocationCount allocations;
        sparse.forward(x, none, y);
        CHECK(allocations.count() == 0);
        Matrix<float> expected(rows, out);
        dense.forward(x, expected);
        CHECK(y == expected);
      }
    }
  }
}

TEST_CASE("Three weights of four are refused, with their place", "[compress]") {
  Linear<float> dense{10, 3};
  dense.weight(4, 2) = dense.weight(5, 2) = dense.weight(7, 2) = 1;
  CHECK(error_of([&] { TwoFourLinear{dense}; }) ==
        "2:4 sparse linear map: more than two of the weights 4 .. 7 of output 2 are not zero (prune 2:4 first)");
  CHECK(TwoFourLinear{10, 3}.input_size() == 10);
}
