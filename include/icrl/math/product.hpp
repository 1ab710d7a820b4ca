// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

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

template <typename In>
void product_of_panel(Index rows, Index width, Index depth, Strided<In> a, const In* b, Index b_stride,
                      ProductSum<In>* c, Index c_stride, bool accumulate, const ProductSum<In>* bias) {
  const auto run = [&](auto packets) {
    product_panel<In, packets>(rows, a, b, b_stride, depth, c, c_stride, accumulate, bias);
  };
  switch ((width + lanes<In> - 1) / lanes<In>) {
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
template <typename In>
void product_of_ragged_panel(Index rows, Index width, Index depth, Strided<In> a, const In* b, Index b_stride,
                             ProductSum<In>* c, Index c_stride, bool accumulate, const ProductSum<In>* bias) {
  using S = ProductSum<In>;
  constexpr std::size_t chunk_rows = 12;
  constexpr auto panel = static_cast<Index>(panel_size<In>), chunk = static_cast<Index>(chunk_rows);
  alignas(64) S beside[chunk_rows * panel_size<In>] = {};
  alignas(64) S full_bias[panel_size<In>] = {};
  if (bias != nullptr) std::copy_n(bias, width, full_bias);
  for (Index r = 0; r < rows; r += chunk) {
    const Index count = std::min(chunk, rows - r);
    for (Index i = 0; accumulate && i < count; ++i) std::copy_n(c + (r + i) * c_stride, width, beside + i * panel);
    product_of_panel<In>(count, width, depth, {a.data + r * a.row_stride, a.row_stride, a.column_stride}, b, b_stride,
                         beside, panel, accumulate, full_bias);
    for (Index i = 0; i < count; ++i) std::copy_n(beside + i * panel, width, c + (r + i) * c_stride);
  }
}

/// A panel of any width.
template <typename In>
void product_of_columns(Index rows, Index width, Index depth, const Strided<In>& a, const In* b, Index b_stride,
                        ProductSum<In>* c, Index c_stride, bool accumulate, const ProductSum<In>* bias) {
  if (width % lanes<In> == 0) {
    product_of_panel<In>(rows, width, depth, a, b, b_stride, c, c_stride, accumulate, bias);
  } else {
    product_of_ragged_panel<In>(rows, width, depth, a, b, b_stride, c, c_stride, accumulate, bias);
  }
}

/// A last part of a panel that is narrower than a packet, for one or two rows: B's numbers are read where they lie.
template <typename In>
void product_of_last_columns(Index rows, Index width, Index depth, const Strided<In>& a, const In* b, Index b_stride,
                             ProductSum<In>* c, Index c_stride, bool accumulate, const ProductSum<In>* bias) {
  using S = ProductSum<In>;
  for (Index r = 0; r < rows; ++r) {
    const S* const start = accumulate ? c + r * c_stride : bias;
    Packet<S> sum = start == nullptr ? Packet<S>{} : load_first(start, width);
    if (accumulate && bias != nullptr) sum += load_first(bias, width);
    for (Index k = 0; k < depth; ++k) {
      const Packet<In> a_value = broadcast(a.data[r * a.row_stride + k * a.column_stride]);
      sum = add_product<In>(a_value, load_first(b + k * b_stride, width), sum);
    }
    store_first(c + r * c_stride, sum, width);
  }
}

/// One or two rows take B's numbers from memory only once, so that reading sets the pace: panels twice as wide read
/// longer runs.
template <typename In, std::size_t packets = 2 * panel_packets>
void product_of_few_rows(Index rows, Index width, Index depth, const Strided<In>& a, const In* b, Index b_stride,
                         ProductSum<In>* c, Index c_stride, bool accumulate, const ProductSum<In>* bias) {
  constexpr Index panel = static_cast<Index>(packets) * lanes<In>;
  const auto from = [&](Index column) { return bias == nullptr ? nullptr : bias + column; };
  Index j = 0;
  for (; j + panel <= width; j += panel) {
    if (rows == 1) {
      product_tile<In, 1, packets>(a, b + j, b_stride, depth, c + j, c_stride, accumulate, from(j), 0);
    } else {
      product_tile<In, 2, packets>(a, b + j, b_stride, depth, c + j, c_stride, accumulate, from(j), 0);
    }
  }
  if (j == width) return;
  if constexpr (packets > 1) {
    product_of_few_rows<In, packets / 2>(rows, width - j, depth, a, b + j, b_stride, c + j, c_stride, accumulate,
                                         from(j));
  } else {
    product_of_last_columns<In>(rows, width - j, depth, a, b + j, b_stride, c + j, c_stride, accumulate, from(j));
  }
}

/// C = A B, or C += A B when `accumulate`; plus `bias` (one row of `width` numbers, or null) on every row.
/// A is rows x depth, B is depth x width, C is rows x width with contiguous rows.
template <typename In>
void product(Index rows, Index width, Index depth, const Strided<In>& a, const Strided<In>& b, ProductSum<In>* c,
             Index c_stride, bool accumulate, const ProductSum<In>* bias = nullptr) {
  constexpr auto panel = static_cast<Index>(panel_size<In>), block = static_cast<Index>(depth_block);
  alignas(64) In packed[depth_block * panel_size<In>];
  if (rows == 0) return;
  if (rows <= 2 && b.column_stride == 1) {
    product_of_few_rows(rows, width, depth, a, b.data, b.row_stride, c, c_stride, accumulate, bias);
    return;
  }
  for (Index k = 0; k == 0 || k < depth; k += block) {
    const Index deep = std::min(block, depth - k);
    const bool add = accumulate || k > 0;
    const Strided<In> a_block{a.data + k * a.column_stride, a.row_stride, a.column_stride};
    for (Index j = 0; j < width; j += panel) {
      const Index wide = std::min(panel, width - j);
      const Strided<In> b_block{b.data + k * b.row_stride + j * b.column_stride, b.row_stride, b.column_stride};
      const bool pack = wants_packing(b_block, rows, deep, wide, panel);
      if (pack) pack_panel(b_block, deep, wide, packed, panel);
      product_of_columns<In>(rows, wide, deep, a_block, pack ? packed : b_block.data, pack ? panel : b.row_stride,
                             c + j, c_stride, add, bias != nullptr && k == 0 ? bias + j : nullptr);
    }
  }
}

/// A right-hand factor that many products share: panel after panel, each of its rows one after another.
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

  /// C = A B or C += A B, as `product`.
  void multiply(Index rows, const Strided<In>& a, ProductSum<In>* c, Index c_stride, bool accumulate,
                const ProductSum<In>* bias = nullptr) const {
    constexpr auto block = static_cast<Index>(depth_block);
    for (Index k = 0; k < depth_; k += block) {
      const Strided<In> a_block{a.data + k * a.column_stride, a.row_stride, a.column_stride};
      for (Index j = 0; j < width_; j += panel) {
        const Index wide = std::min(panel, width_ - j);
        product_of_columns<In>(rows, wide, std::min(block, depth_ - k), a_block, &panels_(j / panel * depth_ + k, 0),
                               panel, c + j, c_stride, accumulate || k > 0,
                               bias != nullptr && k == 0 ? bias + j : nullptr);
      }
    }
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
