// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/core/assert.hpp>
#include <icrl/math/product_packing.hpp>

// The one seam for matrix products. Everything goes through `detail::product`, which never allocates: B's panels are
// packed on the stack.
namespace icrl {
namespace detail {

inline constexpr std::size_t panel_packets = register_count == 32 ? 4 : 2;
template <typename S>
inline constexpr std::size_t panel_size = panel_packets* lane_count<S>;  ///< columns of a panel
inline constexpr std::size_t depth_block = 256;

template <typename S>
void product_of_panel(Index rows, Index width, Index depth, Strided<S> a, const S* b, Index b_stride, S* c,
                      Index c_stride, bool accumulate, const S* bias) {
  const auto run = [&](auto packets) {
    product_panel<S, packets>(rows, a, b, b_stride, depth, c, c_stride, accumulate, bias);
  };
  switch ((width + lanes<S> - 1) / lanes<S>) {
    case 1:
      return run(std::integral_constant<std::size_t, 1>{});
    case 2:
      return run(std::integral_constant<std::size_t, 2>{});
    case 3:
      return run(std::integral_constant<std::size_t, std::min<std::size_t>(3, panel_packets)>{});
    default:
      return run(std::integral_constant<std::size_t, panel_packets>{});
  }
}

/// A last panel whose width is no whole number of packets: computed beside C, a few rows at a time, and copied.
template <typename S>
void product_of_ragged_panel(Index rows, Index width, Index depth, Strided<S> a, const S* b, Index b_stride, S* c,
                             Index c_stride, bool accumulate, const S* bias) {
  constexpr std::size_t chunk_rows = 12;
  constexpr auto panel = static_cast<Index>(panel_size<S>), chunk = static_cast<Index>(chunk_rows);
  alignas(64) S beside[chunk_rows * panel_size<S>] = {};
  alignas(64) S full_bias[panel_size<S>] = {};
  if (bias != nullptr) std::copy_n(bias, width, full_bias);
  for (Index r = 0; r < rows; r += chunk) {
    const Index count = std::min(chunk, rows - r);
    for (Index i = 0; accumulate && i < count; ++i) std::copy_n(c + (r + i) * c_stride, width, beside + i * panel);
    product_of_panel<S>(count, width, depth, {a.data + r * a.row_stride, a.row_stride, a.column_stride}, b, b_stride,
                        beside, panel, accumulate, full_bias);
    for (Index i = 0; i < count; ++i) std::copy_n(beside + i * panel, width, c + (r + i) * c_stride);
  }
}

/// C = A B, or C += A B when `accumulate`; plus `bias` (one row of `width` numbers, or null) on every row.
/// A is rows x depth, B is depth x width, C is rows x width with contiguous rows.
template <typename S>
void product(Index rows, Index width, Index depth, const Strided<S>& a, const Strided<S>& b, S* c, Index c_stride,
             bool accumulate, const S* bias = nullptr) {
  constexpr auto panel = static_cast<Index>(panel_size<S>), block = static_cast<Index>(depth_block);
  alignas(64) S packed[depth_block * panel_size<S>];
  if (rows == 0) return;
  for (Index k = 0; k == 0 || k < depth; k += block) {
    const Index deep = std::min(block, depth - k);
    const bool add = accumulate || k > 0;
    const Strided<S> a_block{a.data + k * a.column_stride, a.row_stride, a.column_stride};
    for (Index j = 0; j < width; j += panel) {
      const Index wide = std::min(panel, width - j);
      const Strided<S> b_block{b.data + k * b.row_stride + j * b.column_stride, b.row_stride, b.column_stride};
      const bool pack = wants_packing(b_block, rows, deep, wide, panel);
      if (pack) pack_panel(b_block, deep, wide, packed, panel);
      const auto compute = wide % lanes<S> == 0 ? product_of_panel<S> : product_of_ragged_panel<S>;
      compute(rows, wide, deep, a_block, pack ? packed : b_block.data, pack ? panel : b.row_stride, c + j, c_stride,
              add, bias != nullptr && k == 0 ? bias + j : nullptr);
    }
  }
}

template <typename S>
Strided<S> view(MatrixIn<S> m) {
  return {m.data(), m.outerStride(), 1};
}
template <typename S>
Strided<S> transposed_view(MatrixIn<S> m) {
  return {m.data(), 1, m.outerStride()};
}

}  // namespace detail

/// y = x w + bias, row by row. x (T, in), w (in, out), bias (out), y (T, out).
template <typename S>
void affine(MatrixIn<S> x, const Matrix<S>& w, const RowVector<S>& bias, MatrixOut<S> y) {
  ICRL_ASSERT(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(), "affine: shapes disagree");
  detail::product<S>(x.rows(), w.cols(), w.rows(), detail::view<S>(x), detail::view<S>(w), y.data(), y.outerStride(),
                     false, bias.data());
}

/// y += x w + bias.
template <typename S>
void add_affine(MatrixIn<S> x, const Matrix<S>& w, const RowVector<S>& bias, MatrixOut<S> y) {
  ICRL_ASSERT(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(), "add_affine: shapes disagree");
  detail::product<S>(x.rows(), w.cols(), w.rows(), detail::view<S>(x), detail::view<S>(w), y.data(), y.outerStride(),
                     true, bias.data());
}

/// c = a b^T. a (T, n), b (m, n), c (T, m).
template <typename S>
void multiply_transposed(MatrixIn<S> a, MatrixIn<S> b, MatrixOut<S> c) {
  ICRL_ASSERT(a.cols() == b.cols() && c.rows() == a.rows() && c.cols() == b.rows(),
              "multiply_transposed: shapes disagree");
  detail::product<S>(a.rows(), b.rows(), a.cols(), detail::view<S>(a), detail::transposed_view<S>(b), c.data(),
                     c.outerStride(), false);
}

/// c += a^T b. a (T, m), b (T, n), c (m, n): the gradient of a weight from its input and its output's derivative.
template <typename S>
void add_transposed_product(MatrixIn<S> a, MatrixIn<S> b, MatrixOut<S> c) {
  ICRL_ASSERT(a.rows() == b.rows() && c.rows() == a.cols() && c.cols() == b.cols(),
              "add_transposed_product: shapes disagree");
  detail::product<S>(a.cols(), b.cols(), a.rows(), detail::transposed_view<S>(a), detail::view<S>(b), c.data(),
                     c.outerStride(), true);
}

}  // namespace icrl
