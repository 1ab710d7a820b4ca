// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include <icrl/core/assert.hpp>
#include <icrl/math/buffer.hpp>
#include <icrl/math/product_packing.hpp>

// The one seam for matrix products. Everything goes through `detail::product`, which never allocates: B's panels are
// packed on the stack.
namespace icrl {
namespace detail {

inline constexpr std::size_t panel_packets = register_count == 32 ? 4 : 2;
template <typename S>
inline constexpr std::size_t panel_size = panel_packets* lane_count<S>;  ///< columns of a panel
inline constexpr std::size_t depth_block = 256;

// Below `product`, B's rows are contiguous.

template <typename In>
void product_of_panel(const Gemm<In>& gemm) {
  switch ((gemm.width + lanes<In> - 1) / lanes<In>) {
    case 1:
      return product_panel<In, 1>(gemm);
    case 2:
      return product_panel<In, 2>(gemm);
    case 3:
      return product_panel<In, std::min<std::size_t>(3, panel_packets)>(gemm);
    default:
      return product_panel<In, panel_packets>(gemm);
  }
}

/// A last panel whose width is not a whole number of packets is computed in a temporary buffer, a few rows at a time,
/// and copied. Changes `panel` and restores it: copying it would stall on the stores that have just filled it.
template <typename In>
void product_of_ragged_panel(Gemm<In>& panel) {
  using S = ProductSum<In>;
  constexpr std::size_t chunk_rows = 12, columns = panel_size<In>;
  constexpr auto chunk = static_cast<Index>(chunk_rows), stride = static_cast<Index>(columns);
  alignas(64) S beside[chunk_rows * columns] = {};
  alignas(64) S full_bias[columns] = {};
  const Index rows = panel.rows, c_stride = panel.c_stride;
  const In* const a = panel.a.data;
  const S* const bias = panel.bias;
  S* const c = panel.c;
  if (bias != nullptr) std::copy_n(bias, panel.width, full_bias);
  panel.c = beside;
  panel.c_stride = stride;
  panel.bias = full_bias;
  for (Index r = 0; r < rows; r += chunk, panel.a.data += chunk * panel.a.row_stride) {
    panel.rows = std::min(chunk, rows - r);
    for (Index i = 0; panel.accumulate && i < panel.rows; ++i)
      std::copy_n(c + (r + i) * c_stride, panel.width, beside + i * stride);
    product_of_panel(panel);
    for (Index i = 0; i < panel.rows; ++i) std::copy_n(beside + i * stride, panel.width, c + (r + i) * c_stride);
  }
  panel.rows = rows;
  panel.a.data = a;
  panel.c = c;
  panel.c_stride = c_stride;
  panel.bias = bias;
}

/// The last columns of C, fewer than a packet, for one or two rows: B is read in place.
template <typename In>
void product_of_last_columns(const Gemm<In>& gemm, Index column) {
  using S = ProductSum<In>;
  const auto [rows, width, depth, a, b, c, c_stride, accumulate, bias] = gemm;
  const Index count = width - column;
  for (Index r = 0; r < rows; ++r) {
    S* const to = c + r * c_stride + column;
    Packet<S> sum{};
    if (accumulate) sum = load_first(to, count);
    if (bias != nullptr) sum = accumulate ? sum + load_first(bias + column, count) : load_first(bias + column, count);
    for (Index k = 0; k < depth; ++k) {
      const Packet<In> a_value = broadcast(a.data[r * a.row_stride + k * a.column_stride]);
      sum = add_product<In>(a_value, load_first(b.data + k * b.row_stride + column, count), sum);
    }
    store_first(to, sum, count);
  }
}

/// One or two rows read every number of B only once, so memory bandwidth limits them: panels twice as wide read longer
/// runs. The columns of C from `column` on.
template <typename In, std::size_t packets = 2 * panel_packets>
void product_of_few_rows(const Gemm<In>& gemm, Index column = 0) {
  constexpr Index panel = static_cast<Index>(packets) * lanes<In>;
  for (; column + panel <= gemm.width; column += panel) {
    if (gemm.rows == 1) {
      product_tile<In, 1, packets>(gemm, 0, column, 0);
    } else {
      product_tile<In, 2, packets>(gemm, 0, column, 0);
    }
  }
  if (column == gemm.width) return;
  if constexpr (packets > 1) {
    product_of_few_rows<In, packets / 2>(gemm, column);
  } else {
    product_of_last_columns(gemm, column);
  }
}

/// Loops over blocks of the depth and, within them, over panels of C. `part_of_b(k, j, depth, width)` is the part of B
/// that begins at (k, j), with contiguous rows.
template <typename In, typename PartOfB>
void product_by_panels(const Gemm<In>& gemm, PartOfB part_of_b) {
  constexpr auto panel = static_cast<Index>(panel_size<In>), block = static_cast<Index>(depth_block);
  const auto& [rows, width, depth, a, b, c, c_stride, accumulate, bias] = gemm;
  for (Index k = 0; k == 0 || k < depth; k += block) {
    const Index deep = std::min(block, depth - k);
    for (Index j = 0; j < width; j += panel) {
      const Index wide = std::min(panel, width - j);
      Gemm<In> part{.rows = rows,
                    .width = wide,
                    .depth = deep,
                    .a = {a.data + k * a.column_stride, a.row_stride, a.column_stride},
                    .b = part_of_b(k, j, deep, wide),
                    .c = c + j,
                    .c_stride = c_stride,
                    .accumulate = accumulate || k > 0,
                    .bias = bias != nullptr && k == 0 ? bias + j : nullptr};
      if (wide % lanes<In> == 0) {
        product_of_panel(part);
      } else {
        product_of_ragged_panel(part);
      }
    }
  }
}

template <typename In>
void product(const Gemm<In>& gemm) {
  constexpr auto panel = static_cast<Index>(panel_size<In>);
  const Strided<In>& b = gemm.b;
  if (gemm.rows == 0) return;
  if (gemm.rows <= 2 && b.column_stride == 1) return product_of_few_rows(gemm);
  alignas(64) In packed[depth_block * panel_size<In>];
  product_by_panels(gemm, [&](Index k, Index j, Index depth, Index width) -> Strided<In> {
    const Strided<In> part{b.data + k * b.row_stride + j * b.column_stride, b.row_stride, b.column_stride};
    if (!wants_packing(part, gemm.rows, depth, width, panel)) return part;
    pack_panel(part, depth, width, packed, panel);
    return {packed, panel, 1};
  });
}

/// A right-hand factor that many products share, stored panel by panel, and row by row within each panel.
template <typename In>
class PackedMatrix {
public:
  /// Copies b, depth x width. Allocates only if it has grown.
  void assign(const Strided<In>& b, Index depth, Index width) {
    depth_ = depth;
    width_ = width;
    reserve_rows(panels_, (width + panel - 1) / panel * depth, panel);
    for (Index j = 0; j < width; j += panel) {
      pack_panel<In>({b.data + j * b.column_stride, b.row_stride, b.column_stride}, depth, std::min(panel, width - j),
                     &panels_(j / panel * depth, 0), panel);
    }
  }

  /// `gemm` with this matrix as B.
  void multiply(const Gemm<In>& gemm) const {
    ICRL_ASSERT(gemm.depth == depth_ && gemm.width == width_,
                "PackedMatrix::multiply: gemm must have the depth and width of the packed matrix");
    product_by_panels(gemm, [&](Index k, Index j, Index, Index) -> Strided<In> {
      return {panels_.data() + (j / panel * depth_ + k) * panel, panel, 1};
    });
  }

private:
  static constexpr auto panel = static_cast<Index>(panel_size<In>);
  Buffer<In> panels_;
  Index depth_ = 0, width_ = 0;
};

template <typename S>
Strided<S> view(MatrixIn<S> m) {
  return {m.data(), m.outerStride(), 1};
}
template <typename S>
Strided<S> transposed_view(MatrixIn<S> m) {
  return {m.data(), 1, m.outerStride()};
}

/// The product C = A B, where A has `depth` columns and the sizes of C give the rest.
template <typename S>
Gemm<S> gemm_of(const Strided<S>& a, const Strided<S>& b, Index depth, MatrixOut<S>& c) {
  return {
      .rows = c.rows(), .width = c.cols(), .depth = depth, .a = a, .b = b, .c = c.data(), .c_stride = c.outerStride()};
}

}  // namespace detail

/// y = x w + bias, row by row. x (T, in), w (in, out), bias (out), y (T, out).
template <typename S>
void affine(MatrixIn<S> x, const Matrix<S>& w, const RowVector<S>& bias, MatrixOut<S> y) {
  ICRL_ASSERT(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(),
              "affine: x must be (T, in) and y (T, out) for w (in, out)");
  detail::Gemm<S> gemm = detail::gemm_of<S>(detail::view<S>(x), detail::view<S>(w), x.cols(), y);
  gemm.bias = bias.data();
  detail::product(gemm);
}

/// y += x w + bias.
template <typename S>
void add_affine(MatrixIn<S> x, const Matrix<S>& w, const RowVector<S>& bias, MatrixOut<S> y) {
  ICRL_ASSERT(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(),
              "add_affine: x must be (T, in) and y (T, out) for w (in, out)");
  detail::Gemm<S> gemm = detail::gemm_of<S>(detail::view<S>(x), detail::view<S>(w), x.cols(), y);
  gemm.accumulate = true;
  gemm.bias = bias.data();
  detail::product(gemm);
}

/// c = a b^T. a (T, n), b (m, n), c (T, m).
template <typename S>
void multiply_transposed(MatrixIn<S> a, MatrixIn<S> b, MatrixOut<S> c) {
  ICRL_ASSERT(a.cols() == b.cols() && c.rows() == a.rows() && c.cols() == b.rows(),
              "multiply_transposed: a must be (T, n), b (m, n) and c (T, m)");
  detail::product(detail::gemm_of<S>(detail::view<S>(a), detail::transposed_view<S>(b), a.cols(), c));
}

/// c += a^T b. a (T, m), b (T, n), c (m, n): the gradient of a weight from its input and its output's derivative.
template <typename S>
void add_transposed_product(MatrixIn<S> a, MatrixIn<S> b, MatrixOut<S> c) {
  ICRL_ASSERT(a.rows() == b.rows() && c.rows() == a.cols() && c.cols() == b.cols(),
              "add_transposed_product: a must be (T, m), b (T, n) and c (m, n)");
  detail::Gemm<S> gemm = detail::gemm_of<S>(detail::transposed_view<S>(a), detail::view<S>(b), a.rows(), c);
  gemm.accumulate = true;
  detail::product(gemm);
}

}  // namespace icrl
