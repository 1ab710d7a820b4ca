// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/product.hpp>

#include <cstddef>
#include <vector>

#include "support/guard_pages.hpp"
#include "support/kernel_checks.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A factor of `rows` x `columns` in memory that ends, or begins, with it.
template <typename S>
struct Factor {
  bool is_transposed;
  Index stride;
  GuardedArray<S> numbers;

  Factor(Index rows, Index columns, bool transposed, Index gap, Guard guard)
      : is_transposed{transposed},
        stride{(transposed ? rows : columns) + gap},
        numbers{length(((transposed ? columns : rows) - 1) * stride + (transposed ? rows : columns)), guard} {}

  [[nodiscard]] detail::Strided<S> view() const {
    return {numbers.data(), is_transposed ? 1 : stride, is_transposed ? stride : 1};
  }
  [[nodiscard]] double at(Index row, Index column) const {
    return static_cast<double>(numbers[length(is_transposed ? column * stride + row : row * stride + column)]);
  }
};

template <typename S>
void check(KernelChecks& checks, Index rows, Index width, Index depth, unsigned variant) {
  const bool a_transposed = variant % 2 != 0, b_transposed = variant / 2 % 2 != 0, add = variant / 4 % 2 != 0,
             has_bias = variant / 8 % 2 != 0;
  const Guard guard = variant / 16 % 2 != 0 ? Guard::before : Guard::behind;
  const Index gap = variant % 3;
  checks.at("%zu bytes, %ld x %ld x %ld, variant %u", sizeof(S), static_cast<long>(rows), static_cast<long>(width),
            static_cast<long>(depth), variant);
  Factor<S> a{rows, depth, a_transposed, gap, guard}, b{depth, width, b_transposed, gap, guard},
      c{rows, width, false, gap, guard};
  GuardedArray<S> bias{length(width), guard};
  PlainNumbers numbers{variant + static_cast<std::uint64_t>(rows * width + depth)};
  for (auto* array : {&a.numbers, &b.numbers, &c.numbers, &bias}) numbers.fill(*array);
  const std::vector<S> before{c.numbers.begin(), c.numbers.end()};

  detail::product<S>({.rows = opaque(rows),
                      .width = opaque(width),
                      .depth = opaque(depth),
                      .a = a.view(),
                      .b = b.view(),
                      .c = c.numbers.data(),
                      .c_stride = c.stride,
                      .accumulate = add,
                      .bias = has_bias ? bias.data() : nullptr});

  const double tolerance = (sizeof(S) == 4 ? 1e-7 : 2e-16) * static_cast<double>(depth + 2);
  for (Index r = 0; r < rows; ++r) {
    for (Index j = 0; j < c.stride && r * c.stride + j < static_cast<Index>(before.size()); ++j) {
      const auto old = static_cast<double>(before[length(r * c.stride + j)]);
      if (j >= width) {
        checks.close("a number between rows", c.at(r, j), old, 0);
        continue;
      }
      double expected = (add ? old : 0) + (has_bias ? static_cast<double>(bias[length(j)]) : 0);
      for (Index k = 0; k < depth; ++k) expected += a.at(r, k) * b.at(k, j);
      checks.close("an element", c.at(r, j), expected, tolerance);
    }
  }
}

template <typename S>
void check_all(KernelChecks& checks) {
  unsigned variant = 0;
  const auto at = [&](Index rows, Index width, Index depth) {
    for (int i = 0; i < 5; ++i) check<S>(checks, rows, width, depth, variant += 7);  // all 32, one after another
  };
  for (Index n = 1; n <= 130; ++n) {
    at(n, 37, 11);
    at(7, n, 11);
    at(1, n, 9);
    at(2, n, 9);
    at(5, 21, n);
  }
  // Around the blocks of the depth, and rows that thrash a cache where they lie.
  for (const Index depth : {255, 256, 257, 511, 512, 513}) {
    at(5, 17, depth);
    at(2, 16, depth);
  }
  for (const Index width : {255, 256, 257, 384}) {
    at(25, width, 17);
    at(1, width, 17);
  }
}

}  // namespace

int main() {
  KernelChecks checks{"products"};
  check_all<float>(checks);
  check_all<double>(checks);
  return checks.finish();
}
