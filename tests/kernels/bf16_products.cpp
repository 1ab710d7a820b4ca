// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/math/bfloat16.hpp>
#include <icrl/math/product.hpp>

#include <cstddef>
#include <vector>

#include "support/guard_malloc.hpp"
#include "support/guard_pages.hpp"
#include "support/kernel_checks.hpp"
#include "support/plain_bfloat16.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

void check(KernelChecks& checks, Index rows, Index width, Index depth, Guard guard) {
  checks.at("%ld x %ld x %ld", static_cast<long>(rows), static_cast<long>(width), static_cast<long>(depth));
  const Index pairs = pair_count(depth);
  PlainNumbers numbers{static_cast<std::uint64_t>(rows + width + depth)};
  GuardedArray<float> a{length(rows * depth), guard}, b{length(depth * width), guard}, bias{length(width), guard},
      c{length(rows * width), guard}, packed{length(rows * width), guard};
  for (auto* array : {&a, &b, &bias}) numbers.fill(*array);
  for (float& number : packed) number = 1;
  // A in pairs along its rows, by the kernel; B in pairs along its columns, by hand.
  GuardedArray<Bf16Pair> left{length(rows * pairs), guard}, right{length(pairs * width), guard};
  for (Index r = 0; r < rows; ++r) detail::round_row(a.data() + r * depth, depth, left.data() + r * pairs);
  for (Index k = 0; k < depth; ++k) {
    for (Index j = 0; j < width; ++j) {
      const auto number = static_cast<float>(plainly_rounded(static_cast<double>(b[length(k * width + j)])));
      std::uint32_t bits;
      std::memcpy(&bits, &number, sizeof bits);
      right[length(k / 2 * width + j)] |= k % 2 == 0 ? bits >> 16 : bits;
    }
  }

  const detail::Strided<Bf16Pair> left_view{left.data(), pairs, 1}, right_view{right.data(), width, 1};
  detail::product<Bf16Pair>({.rows = opaque(rows),
                             .width = opaque(width),
                             .depth = opaque(pairs),
                             .a = left_view,
                             .b = right_view,
                             .c = c.data(),
                             .c_stride = width,
                             .bias = bias.data()});
  detail::PackedMatrix<Bf16Pair> matrix;
  matrix.assign(right_view, pairs, width);
  matrix.multiply({.rows = opaque(rows),
                   .width = opaque(width),
                   .depth = opaque(pairs),
                   .a = left_view,
                   .c = packed.data(),
                   .c_stride = width,
                   .accumulate = true});

  const double tolerance = 1e-7 * static_cast<double>(depth + 2);
  for (Index r = 0; r < rows; ++r) {
    for (Index j = 0; j < width; ++j) {
      double expected = 0;
      for (Index k = 0; k < depth; ++k) {
        expected += plainly_rounded(static_cast<double>(a[length(r * depth + k)])) *
                    plainly_rounded(static_cast<double>(b[length(k * width + j)]));
      }
      const std::size_t i = length(r * width + j);
      checks.close("an element", static_cast<double>(c[i]), expected + static_cast<double>(bias[length(j)]), tolerance);
      checks.close("an element of packed factors", static_cast<double>(packed[i]), expected + 1, tolerance);
    }
  }
}

}  // namespace

int main() {
  KernelChecks checks{"bf16_products"};
  for (const Guard guard : {Guard::behind, Guard::before}) {
    for (Index n = 1; n <= 130; ++n) {
      check(checks, n, 19, 5, guard);
      check(checks, 5, n, 6, guard);
      check(checks, 1, n, 5, guard);
      check(checks, 2, n, 5, guard);
      check(checks, 3, 18, n, guard);
    }
    for (const Index depth : {511, 512, 513, 1025}) check(checks, 3, 17, depth, guard);
  }
  return checks.finish();
}
