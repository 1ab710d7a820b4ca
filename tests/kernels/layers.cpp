// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/nn/bf16_block.hpp>

#include <algorithm>
#include <vector>

#include "support/guard_malloc.hpp"
#include "support/kernel_checks.hpp"
#include "support/largest_magnitude.hpp"

// Whole blocks of a transformer, all of whose memory ends at unreadable pages: layers own Eigen's matrices and buffers,
// which no array of a test can take the place of. Float and bfloat16 against double, whose gradients the finite
// differences of tests/nn have checked.

using namespace icrl;
using namespace icrl::test;

namespace {

template <typename Range>
void compare(KernelChecks& checks, const char* what, const Range& got, const Matrix<double>& expected,
             double tolerance) {
  const double scale = std::max(1.0, largest_magnitude(expected));
  for (Index r = 0; r < expected.rows(); ++r) {
    for (Index c = 0; c < expected.cols(); ++c)
      checks.close(what, static_cast<double>(got(r, c)) / scale, expected(r, c) / scale, tolerance);
  }
}

/// A pass of x and its derivative, and what they leave in the weights' gradient.
template <typename S>
struct Pass {
  Matrix<S> y, dx;
  Block<S> grad;

  Pass(const Block<S>& block, const RotaryTable<S>& rotary, const Matrix<double>& x, const Matrix<double>& dy)
      : Pass{block, block, rotary, x, dy} {}
  /// By `pass`, which is made of the block.
  template <typename B>
  Pass(const B& pass, const Block<S>& block, const RotaryTable<S>& rotary, const Matrix<double>& x,
       const Matrix<double>& dy)
      : y{x.template cast<S>()}, dx{dy.template cast<S>()}, grad{block} {
    set_zero(grad);
    typename B::Cache cache;
    typename B::Scratch scratch;
    pass.forward(rotary, cache, scratch, y);
    pass.backward(rotary, cache, scratch, grad, dx);
  }

  void compare_with(KernelChecks& checks, const Pass<double>& exact, double tolerance) const {
    compare(checks, "an output", y, exact.y, tolerance);
    compare(checks, "a derivative", dx, exact.dx, tolerance);
    const auto got = parameters_of(grad);
    const auto expected = parameters_of(exact.grad);
    for (std::size_t i = 0; i < got.size(); ++i) {
      compare(checks, got[i].name.c_str(), Eigen::Map<const Matrix<S>>{got[i].data, got[i].rows, got[i].columns},
              Eigen::Map<const Matrix<double>>{expected[i].data, expected[i].rows, expected[i].columns}, tolerance);
    }
  }
};

void check(KernelChecks& checks, Index tokens, Index heads, Index head_size) {
  checks.at("%ld tokens, %ld heads of %ld numbers", static_cast<long>(tokens), static_cast<long>(heads),
            static_cast<long>(head_size));
  const Index width = heads * head_size, hidden_size = 2 * width;
  Block<double> exact{width, hidden_size, heads};
  Block<float> block{width, hidden_size, heads};
  PlainNumbers numbers{static_cast<std::uint64_t>(tokens + width)};
  const auto from = parameters_of(exact);
  const auto to = parameters_of(block);
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (Index k = 0; k < from[i].rows * from[i].columns; ++k) {
      to[i].data[k] += static_cast<float>(0.3 * numbers());
      from[i].data[k] = static_cast<double>(to[i].data[k]);
    }
  }
  const auto filled = [&] {
    Matrix<double> m(tokens, width);
    for (Index r = 0; r < tokens; ++r)
      for (Index c = 0; c < width; ++c) m(r, c) = static_cast<double>(static_cast<float>(numbers()));
    return m;
  };
  const Matrix<double> x = filled(), dy = filled();
  const RotaryTable<double> exact_rotary{tokens, head_size};
  const RotaryTable<float> rotary{tokens, head_size};
  Bf16Block bf16{block};
  Bf16Linear::PackScratch packing;
  bf16.pack(packing);

  const Pass<double> expected{exact, exact_rotary, x, dy};
  Pass<float>{block, rotary, x, dy}.compare_with(checks, expected, 2e-5);
  Pass<float>{bf16, block, rotary, x, dy}.compare_with(checks, expected, 4e-2);
}

}  // namespace

int main() {
  KernelChecks checks{"layers"};
  if (!malloc_is_guarded) std::puts("layers: malloc is not guarded here");
  // Around the blocks of 16 and 48 rows.
  for (const Index tokens : {1, 2, 3, 15, 16, 17, 31, 33, 47, 48, 49, 50, 65, 95, 96, 97, 130}) {
    check(checks, tokens, 2, 8);
    check(checks, tokens, 3, 6);
  }
  for (const Index size : {2, 4, 10, 16, 18, 32, 34, 66}) check(checks, 35, 2, size);
  return checks.finish();
}
